import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { Framer } from './framer.ts'
import type { FramerOptions, Part } from './framer.ts'

type Options = Partial<FramerOptions> & { methods?: readonly string[] }

/** What comes of octets that are pushed in slices, with at most `reads` parts read after each push. */
function frame(slices: readonly Buffer[], options: Options = {}, reads = Infinity): Part[] {
  const methods = [...(options.methods ?? [])]
  let method = methods[0]
  const framer = new Framer({
    kind: options.kind ?? 'request',
    maxHeadBytes: options.maxHeadBytes ?? 1000,
    requestMethod: options.requestMethod ?? (options.methods ? () => method : undefined),
  })
  const parts: Part[] = []
  const read = (most: number): void => {
    for (let count = 0; count < most; count++) {
      const part = framer.read()
      if (!part) return
      parts.push(part)
      if (part.kind === 'end') {
        methods.shift()
        method = methods[0]
      }
    }
  }
  for (const slice of slices) {
    framer.push(slice)
    read(reads)
  }
  framer.end()
  read(Infinity)
  return parts
}

const octets = (text: string): Buffer => Buffer.from(text, 'latin1')
const frameText = (text: string, options?: Options): Part[] => frame([octets(text)], options)
const together = (parts: readonly Part[]): string => Buffer.concat(parts.map((part) => part.octets)).toString('latin1')

/** Parts in short, adjacent ones of a kind put together. */
function outline(parts: readonly Part[]): string[] {
  const lines: string[] = []
  for (const part of parts) {
    const line = describePart(part)
    if (part.kind === 'body' && lines.at(-1)?.startsWith('body ')) lines[lines.length - 1] += line.slice(5)
    else if (line !== lines.at(-1)) lines.push(line)
  }
  return lines
}

function describePart(part: Part): string {
  switch (part.kind) {
    case 'head':
      return `head ${part.facts.startLine}`
    case 'body':
      return `body ${Buffer.concat(part.content).toString('latin1')}`
    case 'end':
      return `end ${part.trailers.map((field) => field.join('=')).join('&')}`
    case 'opaque':
      return `opaque ${part.reason}`
  }
}

function cut(text: string, at: readonly number[]): Buffer[] {
  const ends = [...new Set(at.map((index) => index % (text.length + 1)))].toSorted((a, b) => a - b)
  return [0, ...ends].map((start, index) => octets(text.slice(start, ends[index] ?? text.length)))
}

const post = 'POST /a HTTP/1.1\r\nHost: a.test\r\n'
const chunked = 'Transfer-Encoding: chunked\r\n\r\n'

