import { brotliCompressSync, constants, createGzip, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'

import { describe, expect, it } from 'vitest'

import { faults } from '../index.ts'
import type { Answer } from '../middleware.ts'
import { startMitm } from '../test-mitm.ts'
import { takeResponse, tunnelTo } from '../testing/clients.ts'
import type { WireResponse } from '../testing/clients.ts'
import { httpServer, wireServer } from '../testing/servers.ts'
import type { HttpServer } from '../testing/servers.ts'
import { gate } from '../testing/waits.ts'
import type { Wire } from '../testing/wire.ts'

const ask = (path: string, method = 'GET', rest = '\r\n'): string =>
  `${method} ${path} HTTP/1.1\r\nHost: a.test\r\n${rest}`

async function exchange(client: Wire, path: string, method = 'GET', rest?: string): Promise<WireResponse> {
  client.write(ask(path, method, rest))
  return takeResponse(client, method)
}

function upperCase(): TransformStream<Uint8Array, Uint8Array> {
  return new TransformStream({
    transform: (chunk, controller) =>
      controller.enqueue(Buffer.from(Buffer.from(chunk).toString('latin1').toUpperCase(), 'latin1')),
  })
}

function append(text: string): TransformStream<Uint8Array, Uint8Array> {
  return new TransformStream({ flush: (controller) => controller.enqueue(Buffer.from(text)) })
}

function failing(after: number): TransformStream<Uint8Array, Uint8Array> {
  let count = 0
  return new TransformStream({
    transform(chunk, controller) {
      if (count++ >= after) throw new Error('ouch')
      controller.enqueue(chunk)
    },
  })
}

describe('transformResponse()', () => {
  it.each([
    ['plain', undefined, (octets: Buffer) => octets],
    ['gzip', 'gzip', gzipSync],
    ['deflate', 'deflate', deflateSync],
    ['bare deflate', 'deflate', deflateRawSync],
    ['br', 'br', brotliCompressSync],
    ['gzip in br', 'gzip, br', (octets: Buffer) => brotliCompressSync(gzipSync(octets))],
    ['gzip that breaks off', 'gzip', (octets: Buffer) => gzipSync(octets).subarray(0, -8)],
  ])('pipes the decoded body of a server, and the connection goes on: %s', async (_, coding, encode) => {
    await using origin = await httpServer((_request, response) => {
      if (coding !== undefined) response.setHeader('content-encoding', coding)
      response.end(encode(Buffer.from('some text')))
    })
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm.get('**').transformResponse(() => append('!'))
    mitm.get('**').transformResponse(() => upperCase())
    const client = await tunnelTo(mitm, 'a.test:80')
    for (let count = 0; count < 2; count++) {
      const { headers, body } = await exchange(client, '/')
      expect([headers['transfer-encoding'], headers['content-length'], headers['content-encoding']]).toEqual([
        'chunked',
        undefined,
        undefined,
      ])
      expect(String(body)).toBe('SOME TEXT!')
    }
    expect(mitm.exchanges[0]?.response?.text()).toBe('SOME TEXT!')
    expect(mitm.exchanges[0]?.serverResponse?.fields.some(([name]) => /content-length/i.test(name))).toBe(true)
    expect(mitm.exchanges.map(({ endReason }) => endReason)).toEqual(['complete', 'complete'])
    expect(mitm.errors).toEqual([])
  })

  it('passes each piece on as it comes, compressed or not', async () => {
    const more = gate()
    await using origin = await httpServer((request, response) => {
      const isZipped = request.url === '/gzip'
      if (isZipped) response.setHeader('content-encoding', 'gzip')
      const out = isZipped ? createGzip({ flush: constants.Z_SYNC_FLUSH }) : response
      if (out !== response) out.pipe(response)
      out.write('first')
      void more.opened.then(() => out.end('second'))
    })
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm.get('**').transformResponse(upperCase)
    const clients = [await tunnelTo(mitm, 'a.test:80'), await tunnelTo(mitm, 'a.test:80')]
    for (const [at, path] of ['/plain', '/gzip'].entries()) {
      clients[at]?.write(ask(path))
      await clients[at]?.until('5\r\nFIRST\r\n')
    }
    more.open()
    for (const client of clients) expect(await client.until('0\r\n\r\n')).toBe('6\r\nSECOND\r\n0\r\n\r\n')
  })

  it('holds nothing whole: a body of any size passes, under back-pressure', async () => {
    const size = 40 * 1024 * 1024
    let written = 0
    await using origin = await httpServer((_, response) => {
      response.setHeader('content-length', size)
      const piece = Buffer.alloc(65_536, 'x')
      const write = (): void => {
        while (written < size) {
          written += piece.length
          if (!response.write(piece)) {
            response.once('drain', write)
            return
          }
        }
        response.end()
      }
      write()
    })
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority }, maxBodyBytes: 1000 })
    mitm.get('**').transformResponse(() => new TransformStream())
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write(ask('/'))
    await client.until('\r\n\r\n')
    client.pause()
    let last = -1
    const isSettled = (): boolean => {
      const isSame = written === last
      last = written
      return isSame
    }
    await expect.poll(isSettled, { interval: 100 }).toBe(true)
    expect(written).toBeLessThan(size)
    client.resume()
    await expect.poll(() => mitm.exchanges[0]?.endReason, { timeout: 15_000 }).toBe('complete')
    expect(mitm.exchanges[0]?.response?.bodySize).toBe(size)
  })

  it('applies to answers, after their rewrites', async () => {
    await using mitm = await startMitm()
    mitm.get('**').respond(200, 'text', { 'content-encoding': 'gzip' })
    mitm.get('**').transformResponse(upperCase)
    mitm.get('**').rewriteResponse((response) => ({ body: `${response.text()} more` }))
    const client = await tunnelTo(mitm, 'a.test:80')
    expect(String((await exchange(client, '/')).body)).toBe('TEXT MORE')
    expect((await exchange(client, '/')).headers['content-encoding']).toBeUndefined()
  })

  it('applies to an answer from a web stream, which a rewrite has read whole before', async () => {
    await using mitm = await startMitm()
    mitm.get('http://shop.test/').respond({ status: 200, body: new Blob(['{"a":1}']).stream() })
    mitm.get('http://shop.test/').rewriteResponse({ jsonMerge: { b: 2 } })
    const response = await mitm.fetch('http://shop.test/')
    expect(await response.json()).toEqual({ a: 1, b: 2 })
    expect(mitm.errors).toEqual([])
  })

  it('applies to what a rewrite has made of a response of a server', async () => {
    await using origin = await httpServer((_, response) => response.end('text'))
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm.get('**').rewriteResponse((response) => ({ body: `${response.text()} more` }))
    mitm.get('**').transformResponse(upperCase)
    const client = await tunnelTo(mitm, 'a.test:80')
    for (let count = 0; count < 2; count++) expect(String((await exchange(client, '/')).body)).toBe('TEXT MORE')
  })

  it('leaves responses without a body as they are', async () => {
    await using origin = await httpServer((request, response) => {
      if (request.method === 'GET') response.statusCode = 304
      response.end()
    })
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm.when('**').transformResponse(() => append('!'))
    const client = await tunnelTo(mitm, 'a.test:80')
    for (const method of ['HEAD', 'GET', 'HEAD']) {
      const { body } = await exchange(client, '/', method)
      expect([body.length, client.buffered.length]).toEqual([0, 0])
    }
  })

  it('ends with the connection for a client of HTTP/1.0', async () => {
    await using origin = await httpServer((_, response) => response.end('text'))
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm.get('**').transformResponse(upperCase)
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write('GET / HTTP/1.0\r\nHost: a.test\r\nConnection: keep-alive\r\n\r\n')
    expect(await client.rest()).toMatch(/connection: close\r\n\r\nTEXT$/i)
    await expect.poll(() => mitm.exchanges[0]?.endReason).toBe('complete')
  })

  it('turns a response that ends with its connection into chunks', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm.get('**').transformResponse(upperCase)
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write(ask('/'))
    const server = await origin.next()
    await server.until('\r\n\r\n')
    server.end('HTTP/1.1 200 OK\r\n\r\ntext')
    expect(await client.rest()).toMatch(/\r\n\r\n4\r\nTEXT\r\n0\r\n\r\n$/)
    expect(await client.ended).toBe('fin')
  })

  it('breaks off where the server does', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm.get('**').transformResponse(upperCase)
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write(ask('/'))
    const server = await origin.next()
    await server.until('\r\n\r\n')
    server.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')
    await client.until('HALF')
    server.reset()
    expect(await client.ended).toBe('reset')
    await expect.poll(() => mitm.exchanges[0]?.endReason).toBe('server-reset')
    expect(mitm.errors).toEqual([])
  })

  it.each([
    [
      'throws',
      (): never => {
        throw new Error('ouch')
      },
      'ouch',
    ],
    ['makes none', (): never => ({}) as never, 'expected a TransformStream'],
  ])('answers 500 when its function %s', async (_, factory, text) => {
    await using origin = await httpServer()
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm.get('**/bad').transformResponse(factory)
    const client = await tunnelTo(mitm, 'a.test:80')
    const { status, headers, body } = await exchange(client, '/bad')
    expect([status, headers['x-playwright-mitm-error']]).toEqual([500, 'MITM_RULE_FAILED'])
    expect(String(body)).toContain(text)
    expect(mitm.errors[0]?.message).toContain('streams-on-the-wire.test.ts')
    expect(String((await exchange(client, '/good')).body)).toBe('GET /good')
  })

  it('that fails half way breaks the response off, and names its own rule', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm.get('**').transformResponse(() => new TransformStream())
    mitm.get('**/bad').transformResponse(() => failing(1))
    mitm.get('**/bad').transformResponse(() => new TransformStream())
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write(ask('/bad'))
    const server = await origin.next()
    await server.until('\r\n\r\n')
    server.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst')
    await client.until('first')
    server.write('next!')
    expect(await client.ended).toBe('reset')
    await expect.poll(() => mitm.errors.map(({ code }) => code)).toEqual(['MITM_RULE_FAILED'])
    expect(mitm.errors[0]?.message).toMatch(/\/bad.*transform the body of the response by .*ouch/)
    expect(mitm.exchanges[0]?.endReason).toBe('failed')
  })

  it('says so where the body is not what its coding says, or is in one that nobody knows', async () => {
    await using origin = await httpServer((request, response) => {
      response.setHeader('content-encoding', request.url === '/zstd' ? 'zstd' : 'gzip')
      response.end('plain')
    })
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm.get('**').transformResponse(upperCase)
    const client = await tunnelTo(mitm, 'a.test:80')
    const unknown = await exchange(client, '/zstd')
    expect([unknown.status, unknown.headers['x-playwright-mitm-error']]).toEqual([502, 'MITM_BODY_UNDECODABLE'])
    client.write(ask('/gzip'))
    expect(await client.ended).toBe('reset')
    await expect
      .poll(() => mitm.errors.map(({ code }) => code))
      .toEqual(['MITM_BODY_UNDECODABLE', 'MITM_BODY_UNDECODABLE'])
  })
})

