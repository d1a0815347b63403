import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { readRequestFacts, readResponseFacts } from './facts.ts'
import type { HeadFacts } from './facts.ts'
import { plainRequest, plainResponse } from './plain-head.ts'
import type { PlainFacts } from './plain-head.ts'

const KEYS = [
  'startLine',
  'method',
  'target',
  'status',
  'isHttp10',
  'contentLength',
  'isChunked',
  'isCloseDelimited',
  'hasBody',
  'keepsAlive',
  'upgrade',
  'expectsContinue',
  'host',
] as const satisfies readonly (keyof HeadFacts)[]

function shown(facts: HeadFacts): unknown[] {
  return KEYS.map((key) => [key, facts[key]])
}

/** Lines that a head may have, from harmless to twisted. */
const line = fc.constantFrom(
  'Host: a.test',
  'host:b.test:8080 ',
  'Connection: keep-alive',
  'connection: Keep-Alive',
  'Connection: close',
  'Connection: keep-alive, Upgrade',
  'Content-Length: 5',
  'content-length:12',
  'Content-Length: 5, 5',
  'Content-Length : 5',
  'Content-Length: -1',
  'Content-Length: 1x',
  'Content-Length: 99999999999999999999',
  'Content-Lengthy: 5',
  'Transfer-Encoding: chunked',
  'Transfer-Encodings: none',
  'Upgrade: websocket',
  'Expect: 100-continue',
  'Accept: */*',
  'Cookie: a=b; c=d',
  'no colon here',
  ' folded',
  '\tContent-Length: 3',
  'X:',
  ': empty name',
  'Ünicode: é',
)
const lineEnd = fc.oneof({ weight: 20, arbitrary: fc.constant('\r\n') }, { weight: 1, arbitrary: fc.constant('\n') })
const fields = fc.array(fc.tuple(line, lineEnd), { maxLength: 8 }).map((lines) => lines.map((each) => each.join('')))
const before = fc.constantFrom('', 'xx', '\r\n')

function agree(
  prefix: string,
  text: string,
  plain: (octets: Buffer, from: number) => PlainFacts | undefined,
  full: (text: string) => HeadFacts | string,
): void {
  const octets = Buffer.from(`${prefix}${text}rest`, 'latin1')
  const facts = plain(octets, prefix.length)
  if (!facts) return
  expect(facts.headLength).toBe(text.length)
  const other = full(text)
  expect(typeof other === 'string' ? other : shown(other)).toEqual(shown(facts))
}

describe('a plain head', () => {
  it('of a request says what the long way says', () => {
    const start = fc.constantFrom(
      'GET / ',
      'POST /a?b=c ',
      'OPTIONS * ',
      'CONNECT a:1 ',
      'get / ',
      'GET http://a/ ',
      'GET  / ',
    )
    const version = fc.constantFrom('HTTP/1.1\r\n', 'HTTP/1.0\r\n', 'HTTP/1.1 \r\n', 'HTTP/1.1\n')
    fc.assert(
      fc.property(before, start, version, fields, (prefix, begin, end, lines) => {
        agree(prefix, `${begin}${end}${lines.join('')}\r\n`, plainRequest, readRequestFacts)
      }),
      { numRuns: 2000 },
    )
  })

  it('of a response says what the long way says', () => {
    const start = fc.constantFrom(
      'HTTP/1.1 200 OK',
      'HTTP/1.1 204 ',
      'HTTP/1.1 304 x',
      'HTTP/1.0 200 OK',
      'HTTP/1.1 101 x',
      'HTTP/1.1 404',
      'HTTP/1.1 999 x',
    )
    const method = fc.constantFrom('GET', 'HEAD', 'CONNECT', 'POST')
    fc.assert(
      fc.property(before, start, method, fields, (prefix, begin, requestMethod, lines) => {
        agree(
          prefix,
          `${begin}\r\n${lines.join('')}\r\n`,
          (octets, from) => plainResponse(octets, from, requestMethod),
          (text) => readResponseFacts(text, requestMethod),
        )
      }),
      { numRuns: 2000 },
    )
  })

  it('is what browsers and servers write', () => {
    const request = Buffer.from('GET /a HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive\r\nAccept: */*\r\n\r\n')
    expect(plainRequest(request, 0)).toMatchObject({
      method: 'GET',
      target: '/a',
      host: 'a.test',
      headLength: request.length,
    })
    for (const [host, isIt] of [
      ['a.test', true],
      ['a.tes', false],
      ['a.test:80', false],
      ['b.test', false],
      ['', false],
    ] as const) {
      expect(plainRequest(request, 0)?.hasHost(Buffer.from(host))).toBe(isIt)
    }
    const response = Buffer.from('HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 4\r\n\r\nbody')
    expect(plainResponse(response, 0, 'GET')).toMatchObject({ status: 200, contentLength: 4, hasBody: true })
  })

  it('is not one that is not whole, however it is cut', () => {
    const request = Buffer.from('GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n')
    for (let length = 0; length < request.length; length++)
      expect(plainRequest(request.subarray(0, length), 0)).toBeUndefined()
  })
})