describe('Framer of requests', () => {
  it('gives head, body and end of pipelined requests, one at each read', () => {
    const parts = frameText(`${post}Content-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n\r\n`)
    expect(outline(parts)).toEqual(['head POST /a HTTP/1.1', 'body abc', 'end ', 'head GET / HTTP/1.1', 'end '])
  })

  it('hands on a push that is one head as the very same buffer', () => {
    const head = octets('GET / HTTP/1.1\r\n\r\n')
    expect(frame([head])[0]?.octets).toBe(head)
  })

  it('finds the facts of a head', () => {
    const [part] = frameText(
      '\r\nGET /a HTTP/1.1\r\nhOST: \ta.test:81 \r\nConnection: x, Upgrade\r\nUpgrade: websocket\r\nExpect: 100-Continue\r\n\r\n',
    )
    expect(part).toMatchObject({
      kind: 'head',
      facts: {
        startLine: 'GET /a HTTP/1.1',
        method: 'GET',
        target: '/a',
        status: 0,
        isHttp10: false,
        contentLength: undefined,
        isChunked: false,
        isCloseDelimited: false,
        hasBody: false,
        keepsAlive: true,
        upgrade: 'websocket',
        expectsContinue: true,
        host: 'a.test:81',
      },
    })
  })

  it.each([
    ['HTTP/1.1\r\n', true],
    ['HTTP/1.0\r\n', false],
    ['HTTP/1.0\r\nConnection: Keep-Alive\r\n', true],
    ['HTTP/1.1\r\nConnection: foo\r\nconnection: Close\r\n', false],
    ['HTTP/1.1\r\nConnection: closed\r\n', true],
  ])('of %j finds keepsAlive %s', (rest, keepsAlive) => {
    expect(frameText(`GET / ${rest}\r\n`)[0]).toMatchObject({ facts: { keepsAlive } })
  })

  it('finds no host where there are several, and no upgrade that Connection does not name', () => {
    const [part] = frameText('GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\nUpgrade: h2c\r\n\r\n')
    expect(part).toMatchObject({ facts: { host: undefined, upgrade: undefined } })
  })

  it('gives several chunks of one push as one body part, chunk lines included', () => {
    const parts = frameText(`${post}${chunked}3;a="b"\r\nabc\r\n00A \r\n0123456789\r\n0;x\r\nT: 1\r\nU:2\r\n\r\n`)
    expect(outline(parts)).toEqual(['head POST /a HTTP/1.1', 'body abc0123456789', 'end T=1&U=2'])
    expect(parts[1]?.octets.toString()).toBe('3;a="b"\r\nabc\r\n00A \r\n0123456789\r\n')
    expect(parts[1]).toMatchObject({ content: [octets('abc'), octets('0123456789')] })
    expect(parts[2]?.octets.toString()).toBe('0;x\r\nT: 1\r\nU:2\r\n\r\n')
  })

  it('gives the octets of a chunk as they come, not waiting for all of them', () => {
    const framer = new Framer({ kind: 'request', maxHeadBytes: 1000 })
    framer.push(octets(`${post}${chunked}`))
    framer.read()
    framer.push(octets('5\r\nab'))
    expect(framer.read()).toMatchObject({ kind: 'body', content: [octets('ab')] })
    expect(framer.read()).toBeUndefined()
    framer.push(octets('c'))
    expect(framer.read()).toMatchObject({ kind: 'body', content: [octets('c')] })
  })

  it.each([
    'GET / HTTP/1.1\nA: b\n\n',
    'GET / HTTP/1.9\r\nno colon\r\n: no name\r\n\xff\x01: \x7f\r\n\r\n',
    'GET / HTTP/1.1\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n',
    'GET / HTTP/1.1\r\nContent-Length: 0, 0\r\n\r\n',
    'GET / HTTP/1.1\r\nContent-Lengthy: x\r\nContent-Length foo: x\r\nTransfer-Encodings: y\r\n\r\n',
    'GET / HTTP/1.1\r\nA: b\r\n c: d\r\nHost : x\r\n\r\n',
  ])('is lenient with %j', (text) => {
    expect(frameText(text).map((part) => part.kind)).toEqual(['head', 'end'])
  })

  it.each([
    ['Content-Length: 3\r\nTransfer-Encoding: chunked', 'both Content-Length and Transfer-Encoding'],
    ['Content-Length: 3\r\nContent-Length: 4', 'differ'],
    ['Content-Length: 3, 03', 'differ'],
    ['Content-Length: +3', 'expected a number'],
    ['Content-Length: -3', 'expected a number'],
    ['Content-Length: 0x3', 'expected a number'],
    ['Content-Length: 3\xa0', 'expected a number'],
    ['Content-Length:', 'expected a number'],
    ['Content-Length: 99999999999999999999', 'expected a number'],
    ['Content-Length : 3', 'white space'],
    ['Transfer-Encoding\t: chunked', 'white space'],
    ['A: b\r\n Content-Length: 3', 'white space'],
    ['Content-Length:\r\n 3', 'folded'],
    ['Transfer-Encoding: gzip,\r\n\tchunked', 'folded'],
    ['Transfer-Encoding: gzip', 'does not end in chunked'],
    ['Transfer-Encoding: chunked, gzip', 'expected chunked last'],
    ['Transfer-Encoding: chunked, chunked', 'expected chunked last'],
    ['Transfer-Encoding: xchunked', 'expected chunked last'],
    ['Transfer-Encoding: chunked;q=1', 'expected chunked last'],
    ['Transfer-Encoding: chunked\r\nTransfer-Encoding: x', 'expected chunked last'],
    ['Transfer-Encoding:', 'expected chunked last'],
  ])('makes a request with %j opaque', (fields, reason) => {
    const text = `${post}${fields}\r\n\r\nabc`
    const parts = frameText(`GET / HTTP/1.1\r\n\r\n${text}`)
    expect(parts.map((part) => part.kind)).toEqual(['head', 'end', 'opaque'])
    expect(parts[2]).toMatchObject({ octets: octets(text), reason: expect.stringContaining(reason) as string })
  })

  it('makes Transfer-Encoding in HTTP/1.0 opaque', () => {
    const [part] = frameText(`POST / HTTP/1.0\r\n${chunked}0\r\n\r\n`)
    expect(part).toMatchObject({ kind: 'opaque', reason: 'Transfer-Encoding in HTTP/1.0' })
  })

  it.each([
    'x\r\n',
    '\r\n',
    '-1\r\n',
    '0x1\r\n',
    '1 2\r\n',
    '1\rX',
    '1;a\rb\r\n',
    'fffffffffffffff\r\n',
    '1\r\nab',
    '1\r\na\rb',
  ])('makes a body opaque from where a chunk is malformed: %j', (chunk) => {
    const parts = frameText(`${post}${chunked}3\r\nabc\r\n${chunk}`)
    expect(outline(parts).slice(0, 2)).toEqual(['head POST /a HTTP/1.1', expect.stringMatching(/^body abca?$/)])
    expect(parts.at(-1)).toMatchObject({ kind: 'opaque', reason: 'malformed chunk' })
  })

  it('limits heads, chunk lines and trailer sections, however they come', () => {
    const long = 'a'.repeat(20_000)
    for (const [text, reason] of [
      [`GET / HTTP/1.1\r\nA: ${long}\r\n\r\n`, 'head larger than 1000 octets'],
      [`${'\r\n'.repeat(600)}GET / HTTP/1.1\r\n\r\n`, 'head larger than 1000 octets'],
      [`${post}${chunked}1;${long}\r\nx\r\n0\r\n\r\n`, 'malformed chunk'],
      [`${post}${chunked}0\r\nA: ${long}\r\n\r\n`, 'trailer section larger than 1000 octets'],
    ] as const) {
      for (const slices of [
        [octets(text)],
        cut(
          text,
          [...Array(300).keys()].map((index) => index * 67),
        ),
      ]) {
        expect(frame(slices).at(-1)).toMatchObject({ kind: 'opaque', reason })
        expect(together(frame(slices))).toBe(text)
      }
    }
  })

  it.each(['\x16\x03\x01\x02', 'hello\n', 'GET /\r\n', 'PRI * HTTP/2.0\r\n', 'SSH-2.0-x\r\n'])(
    'does not wait for a blank line after %j',
    (text) => {
      const framer = new Framer({ kind: 'request', maxHeadBytes: 1000 })
      framer.push(octets(text))
      expect(framer.read()).toMatchObject({ kind: 'opaque', octets: octets(text), reason: 'not a request line' })
    },
  )

  it.each([
    ['GET / HTTP/1.1\r\nA', 'ended inside a head'],
    ['GET / HTTP/1.1\r\n\r\n\r\n', 'ended after empty lines'],
    [`${post}${chunked}1\r\na\r\n1`, 'ended inside a body'],
    [`${post}${chunked}0\r\nA: b\r\n`, 'ended inside a trailer section'],
  ])('says where it ended in %j', (text, reason) => {
    expect(frameText(text).at(-1)).toMatchObject({ kind: 'opaque', reason })
  })
})