describe('transformRequest()', () => {
  const echo = (): Promise<HttpServer> =>
    httpServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const { headers, trailers } = request
        response.end(JSON.stringify({ headers, trailers, body: String(Buffer.concat(chunks)) }))
      })
    })

  it.each([
    ['plain', '', Buffer.from('some text')],
    ['gzip', 'Content-Encoding: gzip\r\n', gzipSync('some text')],
  ])('pipes the decoded body to the server in chunks, and the connection goes on: %s', async (_, fields, body) => {
    await using origin = await echo()
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm.post('**').transformRequest(() => append('!'))
    mitm.post('**').transformRequest(upperCase)
    const client = await tunnelTo(mitm, 'a.test:80')
    for (let count = 0; count < 2; count++) {
      client.write(ask('/', 'POST', `${fields}Content-Length: ${body.length}\r\n\r\n`))
      client.write(body)
      const seen: unknown = JSON.parse(String((await takeResponse(client)).body))
      expect(seen).toMatchObject({ body: 'SOME TEXT!', headers: { 'transfer-encoding': 'chunked' } })
      expect(seen).not.toHaveProperty(['headers', 'content-encoding'])
      expect(seen).not.toHaveProperty(['headers', 'content-length'])
    }
    expect(mitm.exchanges[0]?.sentRequest?.text()).toBe('SOME TEXT!')
    expect(mitm.exchanges[0]?.request.text()).toBe('some text')
    expect(mitm.exchanges.map(({ endReason }) => endReason)).toEqual(['complete', 'complete'])
  })

  it('passes each piece on as it comes, and trailers behind them', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm.post('**').transformRequest(upperCase)
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write(ask('/', 'POST', 'Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'))
    const server = await origin.next()
    await server.until('\r\n\r\n4\r\nHALF\r\n')
    client.write('4\r\nmore\r\n0\r\nX-Sum: 8\r\n\r\n')
    expect(await server.until('8\r\n\r\n')).toBe('4\r\nMORE\r\n0\r\nX-Sum: 8\r\n\r\n')
    server.write('HTTP/1.1 204 No Content\r\n\r\n')
    expect((await takeResponse(client)).status).toBe(204)
  })

  it('changes what a rewrite has made, and leaves requests without a body as they are', async () => {
    await using origin = await echo()
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm.when('**').transformRequest(upperCase)
    mitm.post('**').rewriteRequest((request) => ({ body: `${request.text()} more` }))
    const client = await tunnelTo(mitm, 'a.test:80')
    const changed: unknown = JSON.parse(
      String((await exchange(client, '/', 'POST', 'Content-Length: 4\r\n\r\ntext')).body),
    )
    expect(changed).toMatchObject({ body: 'TEXT MORE' })
    const same: unknown = JSON.parse(String((await exchange(client, '/')).body))
    expect(same).toEqual({ body: '', trailers: {}, headers: { host: 'a.test' } })
  })

  it('passes a body on that is larger than what may be held', async () => {
    const size = 4 * 1024 * 1024
    await using origin = await echo()
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority }, maxBodyBytes: 100_000 })
    mitm.post('**').transformRequest(upperCase)
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write(ask('/', 'POST', `Content-Length: ${size}\r\n\r\n`))
    client.write(Buffer.alloc(size, 'x'))
    const { body } = await takeResponse(client)
    expect(JSON.parse(String(body))).toMatchObject({ body: 'X'.repeat(size) })
  })

  it('that fails half way breaks the exchange off, and names the rule', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm.post('**').transformRequest(() => failing(1))
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write(ask('/', 'POST', 'Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'))
    const server = await origin.next()
    await server.until('half')
    client.write('4\r\nmore\r\n')
    expect(await server.ended).toBe('reset')
    expect(await client.ended).toBe('reset')
    await expect.poll(() => mitm.errors.map(({ code }) => code)).toEqual(['MITM_RULE_FAILED'])
  })
})

