import { describe, expect, it } from 'vitest'

import type { Field } from '../../exchange.ts'
import { parseRequestHead, parseResponseHead } from './head.ts'
import { toOriginForm, withBodyLength, writeRequestHead, writeResponseHead } from './write.ts'

const fields: readonly Field[] = [
  ['Host', 'a.test'],
  ['x-Odd', '\xe9'],
]

describe('writeRequestHead()', () => {
  it('writes what parseRequestHead() reads', () => {
    const head = { method: 'GET', target: '/a', httpVersion: 'HTTP/1.0', fields }
    expect(writeRequestHead(head).toString('latin1')).toBe('GET /a HTTP/1.0\r\nHost: a.test\r\nx-Odd: \xe9\r\n\r\n')
    expect(parseRequestHead(writeRequestHead(head))).toEqual(head)
  })

  it('is HTTP/1.1 unless told otherwise', () => {
    expect(writeRequestHead({ method: 'GET', target: '/', fields: [] }).toString()).toBe('GET / HTTP/1.1\r\n\r\n')
  })

  it.each([
    ['method', { method: 'GET\r\nX: y' }],
    ['method', { method: '' }],
    ['method', { method: 'GET /b' }],
    ['target', { target: '/\n' }],
    ['target', { target: '/a HTTP/1.1' }],
    ['httpVersion', { httpVersion: 'HTTP/1.1\r\nX: y' }],
    ['"X\\rY"', { fields: [['X\rY', '']] as Field[] }],
    ['"X-A"', { fields: [['X-A', 'b\nc']] as Field[] }],
    ['"X-A"', { fields: [['X-A', 'b\0c']] as Field[] }],
    ['"X-A"', { fields: [['X-A', 'latin1 would make CR LF of \u010d\u010a']] as Field[] }],
  ])('refuses octets that would break out of %s', (what, change) => {
    expect(() => writeRequestHead({ method: 'GET', target: '/', fields: [], ...change })).toThrow(
      expect.objectContaining({ code: 'MITM_INVALID_RULE', message: expect.stringContaining(what) as string }),
    )
  })
})

describe('writeResponseHead()', () => {
  it('writes what parseResponseHead() reads', () => {
    const head = { status: 404, statusText: 'Not  here', httpVersion: 'HTTP/1.1', fields }
    expect(parseResponseHead(writeResponseHead(head))).toEqual(head)
  })

  it('keeps the space before an empty reason phrase', () => {
    expect(writeResponseHead({ status: 200, statusText: '', fields: [] }).toString()).toBe('HTTP/1.1 200 \r\n\r\n')
  })

  it.each([
    ['status', { status: 99 }],
    ['status', { status: 200.5 }],
    ['status', { status: Number.NaN }],
    ['statusText', { statusText: 'OK\r\nX: y' }],
    ['"Location"', { fields: [['Location', '/\r\n']] as Field[] }],
  ])('refuses a bad %s', (what, change) => {
    expect(() => writeResponseHead({ status: 200, statusText: 'OK', fields: [], ...change })).toThrow(
      expect.objectContaining({ code: 'MITM_INVALID_RULE', message: expect.stringContaining(what) as string }),
    )
  })
})

describe('withBodyLength()', () => {
  it('puts the length where the first framing field stood', () => {
    const before: Field[] = [
      ['A', '1'],
      ['TRANSFER-Encoding', 'chunked'],
      ['B', '2'],
      ['Content-Length', '7'],
      ['trailer', 'X'],
    ]
    expect(withBodyLength(before, 3)).toEqual([
      ['A', '1'],
      ['Content-Length', '3'],
      ['B', '2'],
    ])
    expect(before).toHaveLength(5)
  })

  it('puts the length at the end where there was none', () => {
    expect(withBodyLength([['A', '1']], 0)).toEqual([
      ['A', '1'],
      ['content-length', '0'],
    ])
  })
})

describe('toOriginForm()', () => {
  const rewrite = (text: string, path: string): string =>
    toOriginForm(Buffer.from(text, 'latin1'), path).toString('latin1')

  it('replaces the target and drops what was for the proxy, all else octet by octet', () => {
    const head =
      '\r\nGET http://a.test/$& HTTP/1.1 \r\nPROXY-connection: keep-alive\r\nHost:  a.test\r\nx-\xe9:\t\xff\n' +
      'Proxy-Authorization: Basic\r\n x\r\nproxy-authenticate: y\r\nX: http://a.test/ \r\n\r\n'
    expect(rewrite(head, '/$&')).toBe(
      '\r\nGET /$& HTTP/1.1 \r\nHost:  a.test\r\nx-\xe9:\t\xff\nproxy-authenticate: y\r\nX: http://a.test/ \r\n\r\n',
    )
  })

  it('drops adjacent and last lines', () => {
    const head = 'GET http://a.test HTTP/1.1\r\nProxy-Connection: x\r\nProxy-Authorization: y\r\n\r\n'
    expect(rewrite(head, '/')).toBe('GET / HTTP/1.1\r\n\r\n')
  })

  it('refuses a path that would break out of the request line', () => {
    expect(() => rewrite('GET http://a.test HTTP/1.1\r\n\r\n', '/ HTTP/1.1\r\nX: y')).toThrow('MITM_INVALID_RULE')
  })
})
