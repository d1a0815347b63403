/** Clients of HTTP/2 and servers of HTTP/1.1: connections, what breaks on them, how fast they are read, and tunnels. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { ClientHttp2Session, ClientHttp2Stream } from 'node:http2'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { Http1BehindHttp2, HTTP1_GET, HTTP1_NAME } from '../../testing/http1-behind-http2.ts'
import type { FramePeer } from '../../testing/frame-peer.ts'
import { Http2Stage } from '../../testing/http2-stage.ts'
import { request, responseOf } from '../../testing/http2.ts'
import type { Http2Response } from '../../testing/http2.ts'
import { wireServer } from '../../testing/servers.ts'
import { settled } from '../../testing/waits.ts'
import type { Wire } from '../../testing/wire.ts'
import { acceptKey } from '../websocket/handshake.ts'
import { writeMessage } from '../websocket/write.ts'
import { ERROR_CODE, SETTING } from './frame.ts'

const NO_CONTENT = 'HTTP/1.1 204 No Content\r\n\r\n'
const OK = 'HTTP/1.1 200 OK\r\n'
const MIB = 2 ** 20

let stage: Http1BehindHttp2
beforeEach(async () => {
  stage = await Http1BehindHttp2.open()
})
const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  await stage[Symbol.asyncDispose]()
  for (const close of closers.splice(0)) await close()
})

/** Answers all that is asked, on every connection, with the path; one that begins with `/last` is the last of its connection. */
function answerAll(onRequest: (path: string) => void = () => undefined): void {
  const serve = async (server: Wire): Promise<void> => {
    for (;;) {
      const [, path = ''] = (await server.until('\r\n\r\n')).split(' ')
      onRequest(path)
      const isLast = path.startsWith('/last')
      server.write(`${OK}Content-Length: ${path.length}\r\n${isLast ? 'Connection: close\r\n' : ''}\r\n${path}`)
      if (isLast) return server.end()
    }
  }
  const accept = async (): Promise<void> => {
    const server = await stage.origin.next()
    void accept()
    // It ends when the connection does.
    await serve(server).catch(() => undefined)
  }
  void accept()
}

const ask = (session: ClientHttp2Session, path = '/', body?: string): Promise<Http2Response> =>
  request(session, { ':authority': HTTP1_NAME, ':path': path, ':method': body === undefined ? 'GET' : 'POST' }, body)

/** An error of the mitm in place of a response. */
function errorOf({ status, headers }: Http2Response): unknown {
  return [status, headers['x-playwright-mitm-error']]
}

