import { once } from 'node:events'
import { Agent, request } from 'node:https'
import type { ClientRequest, IncomingMessage, RequestOptions } from 'node:http'
import { createHash } from 'node:crypto'
import { connect } from 'node:tls'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { resetPeer } from '../../faults/reset-peer.ts'
import { secureWire, takeResponse, tunnelTo } from '../../testing/clients.ts'
import type { Wire } from '../../testing/wire.ts'
import { Http2Stage } from '../../testing/http2-stage.ts'
import { TestWebSocket } from '../../testing/web-sockets.ts'

/** A server that speaks HTTP/2 alone, behind a mitm in which a rule might answer for it. */
let stage: Http2Stage
let agent: Agent

/** A client of HTTP/1.1, on a connection that it keeps. */
function ask(path: string, options: RequestOptions = {}): ClientRequest {
  const asked = request({ agent, hostname: 'api.test', path, ...options })
  // One that breaks off behind its head is told by the response.
  asked.on('error', () => undefined)
  return asked
}

async function responseOf(asked: ClientRequest): Promise<IncomingMessage & { text: string }> {
  const [response] = (await once(asked, 'response')) as [IncomingMessage]
  let text = ''
  for await (const chunk of response) text += String(chunk)
  return Object.assign(response, { text })
}

async function secured(): Promise<Wire> {
  const { certificate } = await stage.mitm.certificateAuthority()
  const wire = await tunnelTo(stage.mitm, 'api.test:443')
  return await secureWire(wire, { servername: 'api.test', ca: certificate, ALPNProtocols: ['http/1.1'] })
}

beforeEach(async () => {
  stage = await Http2Stage.open({ settings: { enableConnectProtocol: true } })
  stage.take('late bridge')
  agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const { certificate } = await stage.mitm.certificateAuthority()
  agent.createConnection = (_, done) => {
    const open = async (): Promise<void> => {
      const { socket } = await tunnelTo(stage.mitm, 'api.test:443')
      socket.removeAllListeners('data')
      const tls = connect({ socket, servername: 'api.test', ca: certificate, ALPNProtocols: ['http/1.1'] })
      // Told by the request that it carries.
      tls.on('error', () => undefined)
      done?.(null, tls)
    }
    void open()
    return undefined
  }
})

afterEach(async () => {
  agent.destroy()
  await stage[Symbol.asyncDispose]()
})