describe('Framer of responses', () => {
  const outlineOf = (text: string, methods: readonly string[] = ['GET']): string[] =>
    outline(frameText(text, { kind: 'response', methods }))

  it('gives interim responses as heads of the same request', () => {
    const text =
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na'
    expect(outlineOf(text, ['POST'])).toEqual([
      'head HTTP/1.1 100 Continue',
      'head HTTP/1.1 103 Hints',
      'head HTTP/1.1 200 OK',
      'body a',
      'end ',
    ])
  })

  it('gives no body to HEAD, 204 and 304, whatever their fields say', () => {
    const fields = 'Content-Length: 5\r\nTransfer-Encoding: gzip\r\n\r\n'
    const text = `HTTP/1.1 200 OK\r\n${fields}HTTP/1.1 204 None\r\n${fields}HTTP/1.1 304 Same\r\nContent-Length: 5\r\n\r\n`
    const parts = frameText(text, { kind: 'response', methods: ['HEAD', 'GET', 'GET'] })
    expect(parts.map((part) => part.kind)).toEqual(['head', 'end', 'head', 'end', 'head', 'end'])
    expect(parts[4]).toMatchObject({ facts: { contentLength: 5, hasBody: false } })
  })

  it.each(['', 'Transfer-Encoding: gzip\r\n'])(
    'ends a body with the connection where nothing else does: %j',
    (field) => {
      const parts = frame([octets(`HTTP/1.1 200\r\n${field}\r\nab`), octets('cd')], { kind: 'response' })
      expect(outline(parts)).toEqual(['head HTTP/1.1 200', 'body abcd', 'end '])
      expect(parts[0]).toMatchObject({ facts: { isCloseDelimited: true, hasBody: true } })
    },
  )

  it('does not end a close-delimited body before the connection ends', () => {
    const framer = new Framer({ kind: 'response', maxHeadBytes: 1000 })
    framer.push(octets('HTTP/1.0 200 OK\r\n\r\n'))
    expect(framer.read()?.kind).toBe('head')
    expect(framer.read()).toBeUndefined()
    framer.end()
    expect(framer.read()?.kind).toBe('end')
    expect(framer.read()).toBeUndefined()
  })

  it.each([
    ['HTTP/1.1 101 Switching Protocols\r\nContent-Length: 9\r\n\r\n', 'GET', 'upgrade'],
    ['HTTP/1.1 200 Connected\r\nTransfer-Encoding: chunked\r\n\r\n', 'CONNECT', 'tunnel'],
  ])('is opaque behind %j', (head, method, reason) => {
    expect(outlineOf(`${head}HTTP/1.1 200 OK\r\n\r\n`, [method]).slice(1)).toEqual(['end ', `opaque ${reason}`])
  })

  it('frames the refusal of a CONNECT', () => {
    expect(outlineOf('HTTP/1.1 407 No\r\nContent-Length: 1\r\n\r\nx', ['CONNECT'])).toContain('body x')
  })

  it('makes a response without a request opaque', () => {
    const text = 'HTTP/1.1 204 A\r\n\r\nHTTP/1.1 408 B\r\n\r\n'
    expect(outlineOf(text)).toEqual(['head HTTP/1.1 204 A', 'end ', 'opaque response without a request'])
  })

  it.each(['HTTP/2 200 OK\r\n', 'ICY 200 OK\r\n', '\x15\x03', '\r\n'])('does not wait after %j', (text) => {
    const framer = new Framer({ kind: 'response', maxHeadBytes: 1000 })
    framer.push(octets(text))
    expect(framer.read()).toMatchObject({ kind: 'opaque', reason: 'not a status line' })
  })

  it.each(['HTTP/1.1 20 OK', 'HTTP/1.1 2000', 'HTTP/1.1 abc', 'HTTP/1.x 200'])(
    'takes %j for no status line',
    (line) => {
      expect(outlineOf(`${line}\r\n\r\n`)).toEqual(['opaque not a status line'])
    },
  )

  it.each(['HTTP/1.1 200', 'HTTP/1.1 200 ', 'HTTP/1.0 999 \xff:\x01', 'HTTP/1.1  200\tOK'])('takes %j', (line) => {
    expect(outlineOf(`${line}\r\nContent-Length: 0\r\n\r\n`)).toEqual([`head ${line}`, 'end '])
  })
})