describe('connections', () => {
  it('are used for one request after the other', async () => {
    answerAll()
    const session = await stage.session()
    for (const path of ['/1', '/2', '/3']) expect((await ask(session, path)).body).toBe(path)
    expect(stage.origin.accepted).toBe(1)
  })

  it('are as many as there are requests at a time, and each is used again', async () => {
    const session = await stage.session()
    const all = ['/1', '/2', '/3', '/4'].map((path) => ask(session, path))
    const servers = await Promise.all(all.map(() => stage.origin.next()))
    const answer = async (server: Wire): Promise<string> => {
      const [, path = ''] = (await server.until('\r\n\r\n')).split(' ')
      server.write(`${OK}Content-Length: ${path.length}\r\n\r\n${path}`)
      return path
    }
    // What is answered first has no meaning for the others.
    const paths: string[] = []
    for (const server of servers.toReversed()) paths.push(await answer(server))
    expect(paths.toSorted()).toEqual(['/1', '/2', '/3', '/4'])
    expect((await Promise.all(all)).map(({ body }) => body)).toEqual(['/1', '/2', '/3', '/4'])
    const again = ['/5', '/6', '/7', '/8'].map((path) => ask(session, path))
    await Promise.all(servers.map(answer))
    expect((await Promise.all(again)).map(({ body }) => body)).toEqual(['/5', '/6', '/7', '/8'])
    expect(stage.origin.accepted).toBe(4)
  })

  it('pass a hundred requests at a time', async () => {
    answerAll()
    const session = await stage.session()
    const paths = Array.from({ length: 100 }, (_, at) => `/${at}`)
    const bodies = (await Promise.all(paths.map((path) => ask(session, path)))).map(({ body }) => body)
    expect(bodies).toEqual(paths)
    expect(stage.errors).toEqual([])
  })

  it.each([
    ['Connection: close', `HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok`],
    ['HTTP/1.0', `HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok`],
  ])('are not used again after %s', async (_, octets) => {
    const session = await stage.session()
    const { server, response } = await stage.ask(session)
    server.write(octets)
    expect((await response).body).toBe('ok')
    const next = await stage.ask(session)
    next.server.write(NO_CONTENT)
    expect((await next.response).status).toBe(204)
    expect([stage.origin.accepted, server.buffered.length]).toEqual([2, 0])
  })

  it('that the server has closed while nothing was asked are not missed', async () => {
    const session = await stage.session()
    const { server, response } = await stage.ask(session)
    server.write(NO_CONTENT)
    await response
    server.end()
    for (const body of [undefined, 'body']) {
      const again = ask(session, '/', body)
      const next = await stage.origin.next()
      await next.until(body ? '0\r\n\r\n' : '\r\n\r\n')
      next.end(NO_CONTENT)
      expect((await again).status).toBe(204)
    }
    expect(stage.errors).toEqual([])
  })

  it('that the server closes when it gets another request are tried anew, once', async () => {
    const session = await stage.session()
    const { server, response } = await stage.ask(session)
    server.write(NO_CONTENT)
    await response
    const again = ask(session, '/again')
    await server.until('/again HTTP/1.1\r\n')
    server.end()
    const next = await stage.origin.next()
    expect(await next.until('\r\n\r\n')).toContain('GET /again HTTP/1.1\r\n')
    next.end()
    expect(errorOf(await again)).toEqual([502, 'MITM_SERVER_CLOSED'])
    expect(stage.origin.accepted).toBe(2)
  })

  it('that break with a request that has a body are not: the server may have taken it', async () => {
    const session = await stage.session()
    const { server, response } = await stage.ask(session)
    server.write(NO_CONTENT)
    await response
    const again = ask(session, '/again', 'body')
    await server.until('body\r\n')
    server.end()
    expect(errorOf(await again)).toEqual([502, 'MITM_SERVER_CLOSED'])
    expect(stage.origin.accepted).toBe(1)
  })

  it('on which something comes unasked are given up', async () => {
    const session = await stage.session()
    const { server, response } = await stage.ask(session)
    server.write(NO_CONTENT)
    await response
    server.write(`${OK}Content-Length: 4\r\n\r\nevil`)
    await server.ended
    const next = await stage.ask(session)
    next.server.write(NO_CONTENT)
    expect((await next.response).status).toBe(204)
  })

  it('on which a stream was reset are given up, and no other', async () => {
    const session = await stage.session()
    const other = await stage.ask(session)
    const stream = session.request({ ':path': '/' })
    stream.on('error', () => undefined)
    const server = await stage.origin.next()
    await server.until('\r\n\r\n')
    stream.close(8)
    await server.ended
    other.server.write(NO_CONTENT)
    expect((await other.response).status).toBe(204)
    expect(stage.errors).toEqual([])
  })
})