describe('forwardTo()', () => {
  it('sends requests to another origin, with path and query, whose own server need not exist', async () => {
    await using origin = await httpServer((request, response) => response.end(`${request.url} ${request.headers.host}`))
    await using mitm = await startMitm()
    mitm.get('**/x*').forwardTo(origin.origin)
    mitm.get('**/kept*').forwardTo(`${origin.origin}/`, { keepHost: true })
    const client = await tunnelTo(mitm, 'a.test:80')
    expect(String((await exchange(client, '/x?y=1')).body)).toBe(`/x?y=1 ${origin.authority}`)
    expect(String((await exchange(client, '/kept?y=1')).body)).toBe('/kept?y=1 a.test')
    expect(mitm.errors).toEqual([])
  })
})

describe('streams together with faults', () => {
  it('a reset breaks a streamed answer off, and closes what it came from', async () => {
    await using mitm = await startMitm()
    const closed = gate()
    async function* ticks(): AsyncGenerator<string, void, undefined> {
      try {
        for (;;) {
          yield 'tick '
          await new Promise((resolve) => setImmediate(resolve))
        }
      } finally {
        closed.open()
      }
    }
    mitm
      .get('**')
      .respond(200, ticks())
      .fault(faults.resetPeer({ afterBytes: 50 }))
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write(ask('/'))
    expect(await client.ended).toBe('reset')
    await closed.opened
    expect(mitm.exchanges[0]?.endReason).toBe('fault')
    expect(mitm.errors).toEqual([])
  })

  it('latency delays events and loses none, and the connection goes on', async () => {
    await using mitm = await startMitm()
    mitm
      .get('**')
      .sse(['a', 'b'])
      .fault(faults.latency({ ms: 40 }))
    const client = await tunnelTo(mitm, 'a.test:80')
    for (let count = 0; count < 2; count++) {
      const before = performance.now()
      expect(String((await exchange(client, '/')).body)).toBe('data: a\n\ndata: b\n\n')
      expect(performance.now() - before).toBeGreaterThan(38)
    }
  })

  it('a limit counts what has been transformed', async () => {
    await using origin = await httpServer((_, response) => response.end('x'.repeat(100_000)))
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm
      .get('**')
      .transformResponse(upperCase)
      .fault(faults.limitData({ bytes: 5000 }))
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write(ask('/'))
    const text = await client.rest()
    expect(text.slice(text.indexOf('\r\n\r\n') + 4)).toMatch(/^[0-9a-f]+\r\nX+$/)
    await expect.poll(() => mitm.exchanges[0]?.endReason).toBe('fault')
    expect(mitm.errors).toEqual([])
  })
})

