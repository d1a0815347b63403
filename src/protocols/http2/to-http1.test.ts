/** Clients of HTTP/2 and servers of HTTP/1.1: what becomes of heads and bodies on the way. */
import { once } from 'node:events'
import type { ClientHttp2Session, OutgoingHttpHeaders } from 'node:http2'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { Http1BehindHttp2, HTTP1_GET, HTTP1_NAME } from '../../testing/http1-behind-http2.ts'
import { request, responseOf } from '../../testing/http2.ts'
import type { Http2Response } from '../../testing/http2.ts'

const NO_CONTENT = 'HTTP/1.1 204 No Content\r\n\r\n'
const OK = 'HTTP/1.1 200 OK\r\n'

let stage: Http1BehindHttp2
beforeEach(async () => {
  stage = await Http1BehindHttp2.open()
})
afterEach(() => stage[Symbol.asyncDispose]())

/** Without what each response has, and without the symbols that objects of Node have. */
function plainOf({ status, headers, body, trailers, interim }: Http2Response): unknown {
  const fields = Object.fromEntries(Object.entries(headers).filter(([name]) => name !== ':status'))
  return { status, fields, body, trailers: Object.fromEntries(Object.entries(trailers)), interim }
}

describe('the head of a request', () => {
  it('has the authority as Host, cookies in one field, and nothing of HTTP/2', async () => {
    const { head } = await stage.ask(await stage.session(), {
      ':path': '/a?b=%20c',
      // A boundary: the types know one cookie only.
      cookie: ['a=1', 'b=2; c=3'] as unknown as string,
      'x-a': ['1', '2'],
      'x-empty': '',
      accept: '*/*',
    })
    const lines = head.split('\r\n')
    expect(lines.slice(0, 2)).toEqual(['GET /a?b=%20c HTTP/1.1', `host: ${HTTP1_NAME}`])
    expect(lines.slice(2).toSorted()).toEqual(
      ['accept: */*', 'cookie: a=1; b=2; c=3', 'x-a: 1', 'x-a: 2', 'x-empty: ', '', ''].toSorted(),
    )
  })

  it.each([
    ['the authority before the Host', { ':authority': 'b.test:8443', host: 'c.test' }, 'b.test:8443'],
    ['the Host where there is no authority', { ':authority': undefined, host: 'c.test' }, 'c.test'],
  ])('has one Host: %s', async (_, { ':authority': authority, host }, expected) => {
    const client = await stage.frames()
    const rest = HTTP1_GET.filter(([name]) => name !== ':authority')
    client.headers(1, [...rest, ...(authority ? [[':authority', authority] as const] : []), ['host', host]], true)
    const server = await stage.origin.next()
    expect((await server.until('\r\n\r\n')).match(/^host: .*$/gim)).toEqual([`host: ${expected}`])
  })

  it('has the path, or * for OPTIONS, or the authority for CONNECT as its target', async () => {
    const client = await stage.frames()
    client.headers(1, [[':method', 'OPTIONS'], ...HTTP1_GET.slice(1, 3), [':path', '*']], true)
    const server = await stage.origin.next()
    expect(await server.until('\r\n')).toBe('OPTIONS * HTTP/1.1\r\n')
    server.write(NO_CONTENT)
    await client.hear('END 1')
    await server.until('\r\n\r\n')
    client.headers(3, [
      [':method', 'CONNECT'],
      [':authority', 'db.test:5432'],
    ])
    expect(await server.until('\r\n')).toBe('CONNECT db.test:5432 HTTP/1.1\r\n')
  })

  it('says that TE is about the connection (RFC 9110 section 10.1.4)', async () => {
    const { head } = await stage.ask(await stage.session(), { te: 'trailers' })
    expect(head).toContain('\r\nte: trailers\r\n')
    expect(head).toMatch(/\r\nconnection: te\r\n/i)
  })

  it.each([
    ['connection', 'x-a'],
    ['keep-alive', 'timeout=5'],
    ['proxy-connection', 'keep-alive'],
    ['transfer-encoding', 'chunked'],
    ['upgrade', 'websocket'],
    ['te', 'gzip'],
  ])('is refused where it has what is about connections of HTTP/1: %s', async (name, value) => {
    const client = await stage.frames()
    client.headers(1, [...HTTP1_GET, [name, value]], true)
    await client.hear('RST_STREAM 1 PROTOCOL_ERROR')
    // Others are not touched by it.
    client.headers(3, HTTP1_GET, true)
    const server = await stage.origin.next()
    expect(await server.until('\r\n\r\n')).not.toMatch(new RegExp(`^${name}:`, 'm'))
    server.write(NO_CONTENT)
    await client.hear('END 3')
    expect(stage.origin.accepted).toBe(1)
  })

  const splitting: readonly (readonly [string, string, string])[] = [
    ['the value of a field', 'x-a', 'b\r\nx-c: d'],
    ['the name of a field', 'x-a: b\r\nx-c', 'd'],
    ['the path', ':path', '/ HTTP/1.1\r\nx-c: d\r\n\r\nGET /'],
    ['the method', ':method', 'GET / HTTP/1.1\r\nx-c: d\r\n\r\nGET'],
    ['the authority', ':authority', 'a.test\r\nx-c: d'],
  ]
  const withField = (name: string, value: string): readonly (readonly [string, string])[] =>
    name.startsWith(':')
      ? HTTP1_GET.map((field) => (field[0] === name ? [name, value] : field))
      : [...HTTP1_GET, [name, value]]

  it.each(splitting)('is malformed with line ends in it: %s', async (_, name, value) => {
    const client = await stage.frames()
    client.headers(1, withField(name, value), true)
    await client.hear('RST_STREAM 1 PROTOCOL_ERROR')
    expect(stage.origin.accepted).toBe(0)
  })

  it.each(splitting)('is never split by line ends in it: %s', async (_, name, value) => {
    const heads: string[] = []
    const answer = async (): Promise<void> => {
      const server = await stage.origin.next()
      answerNext()
      // It ends when the connection does.
      for (;;) {
        heads.push(await server.until('\r\n\r\n'))
        server.write(NO_CONTENT)
      }
    }
    const answerNext = (): void => void answer().catch(() => undefined)
    answerNext()
    const client = await stage.frames()
    client.headers(1, withField(name, value), true).headers(3, HTTP1_GET, true)
    await client.hear('END 3')
    await client.hear(/^(?:END|RST_STREAM) 1/)
    expect(heads.join('')).not.toMatch(/^x-c/im)
  })

  it('keeps octets beyond ASCII', async () => {
    const { head } = await stage.ask(await stage.session(), { 'x-a': 'gr\u00fc\u00df' })
    expect(head).toContain('x-a: gr\u00fc\u00df\r\n')
  })
})