describe('a response that is none', () => {
  it.each([
    ['another protocol', 'SSH-2.0-OpenSSH_9\r\n'],
    ['a status that is none', 'HTTP/1.1 abc OK\r\n\r\n'],
    ['two lengths', `${OK}Content-Length: 4\r\nContent-Length: 5\r\n\r\nbody`],
    ['a length that is none', `${OK}Content-Length: -1\r\n\r\n`],
    ['a coding that nobody knows', `${OK}Transfer-Encoding: chunked, other\r\n\r\n`],
    ['a line that is no field', `${OK}no field\r\nContent-Length: 0\r\n\r\n`],
    ['a blank before the colon', `${OK}X-A : b\r\nContent-Length: 0\r\n\r\n`],
    ['NUL in a value', `${OK}X-A: b\0c\r\nContent-Length: 0\r\n\r\n`],
    ['a head without end', `${OK}${'X-A: bbbbbbbbbbbbbbbbbbbbbbbbbbb\r\n'.repeat(20_000)}`],
    [
      '101 that nobody asked for',
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\nhello',
    ],
  ])('is answered with 502, and the connection given up: %s', async (_, octets) => {
    const session = await stage.session()
    const { server, response } = await stage.ask(session)
    server.write(octets)
    expect(errorOf(await response)).toEqual([502, 'MITM_MALFORMED_RESPONSE'])
    await server.ended
    expect(stage.errors).toEqual(['MITM_MALFORMED_RESPONSE'])
    expect(stage.mitm.exchanges[0]).toMatchObject({ answeredBy: 'mitm', endReason: 'complete' })
    // The client goes on.
    const next = await stage.ask(session)
    next.server.write(NO_CONTENT)
    expect((await next.response).status).toBe(204)
  })

  it.each([
    ['a chunk', 'Transfer-Encoding: chunked\r\n\r\n4\r\nsome\r\nxyz\r\n'],
    ['what follows a chunk', 'Transfer-Encoding: chunked\r\n\r\n4\r\nsomemore\r\n'],
  ])('in %s breaks the stream off', async (_, octets) => {
    const client = await stage.frames()
    client.headers(1, HTTP1_GET, true)
    const server = await stage.origin.next()
    server.write(`${OK}${octets}`)
    await client.hear('RST_STREAM 1 INTERNAL_ERROR')
    await server.ended
    expect(client.heard).not.toContain('END 1')
    expect(stage.errors).toEqual(['MITM_MALFORMED_RESPONSE'])
    expect(stage.mitm.exchanges[0]?.endReason).toBe('failed')
  })
})

describe('large bodies', () => {
  const BODY = Buffer.alloc(10 * MIB, 'playwright')
  const hashOf = (octets: Buffer): string => createHash('sha256').update(octets).digest('base64')

  it.each([{ framing: 'a length' }, { framing: 'chunks' }])(
    'go to a server as fast as it reads, and arrive whole: by $framing',
    async ({ framing }) => {
      const session = await stage.session()
      const length = framing === 'a length' ? { 'content-length': String(BODY.length) } : {}
      const stream = session.request({ ':path': '/', ':method': 'POST', ...length }, { endStream: false })
      const response = responseOf(stream)
      const server = await stage.origin.next()
      const head = await server.until('\r\n\r\n')
      server.pause()
      stream.end(BODY)
      const read = (): number => stage.mitm.connections[0]?.bytesFromClient ?? 0
      await expect.poll(read).toBeGreaterThan(60_000)
      expect(await settled(read)).toBeLessThan(6 * MIB)
      server.resume()
      const isChunked = /chunked/.test(head)
      const body: Buffer[] = []
      if (!isChunked) body.push(await server.take(BODY.length))
      for (let size = isChunked ? -1 : 0; size !== 0;) {
        size = Number.parseInt(await server.until('\r\n'), 16)
        body.push(await server.take(size))
        await server.until('\r\n')
      }
      server.write(NO_CONTENT)
      expect(hashOf(Buffer.concat(body))).toBe(hashOf(BODY))
      expect((await response).status).toBe(204)
      expect(stage.mitm.exchanges[0]?.request.bodySize).toBe(BODY.length)
    },
  )

  it.each([`Content-Length: ${BODY.length}\r\n\r\n`, 'Transfer-Encoding: chunked\r\n\r\n', '\r\n'])(
    'come to a client as fast as it reads, and arrive whole: %j',
    async (fields) => {
      const session = await stage.session()
      const stream = session.request({ ':path': '/' })
      stream.pause()
      const server = await stage.origin.next()
      server.write(`${OK}${fields}`)
      const isChunked = fields.includes('chunked')
      server.write(isChunked ? `${BODY.length.toString(16)}\r\n` : '')
      server.end(Buffer.concat([BODY, Buffer.from(isChunked ? '\r\n0\r\n\r\n' : '')]))
      const read = (): number => stage.mitm.connections[0]?.bytesFromServer ?? 0
      await expect.poll(read).toBeGreaterThan(60_000)
      expect(await settled(read)).toBeLessThan(6 * MIB)
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.resume()
      await once(stream, 'end')
      expect(hashOf(Buffer.concat(chunks))).toBe(hashOf(BODY))
      await expect.poll(() => stage.mitm.exchanges[0]?.endReason).toBe('complete')
      expect(stage.mitm.exchanges[0]?.response?.bodySize).toBe(BODY.length)
    },
  )

  it('of one stream do not hold the others', async () => {
    const session = await stage.session()
    const slow = session.request({ ':path': '/' })
    slow.pause()
    slow.on('error', () => undefined)
    const server = await stage.origin.next()
    server.write(`${OK}Content-Length: ${BODY.length}\r\n\r\n`)
    server.write(BODY)
    await expect.poll(() => stage.mitm.exchanges[0]?.response?.bodySize ?? 0).toBeGreaterThan(60_000)
    const other = await stage.ask(session)
    other.server.write(`${OK}Content-Length: 200000\r\n\r\n`)
    other.server.write(Buffer.alloc(200_000, 'a'))
    expect((await other.response).body).toHaveLength(200_000)
  })
})