describe('Framer between reads', () => {
  it('looks at nothing behind the part it returned', () => {
    const framer = new Framer({ kind: 'request', maxHeadBytes: 1000 })
    framer.push(octets('CONNECT a:1 HTTP/1.1\r\n\r\nGET / HT'))
    framer.push(octets('TP/1.1\r\n\r\n'))
    expect([framer.read()?.kind, framer.read()?.kind]).toEqual(['head', 'end'])
    framer.makeOpaque('tunnel')
    framer.makeOpaque('not this')
    expect(framer.read()).toEqual({ kind: 'opaque', octets: octets('GET / HT'), reason: 'tunnel' })
    expect(framer.read()).toEqual({ kind: 'opaque', octets: octets('TP/1.1\r\n\r\n'), reason: 'tunnel' })
    expect(framer.read()).toBeUndefined()
  })

  it('knows where it stands', () => {
    const framer = new Framer({ kind: 'request', maxHeadBytes: 1000 })
    const places: boolean[] = []
    const look = (): void => void places.push(framer.isBetweenMessages)
    look()
    framer.push(octets('\r\n'))
    look()
    framer.push(octets(`${post}Content-Length: 1\r\n\r\n`))
    look()
    framer.read()
    look()
    framer.push(octets('a'))
    framer.read()
    look()
    framer.read()
    look()
    expect(places).toEqual([true, false, false, false, false, true])
  })
})