describe('the body of a request', () => {
  const send = (session: ClientHttp2Session, headers: OutgoingHttpHeaders, body: string): Promise<Http2Response> =>
    request(session, { ':path': '/', ':method': 'POST', ...headers }, body)

  it('has the length that the client says', async () => {
    const response = send(await stage.session(), { 'content-length': '4' }, 'body')
    const server = await stage.origin.next()
    const head = await server.until('\r\n\r\n')
    expect(head).toContain('content-length: 4\r\n')
    expect(head).not.toMatch(/transfer-encoding/i)
    expect(String(await server.take(4))).toBe('body')
    server.write(NO_CONTENT)
    expect((await response).status).toBe(204)
    expect(server.buffered).toHaveLength(0)
  })

  it('goes in chunks where the client does not say its length', async () => {
    const response = send(await stage.session(), {}, 'body')
    const server = await stage.origin.next()
    const head = await server.until('\r\n\r\n')
    expect(head).toMatch(/transfer-encoding: chunked\r\n/i)
    expect(head).not.toContain('content-length')
    expect(await server.until('0\r\n\r\n')).toBe('4\r\nbody\r\n0\r\n\r\n')
    server.write(NO_CONTENT)
    expect((await response).status).toBe(204)
  })

  it.each([[{}], [{ 'content-length': '0' }]])('may be empty: %j', async (headers) => {
    const response = send(await stage.session(), headers, '')
    const server = await stage.origin.next()
    const head = await server.until('\r\n\r\n')
    if ('content-length' in headers) expect(head).not.toMatch(/transfer-encoding/i)
    else expect(await server.until('\r\n\r\n')).toBe('0\r\n\r\n')
    server.write(NO_CONTENT)
    expect((await response).status).toBe(204)
    expect(server.buffered).toHaveLength(0)
  })

  it('is none, and not said to be one, where the client sends none', async () => {
    const { head, server, response } = await stage.ask(await stage.session(), { ':method': 'DELETE' })
    expect(head).not.toMatch(/content-length|transfer-encoding/i)
    server.write(NO_CONTENT)
    await response
    expect(server.buffered).toHaveLength(0)
  })

  it('leaves as it comes, before it is whole', async () => {
    const session = await stage.session()
    const stream = session.request({ ':path': '/', ':method': 'POST' }, { endStream: false })
    stream.write('one')
    const server = await stage.origin.next()
    await server.until('\r\n\r\n3\r\none\r\n')
    stream.end('two')
    expect(await server.until('0\r\n\r\n')).toBe('3\r\ntwo\r\n0\r\n\r\n')
  })

  it('has its trailers behind the last chunk', async () => {
    const session = await stage.session()
    const stream = session.request({ ':path': '/', ':method': 'POST' }, { endStream: false, waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': 'abc', 'x-two': ['1', '2'] }))
    stream.end('body')
    const server = await stage.origin.next()
    await server.until('4\r\nbody\r\n')
    expect(await server.until('\r\n\r\n')).toBe('0\r\nx-sum: abc\r\nx-two: 1\r\nx-two: 2\r\n\r\n')
    server.write(NO_CONTENT)
    await responseOf(stream)
    expect(stage.mitm.exchanges[0]?.request.trailers).toEqual([
      ['x-sum', 'abc'],
      ['x-two', '1'],
      ['x-two', '2'],
    ])
  })

  it('goes without its trailers where it has a length, as HTTP/1 has no place for them', async () => {
    const session = await stage.session()
    const headers = { ':path': '/', ':method': 'POST', 'content-length': '4' }
    const stream = session.request(headers, { endStream: false, waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': 'abc' }))
    stream.end('body')
    const server = await stage.origin.next()
    await server.until('\r\n\r\nbody')
    server.write(NO_CONTENT)
    await responseOf(stream)
    expect(server.buffered).toHaveLength(0)
  })

  it('waits for 100 of the server where the client expects that', async () => {
    const session = await stage.session()
    const headers = { ':path': '/', ':method': 'POST', expect: '100-continue' }
    const stream = session.request(headers, { endStream: false })
    const response = responseOf(stream)
    const server = await stage.origin.next()
    expect(await server.until('\r\n\r\n')).toContain('\r\nexpect: 100-continue\r\n')
    server.write('HTTP/1.1 100 Continue\r\n\r\n')
    await once(stream, 'continue')
    stream.end('body')
    expect(await server.until('0\r\n\r\n')).toBe('4\r\nbody\r\n0\r\n\r\n')
    server.write(NO_CONTENT)
    expect(await response).toMatchObject({ status: 204, interim: [100] })
  })

  it('is not sent where the server answers 417 in place of 100', async () => {
    const session = await stage.session()
    const headers = { ':path': '/', ':method': 'POST', expect: '100-continue' }
    const stream = session.request(headers, { endStream: false })
    const server = await stage.origin.next()
    await server.until('\r\n\r\n')
    server.write('HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n')
    const [head] = await once(stream, 'response')
    expect(head).toMatchObject({ ':status': 417 })
    stream.end()
    await once(stream, 'close')
    // What is under way of the request belongs to nobody: it is not a connection for the next one.
    const { server: next } = await stage.ask(session)
    expect(next).not.toBe(server)
  })
})

describe('the head of a response', () => {
  it('is in lower case, without what is about the connection', async () => {
    const response = await stage.get(
      [
        'HTTP/1.1 200 Fine',
        'Connection: keep-alive, X-Hop',
        'Keep-Alive: timeout=5',
        'Proxy-Connection: keep-alive',
        'Upgrade: h2c',
        'X-Hop: 1',
        'X-Upper: Value ',
        'Set-Cookie: a=1; Path=/',
        'Set-Cookie: b=2',
        'Vary: accept',
        'Vary: origin',
        'X-Empty:',
        'Content-Length: 4',
        '\r\nbody',
      ].join('\r\n'),
    )
    expect(plainOf(response)).toEqual({
      status: 200,
      fields: {
        'x-upper': 'Value',
        'set-cookie': ['a=1; Path=/', 'b=2'],
        vary: 'accept, origin',
        'x-empty': '',
        'content-length': '4',
      },
      body: 'body',
      trailers: {},
      interim: [],
    })
    expect(stage.mitm.exchanges[0]?.response).toMatchObject({ status: 200, httpVersion: 'HTTP/2' })
  })

  it('has folded lines in one (RFC 9112 section 5.2)', async () => {
    const { headers } = await stage.get(`${OK}X-Folded: one\r\n two\r\n\tthree\r\nContent-Length: 0\r\n\r\n`)
    expect(headers['x-folded']).toMatch(/^one +two[ \t]+three$/)
  })

  it('keeps octets beyond ASCII', async () => {
    const { headers } = await stage.get(`${OK}X-A: gr\u00fc\u00df\r\nContent-Length: 0\r\n\r\n`)
    expect(headers['x-a']).toBe('gr\u00fc\u00df')
  })

  it('may be of HTTP/1.0, and of a status that nobody has defined', async () => {
    expect(await stage.get('HTTP/1.0 299\r\nContent-Length: 4\r\n\r\nbody')).toMatchObject({
      status: 299,
      body: 'body',
    })
  })

  it('comes behind those of 1xx, but not behind a second 101', async () => {
    const response = await stage.get(
      [
        'HTTP/1.1 102 Processing\r\n\r\n',
        'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: close\r\n\r\n',
        'HTTP/1.1 103 Early Hints\r\nLink: </b.css>; rel=preload\r\n\r\n',
        NO_CONTENT,
      ].join(''),
    )
    expect([response.status, response.interim]).toEqual([204, [102, 103, 103]])
    expect(stage.mitm.exchanges[0]?.interim.map(({ fields }) => fields)).toEqual([
      [],
      [['link', '</a.css>; rel=preload']],
      [['link', '</b.css>; rel=preload']],
    ])
  })
})

describe('the body of a response', () => {
  it.each([
    ['HEAD, with a length', 'HEAD', `${OK}Content-Length: 1234\r\n\r\n`, '1234'],
    ['HEAD, in chunks', 'HEAD', `${OK}Transfer-Encoding: chunked\r\n\r\n`, undefined],
    ['204', 'GET', NO_CONTENT, undefined],
    ['304, with a length', 'GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 1234\r\n\r\n', '1234'],
    ['205', 'GET', 'HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n', '0'],
  ])('is none, and the connection goes on: %s', async (_, method, octets, length) => {
    const session = await stage.session()
    const { server, response } = await stage.ask(session, { ':method': method })
    server.write(octets)
    expect(await response).toMatchObject({ body: '' })
    expect((await response).headers['content-length']).toBe(length)
    const again = request(session, { ':path': '/again' })
    expect(await server.until('\r\n\r\n')).toMatch(/^GET \/again /)
    server.write(NO_CONTENT)
    await again
    expect(stage.origin.accepted).toBe(1)
  })

  it('comes out of its chunks, with its trailers', async () => {
    const response = await stage.get(
      `${OK}Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3;a=b\r\none\r\n3\r\ntwo\r\n0\r\nX-Sum: abc\r\nX-Two: 1\r\n\r\n`,
    )
    expect(plainOf(response)).toEqual({
      status: 200,
      fields: { trailer: 'X-Sum' },
      body: 'onetwo',
      trailers: { 'x-sum': 'abc', 'x-two': '1' },
      interim: [],
    })
  })

  it('comes piece by piece', async () => {
    const session = await stage.session()
    const stream = session.request({ ':path': '/' })
    const server = await stage.origin.next()
    server.write(`${OK}Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n`)
    expect(String((await once(stream, 'data'))[0])).toBe('one')
    server.write('3\r\ntwo\r\n0\r\n\r\n')
    expect(String((await once(stream, 'data'))[0])).toBe('two')
  })

  it('goes on to the end of the connection where nothing says its length', async () => {
    const session = await stage.session()
    const { server, response } = await stage.ask(session)
    server.end(`${OK}Connection: close\r\n\r\nto the end`)
    expect(await response).toMatchObject({ status: 200, body: 'to the end' })
    const next = await stage.ask(session)
    next.server.write(NO_CONTENT)
    expect((await next.response).status).toBe(204)
  })

  it('may end before the request does, whose rest is taken in', async () => {
    const session = await stage.session()
    const stream = session.request({ ':path': '/', ':method': 'POST' }, { endStream: false })
    stream.write('half')
    const server = await stage.origin.next()
    await server.until('half\r\n')
    server.write(`${OK}Content-Length: 7\r\n\r\nalready`)
    expect(String((await once(stream, 'data'))[0])).toBe('already')
    stream.end('rest')
    await once(stream, 'close')
    await expect.poll(() => stage.mitm.exchanges[0]?.endReason).toBe('complete')
    expect(stage.mitm.exchanges[0]?.request.text()).toBe('halfrest')
    // Nobody can tell how much of it the server has taken: the next request goes elsewhere.
    const next = await stage.ask(session)
    expect(next.server).not.toBe(server)
    next.server.write(NO_CONTENT)
    expect((await next.response).status).toBe(204)
    expect(stage.errors).toEqual([])
  })
})