describe('a tunnel', () => {
  const connect = async (): Promise<{ readonly client: FramePeer; readonly server: Wire }> => {
    const client = await stage.frames()
    client.headers(1, [
      [':method', 'CONNECT'],
      [':authority', 'db.test:5432'],
    ])
    const server = await stage.origin.next()
    expect(await server.until('\r\n\r\n')).toBe('CONNECT db.test:5432 HTTP/1.1\r\nhost: db.test:5432\r\n\r\n')
    server.write('HTTP/1.1 200 Connection Established\r\nX-A: 1\r\n\r\nhello')
    await client.hear('DATA 1 5')
    client.data(1, 'octets')
    expect(String(await server.take(6))).toBe('octets')
    return { client, server }
  }

  it.each(['client', 'server'] as const)(
    'by CONNECT passes octets both ways, until both ends: first the %s',
    async (first) => {
      const { client, server } = await connect()
      if (first === 'client') {
        client.data(1, 'bye', true)
        expect(await server.rest()).toBe('bye')
        server.end('bye')
        await client.hear('END 1')
      } else {
        server.end('bye')
        await client.hear('END 1')
        client.data(1, '', true)
      }
      await expect.poll(() => stage.mitm.exchanges[0]?.endReason).toBe('upgraded')
      expect(stage.errors).toEqual([])
    },
  )

  it('by CONNECT is broken off with its stream', async () => {
    const { client, server } = await connect()
    client.reset(1, ERROR_CODE.cancel)
    await server.ended
    await expect.poll(() => stage.mitm.exchanges[0]?.endReason).toBe('client-reset')
  })

  it('by CONNECT that is refused is a response like others', async () => {
    const client = await stage.frames()
    client.headers(1, [
      [':method', 'CONNECT'],
      [':authority', 'db.test:5432'],
    ])
    const server = await stage.origin.next()
    await server.until('\r\n\r\n')
    server.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno')
    await client.hear('END 1')
    expect(stage.mitm.exchanges[0]?.response).toMatchObject({ status: 403, bodySize: 2 })
  })

  it('for a WebSocket is not offered where nobody knows what the server speaks, but is an upgrade', async () => {
    const client = await stage.frames()
    client.headers(1, [[':method', 'CONNECT'], [':protocol', 'websocket'], ...HTTP1_GET.slice(1)])
    const server = await stage.origin.next()
    expect(await server.until('\r\n\r\n')).toMatch(/^GET \/ HTTP\/1\.1\r\n[^]*\r\nupgrade: websocket\r\n/)
    expect(client.settings.get(SETTING.enableConnectProtocol) ?? 0).toBe(0)
  })
})