describe('Framer, however the octets are cut', () => {
  const content = fc.string({ unit: fc.constantFrom('a', 'b', '\r', '\n', '0'), maxLength: 12 })
  const chunks = fc.array(
    content.filter((text) => text !== ''),
    { maxLength: 4 },
  )
  const lineEnd = fc.constantFrom('\r\n', '\n')
  const bodies = fc.oneof(
    content.map((text) => ({ fields: `Content-Length: ${text.length}`, wire: text, text, end: 'end ' })),
    fc.tuple(chunks, lineEnd, fc.constantFrom('', ';x', ' ;x="y;z"')).map(([texts, eol, extension]) => ({
      fields: 'A: b\r\nTransfer-Encoding: gzip, Chunked',
      wire: `${texts.map((text) => `${text.length.toString(16)}${extension}${eol}${text}${eol}`).join('')}0${eol}T: 1${eol}${eol}`,
      text: texts.join(''),
      end: 'end T=1',
    })),
  )
  const cuts = fc.array(fc.nat(), { maxLength: 30 })
  const startLine = { request: 'POST /a HTTP/1.1', response: 'HTTP/1.1 200 OK' }

  it('gives the same messages, and the octets that came in', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('request' as const, 'response' as const),
        fc.array(fc.tuple(bodies, lineEnd), { minLength: 1, maxLength: 4 }),
        cuts,
        fc.constantFrom(0, 1, 2, Infinity),
        (kind, messages, at, reads) => {
          const text = messages
            .map(([body, eol]) => `${startLine[kind]}${eol}${body.fields}${eol}${eol}${body.wire}`)
            .join('')
          const parts = frame(cut(text, at), { kind }, reads)
          expect(together(parts)).toBe(text)
          expect(outline(parts)).toEqual(
            messages.flatMap(([body]) => [
              `head ${startLine[kind]}`,
              ...(body.text === '' ? [] : [`body ${body.text}`]),
              body.end,
            ]),
          )
        },
      ),
    )
  })

  it('gives the same parts for a cut at every index', () => {
    const text = `\r\n${post}${chunked}3\r\nabc\r\n1;x\r\nd\r\n0\r\nT: 1\r\n\r\n${post}Content-Length: 2\r\n\r\nefGET / HTTP/1.0\n\n`
    const whole = outline(frameText(text))
    expect(whole).toHaveLength(8)
    for (let index = 0; index <= text.length; index++) {
      expect(outline(frame(cut(text, [index])))).toEqual(whole)
    }
    expect(outline(frame(cut(text, [...Array(text.length).keys()])))).toEqual(whole)
  })

  it('finds a short head behind a long trailer section that came in two', () => {
    const slices = [`${post}${chunked}0\r\nT: ${'t'.repeat(100)}`, '\r\n\r\n', 'GET / HTTP/1.1\r\n\r\n'].map(octets)
    expect(outline(frame(slices)).slice(-2)).toEqual(['head GET / HTTP/1.1', 'end '])
  })

  it('loses, changes and reorders nothing of any input', () => {
    const words = fc.constantFrom(
      'GET / HTTP/1.1',
      'HTTP/1.1 200 OK',
      'HTTP/1.1 101 X',
      'HTTP/1.1 100 X',
      '\r\n',
      '\n',
      '\r',
      '\r\n\r\n',
      'A: b',
      'Content-Length: 3',
      'Content-Length: 0',
      'Transfer-Encoding: chunked',
      '0\r\n',
      '3\r\n',
      'abc',
      ' ',
      ':',
      '\0',
      '\xff',
    )
    fc.assert(
      fc.property(
        fc.constantFrom('request' as const, 'response' as const),
        fc.array(fc.oneof(words, fc.constantFrom('GET / HTTP/1.1\r\n', 'HTTP/1.1 200 OK\r\n')), { maxLength: 25 }),
        fc.constantFrom(20, 1000),
        cuts,
        fc.constantFrom(0, 1, 2, Infinity),
        (kind, texts, maxHeadBytes, at, reads) => {
          const text = texts.join('')
          const parts = frame(cut(text, at), { kind, maxHeadBytes }, reads)
          expect(together(parts)).toBe(text)
          const firstOpaque = parts.findIndex((part) => part.kind === 'opaque')
          if (firstOpaque !== -1) expect(parts.slice(firstOpaque).every((part) => part.kind === 'opaque')).toBe(true)
        },
      ),
      { numRuns: 500 },
    )
  })
})