describe('a client of HTTP/1.1 at a server that speaks HTTP/2 alone', () => {
  it('gets responses one after the other, on one connection', async () => {
    stage.handler = (stream, raw) => {
      stream.respond({ ':status': 200, 'x-path': raw[raw.indexOf(':path') + 1], 'set-cookie': ['a=1', 'b=2'] })
      stream.end('hello')
    }
    for (const path of ['/one?x=1', '/two']) {
      const response = await responseOf(ask(path).end())
      expect(response).toMatchObject({ statusCode: 200, statusMessage: 'OK', httpVersion: '1.1', text: 'hello' })
      expect(response.headers).toMatchObject({ 'x-path': path, 'set-cookie': ['a=1', 'b=2'] })
      expect(response.headers['transfer-encoding']).toBe('chunked')
    }
    expect(stage.serverSessions).toHaveLength(1)
    await stage.ended(2)
    const [exchange] = stage.mitm.exchanges
    expect(exchange).toMatchObject({
      endReason: 'complete',
      answeredBy: 'server',
      serverAddress: stage.server.authority,
    })
    expect(exchange?.connection.serverTls?.alpn).toBe('h2')
    expect(stage.mitm.errors).toEqual([])
  })

  it('sends fields without those of its connection, the Host as authority, and a body with its trailers', async () => {
    let raw: readonly string[] = []
    let body = ''
    let trailers: unknown
    stage.handler = (stream, fields) => {
      raw = fields
      stream.setEncoding('utf8').on('data', (text: string) => (body += text))
      stream.on('trailers', (headers: unknown) => (trailers = headers))
      stream.on('end', () => stream.respond({ ':status': 201 }, { endStream: true }))
    }
    const headers = {
      Connection: 'keep-alive, X-Hop',
      'X-Hop': '1',
      'X-Kept': '2',
      Cookie: 'a=1; b=2',
      Trailer: 'x-sum',
    }
    const asked = ask('/upload', { method: 'PUT', headers: { ...headers, 'transfer-encoding': 'chunked' } })
    asked.addTrailers({ 'X-Sum': '7' })
    asked.write('first ')
    asked.end('second')
    expect(await responseOf(asked)).toMatchObject({ statusCode: 201, text: '' })
    expect(raw.slice(0, 8)).toEqual([
      ':method',
      'PUT',
      ':authority',
      'api.test',
      ':scheme',
      'https',
      ':path',
      '/upload',
    ])
    const pairs = Object.fromEntries(
      raw.slice(8).map((name, at, all) => (at % 2 === 0 ? [name, all[at + 9]] : ['', ''])),
    )
    expect(Object.keys(pairs).filter((name) => name !== '')).toEqual(['x-kept', 'cookie', 'trailer'])
    expect(body).toBe('first second')
    expect(trailers).toMatchObject({ 'x-sum': '7' })
  })

  it('gets trailers, interim responses, and what has no body', async () => {
    stage.handler = (stream, raw) => {
      const path = raw[raw.indexOf(':path') + 1]
      if (path === '/trailers') {
        stream.additionalHeaders({ ':status': 103, link: '</a.css>' })
        stream.respond({ ':status': 200 }, { waitForTrailers: true })
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
        stream.end('body')
      } else if (path === '/head') stream.respond({ ':status': 200, 'content-length': '1000' }, { endStream: true })
      else stream.respond({ ':status': path === '/304' ? 304 : 204, etag: '"a"' }, { endStream: true })
    }
    const asked = ask('/trailers')
    const early = once(asked, 'information')
    asked.end()
    const response = await responseOf(asked)
    expect((await early)[0]).toMatchObject({ statusCode: 103, headers: { link: '</a.css>' } })
    expect(response).toMatchObject({ text: 'body', trailers: { 'grpc-status': '0' } })
    for (const path of ['/304', '/204']) {
      expect(await responseOf(ask(path).end())).toMatchObject({ statusCode: Number(path.slice(1)), text: '' })
    }
    const head = await responseOf(ask('/head', { method: 'HEAD' }).end())
    expect(head.headers).toMatchObject({ 'content-length': '1000' })
    expect(stage.serverSessions).toHaveLength(1)
  })

  it('passes large bodies both ways, at the pace of who reads', async () => {
    const size = 10 * 2 ** 20
    stage.handler = (stream) => {
      const hash = createHash('sha256')
      stream.on('data', (chunk: Buffer) => hash.update(chunk))
      stream.on('end', () => {
        stream.respond({ ':status': 200, 'content-length': size, 'x-hash': hash.digest('hex') })
        stream.end(Buffer.alloc(size, 'y'))
      })
    }
    const body = Buffer.alloc(size, 'x')
    const asked = ask('/large', { method: 'POST', headers: { 'content-length': size } })
    asked.end(body)
    const [response] = (await once(asked, 'response')) as [IncomingMessage]
    expect(response.headers['x-hash']).toBe(createHash('sha256').update(body).digest('hex'))
    await new Promise((resolve) => setTimeout(resolve, 50))
    let got = 0
    for await (const chunk of response) got += (chunk as Buffer).length
    expect(got).toBe(size)
  })

  it('is told by a closed connection where a stream breaks', async () => {
    stage.handler = (stream, raw) => {
      if (raw.includes('/at-once')) stream.close(2)
      else {
        stream.respond({ ':status': 200 })
        stream.write('half')
        // close() would end it before.
        setTimeout(() => stream.destroy(new Error('broken')), 20)
      }
    }
    await expect(responseOf(ask('/at-once').end())).rejects.toThrow(/ECONNRESET/)
    await expect(responseOf(ask('/midway').end())).rejects.toThrow(/aborted|ECONNRESET/)
    await stage.ended(2)
    expect(stage.mitm.exchanges.map(({ endReason }) => endReason)).toEqual(['server-reset', 'server-reset'])
  })

  it('is obeyed by rules and faults as ever', async () => {
    stage.handler = (stream) => {
      stream.respond({ ':status': 200, 'content-type': 'text/plain' })
      stream.end('from the server')
    }
    stage.mitm.get('https://api.test/changed').rewriteResponse({ headers: { 'x-by': 'rule' } })
    stage.mitm.get('https://api.test/reset').fault(resetPeer({ afterBytes: 4 }))
    const changed = await responseOf(ask('/changed').end())
    expect(changed).toMatchObject({ text: 'from the server', headers: { 'x-by': 'rule' } })
    await expect(responseOf(ask('/reset').end())).rejects.toThrow(/aborted|ECONNRESET/)
  })

  it('that leaves takes its request back', async () => {
    let code: number | undefined
    stage.handler = (stream) => void stream.on('close', () => (code = stream.rstCode))
    const asked = ask('/hang').end()
    await expect.poll(() => stage.serverSessions.length).toBe(1)
    await stage.mitm.waitForRequest('**/hang')
    asked.destroy()
    await expect.poll(() => code).toBeDefined()
    await stage.ended(1)
    expect(stage.mitm.exchanges[0]?.endReason).toMatch(/^client/)
  })

  it('may be one of HTTP/1.0, and have requests under way behind one another', async () => {
    stage.handler = (stream, raw) => {
      stream.respond({ ':status': 200 })
      stream.end(raw[raw.indexOf(':path') + 1])
    }
    const old = await secured()
    old.write('GET /old HTTP/1.0\r\nHost: api.test\r\n\r\n')
    const response = await takeResponse(old)
    expect(response.headers['transfer-encoding']).toBeUndefined()
    expect(response.body.toString()).toBe('/old')
    expect(await old.ended).toBe('fin')
    const wire = await secured()
    wire.write('GET /1 HTTP/1.1\r\nHost: api.test\r\n\r\nGET /2 HTTP/1.1\r\nHost: api.test\r\n\r\n')
    expect((await takeResponse(wire)).body.toString()).toBe('/1')
    expect((await takeResponse(wire)).body.toString()).toBe('/2')
  })

  it.each([
    ['it was seen to choose HTTP/2', 'late bridge'],
    ['a rule only looks on', 'bridge'],
  ] as const)('reaches it where %s', async (_, way) => {
    stage.handler = (stream) => {
      stream.respond({ ':status': 200 })
      stream.end('reached')
    }
    const seen = await stage.session('relay')
    await once(seen.request({ ':path': '/' }).end(), 'response')
    stage.take(way)
    expect(await responseOf(ask('/').end())).toMatchObject({ statusCode: 200, httpVersion: '1.1', text: 'reached' })
  })

  it('gets the alert of the server where no rule is for it', async () => {
    stage.take('relay')
    await expect(secured()).rejects.toThrow(/no application protocol/)
  })

  it('is told what there is no way to say', async () => {
    const wire = await secured()
    wire.write('CONNECT other.test:443 HTTP/1.1\r\nHost: other.test\r\n\r\n')
    expect((await takeResponse(wire)).status).toBe(501)
  })
})