describe('a WebSocket over HTTP/2 that a rule sends to a server of HTTP/1.1', () => {
  /** A handshake by extended CONNECT (RFC 8441), and how the server of HTTP/1.1 gets it. */
  async function shaken(): Promise<{
    readonly stage: Http2Stage
    readonly stream: ClientHttp2Stream
    readonly server: Wire
    readonly head: string
  }> {
    const http1 = await wireServer()
    const http2 = await Http2Stage.open({
      settings: { enableConnectProtocol: true },
      mitm: { hosts: { 'ws.test': http1.authority } },
    })
    closers.push(async () => {
      await http2[Symbol.asyncDispose]()
      await http1[Symbol.asyncDispose]()
    })
    const session = await http2.session('bridge')
    // What the server of the connection offers, its client is offered.
    await expect.poll(() => session.remoteSettings.enableConnectProtocol).toBe(true)
    http2.mitm.when({ path: '/live' }).forwardTo('http://ws.test')
    const stream = session.request({
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':path': '/live?a=b',
      'sec-websocket-version': '13',
      'sec-websocket-protocol': 'chat',
      origin: 'https://shop.test',
    })
    stream.on('error', () => undefined)
    const server = await http1.next()
    return { stage: http2, stream, server, head: await server.until('\r\n\r\n') }
  }

  const keyOf = (head: string): string => /^sec-websocket-key: (\S+)\r$/m.exec(head)?.[1] ?? ''
  const switched = (accept: string): string =>
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: chat\r\n\r\n`

  it('asks for an upgrade, and is one when that is granted', async () => {
    const { stage: http2, stream, server, head } = await shaken()
    expect(head).toMatch(/^GET \/live\?a=b HTTP\/1\.1\r\nhost: ws\.test\r\n/)
    expect(head).toMatch(/\r\nconnection: Upgrade\r\nupgrade: websocket\r\n/)
    expect(head).toMatch(/\r\nsec-websocket-protocol: chat\r\n/)
    expect(head).not.toMatch(/transfer-encoding|content-length/i)
    expect(Buffer.from(keyOf(head), 'base64')).toHaveLength(16)
    server.write(switched(acceptKey(keyOf(head))))
    const [headers] = await once(stream, 'response')
    expect(headers).toMatchObject({ ':status': 200, 'sec-websocket-protocol': 'chat' })
    expect(Object.keys(headers as object)).not.toContain('sec-websocket-accept')
    const message = writeMessage('client', 'text', Buffer.from('hello'))
    stream.write(message)
    expect((await server.take(message.length)).equals(message)).toBe(true)
    const answer = writeMessage('server', 'text', Buffer.from('world'))
    server.write(answer)
    expect(answer.equals((await once(stream, 'data'))[0] as Buffer)).toBe(true)
    const messages = (): unknown => http2.mitm.exchanges[0]?.webSocket?.messages.map((each) => [each.from, each.text()])
    expect(messages()).toEqual([
      ['client', 'hello'],
      ['server', 'world'],
    ])
    stream.close()
    await server.ended
    expect(http2.mitm.errors).toEqual([])
  })

  it.each([
    ['200 in place of 101', () => `${OK}Content-Length: 0\r\n\r\n`],
    ['an accept key that is not the right one', () => switched('bm90IHRoaXMga2V5IGF0IGFsbCE=')],
  ])('is answered with 502 where the server has not understood it: %s', async (_, octets) => {
    const { stage: http2, stream, server } = await shaken()
    server.write(octets())
    const [headers] = await once(stream, 'response')
    expect(headers).toMatchObject({ ':status': 502, 'x-playwright-mitm-error': 'MITM_MALFORMED_RESPONSE' })
    expect(http2.mitm.exchanges[0]?.webSocket).toBeUndefined()
  })

  it('passes a refusal on', async () => {
    const { stream, server } = await shaken()
    server.write('HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno')
    const [headers] = await once(stream, 'response')
    expect(headers).toMatchObject({ ':status': 403 })
    expect(String((await once(stream, 'data'))[0])).toBe('no')
  })
})