describe('a raw answer', () => {
  const raw = (octets: string, end: 'close' | 'reset' | 'stall'): Answer => ({
    kind: 'raw',
    octets: () => Buffer.from(octets, 'latin1'),
    end,
  })

  it('that is a whole response is one, and the connection ends', async () => {
    await using mitm = await startMitm()
    mitm.use({
      mayAnswer: () => true,
      intercept: () => ({ answer: raw('HTTP/1.1 200 Fine\r\nContent-Length: 2\r\n\r\nok', 'close') }),
    })
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write(ask('/', 'POST', 'Content-Length: 4\r\n\r\n'))
    client.write('body')
    expect(await client.rest()).toBe('HTTP/1.1 200 Fine\r\nContent-Length: 2\r\n\r\nok')
    expect(await client.ended).toBe('fin')
    await expect.poll(() => mitm.exchanges[0]?.endReason).toBe('complete')
    expect(mitm.exchanges[0]?.response?.text()).toBe('ok')
    expect(mitm.exchanges[0]?.answeredBy).toBe('rule')
  })

  it('that is none is sent as it is', async () => {
    await using mitm = await startMitm()
    mitm.use({ mayAnswer: () => true, intercept: () => ({ answer: raw('\x00\xffgarbage', 'close') }) })
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write(ask('/'))
    expect(await client.rest()).toBe('\x00\xffgarbage')
    await expect.poll(() => mitm.exchanges[0]?.endReason).toBe('fault')
    expect(mitm.exchanges[0]?.response).toBeUndefined()
  })

  it('may be followed by a reset, or by nothing', async () => {
    await using mitm = await startMitm()
    const half = 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf'
    mitm.use({
      mayAnswer: () => true,
      intercept: ({ request }) => ({ answer: raw(half, request.url.endsWith('/reset') ? 'reset' : 'stall') }),
    })
    const reset = await tunnelTo(mitm, 'a.test:80')
    reset.write(ask('/reset'))
    expect(await reset.until('half')).toBe(half)
    expect(await reset.ended).toBe('reset')
    const stalled = await tunnelTo(mitm, 'a.test:80')
    stalled.write(ask('/stall'))
    await stalled.until('half')
    expect(mitm.exchanges[1]?.endReason).toBeUndefined()
    expect(mitm.exchanges[1]?.response?.status).toBe(200)
    stalled.end()
    await expect.poll(() => mitm.exchanges[1]?.endReason).toBe('client-closed')
  })
})