describe('a WebSocket of HTTP/1.1 at a server that speaks HTTP/2 alone', () => {
  const open = async (): Promise<TestWebSocket> => {
    const { socket } = await secured()
    socket.removeAllListeners('data')
    return new TestWebSocket('wss://api.test/chat', ['chat'], { createConnection: () => socket })
  }

  it('opens by extended CONNECT, and passes messages both ways', async () => {
    let raw: readonly string[] = []
    stage.handler = (stream, fields) => {
      raw = fields
      stream.respond({ ':status': 200, 'sec-websocket-protocol': 'chat' })
      // An echo of frames, without their masks.
      stream.on('data', (frame: Buffer) => stream.write(unmasked(frame)))
      stream.on('end', () => stream.end())
    }
    await using socket = await (await open()).opened()
    socket.send('hello')
    await socket.until('hello')
    expect(Object.fromEntries(raw.flatMap((name, at) => (at % 2 === 0 ? [[name, raw[at + 1]]] : [])))).toMatchObject({
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':path': '/chat',
      'sec-websocket-version': '13',
    })
    expect(raw).not.toContain('sec-websocket-key')
    expect(stage.mitm.exchanges[0]?.messages.map((message) => `${message.from} ${message.text()}`)).toEqual([
      'client hello',
      'server hello',
    ])
  })

  it('is refused where the server opens none', async () => {
    await stage[Symbol.asyncDispose]()
    stage = await Http2Stage.open()
    stage.take('late bridge')
    const socket = await open()
    expect(await socket.opened().catch((error: unknown) => String(error))).toMatch(/501/)
  })
})

/** A short frame of a client as a server would send it. */
function unmasked(frame: Buffer): Buffer {
  const length = frame.readUInt8(1) & 0x7f
  const mask = frame.subarray(2, 6)
  const payload = frame.subarray(6, 6 + length).map((octet, at) => octet ^ (mask[at % 4] ?? 0))
  return Buffer.concat([Buffer.from([frame.readUInt8(0), length]), payload])
}
