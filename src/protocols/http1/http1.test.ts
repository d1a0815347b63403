import { request as httpRequest } from 'node:http'

import { describe, expect, it } from 'vitest'

import { startMitm } from '../../test-mitm.ts'
import { connectTo, takeResponse, tunnelTo } from '../../testing/clients.ts'
import { httpServer, wireServer } from '../../testing/servers.ts'
import { settled } from '../../testing/waits.ts'
import type { Wire } from '../../testing/wire.ts'

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

describe('a proxy client', () => {
  it('goes to several hosts on one connection, and back', async () => {
    await using one = await httpServer((_, response) => response.end('one'))
    await using other = await httpServer((_, response) => response.end('other'))
    await using mitm = await startMitm()
    const client = await connectTo(mitm)
    const bodies: string[] = []
    for (const { origin, authority } of [one, other, one, one]) {
      client.write(`GET ${origin}/x HTTP/1.1\r\nHost: ${authority}\r\n\r\n`)
      bodies.push(String((await takeResponse(client)).body))
    }
    expect(bodies).toEqual(['one', 'other', 'one', 'one'])
    expect([one.accepted, other.accepted]).toEqual([2, 1])
    expect(mitm.connections).toHaveLength(1)
    expect(mitm.exchanges.map(({ request }) => request.url)).toEqual(
      [one, other, one, one].map(({ origin }) => `${origin}/x`),
    )
    expect(mitm.connections[0]?.servers.map(({ port }) => port)).toEqual([one.port, other.port, one.port])
  })

  it('does not wait for the server before to close when it goes on to another host', async () => {
    await using lingering = await wireServer()
    await using other = await httpServer()
    await using mitm = await startMitm()
    const client = await connectTo(mitm)
    client.write(`GET http://${lingering.authority}/ HTTP/1.1\r\nHost: a\r\n\r\n`)
    const server = await lingering.next()
    await server.until('\r\n\r\n')
    server.write(OK)
    await takeResponse(client)
    const begun = performance.now()
    client.write(`GET ${other.origin}/ HTTP/1.1\r\nHost: b\r\n\r\n`)
    expect((await takeResponse(client)).status).toBe(200)
    expect(performance.now() - begun).toBeLessThan(500)
    expect(await server.ended).toBe('fin')
  })

  it('goes to several hosts in one packet: the answers come in order', async () => {
    await using one = await httpServer((_, response) => setImmediate(() => response.end('one')))
    await using other = await httpServer((_, response) => response.end('other'))
    await using mitm = await startMitm()
    const client = await connectTo(mitm)
    client.write(
      [one, other, one]
        .map(({ origin, authority }) => `GET ${origin}/ HTTP/1.1\r\nHost: ${authority}\r\n\r\n`)
        .join(''),
    )
    const bodies = [await takeResponse(client), await takeResponse(client), await takeResponse(client)]
    expect(bodies.map(({ body }) => String(body))).toEqual(['one', 'other', 'one'])
  })

  it('asks in absolute-form and the server is asked in origin-form, every other octet as it came', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    const client = await connectTo(mitm)
    const fields = `hOsT:  ${origin.authority}\r\nX-Two:a\r\nx-two: b \r\nEmpty:\r\n\r\n`
    client.write(`GET http://${origin.authority}/a?b#c HTTP/1.1\r\n${fields}`)
    const server = await origin.next()
    expect(await server.until('\r\n\r\n')).toBe(`GET /a?b#c HTTP/1.1\r\n${fields}`)
    const response = 'HTTP/1.1 299 Most odd\r\nsErVer: x\r\nSet-Cookie: a\r\nset-cookie: b\r\nContent-length: 0\r\n\r\n'
    server.write(response)
    expect(await client.until('\r\n\r\n')).toBe(response)
  })

  it('may ask in origin-form: the Host field says where, port included', async () => {
    await using origin = await httpServer()
    await using mitm = await startMitm({ hosts: { 'shop.test': origin.authority } })
    for (const host of [origin.authority, `localhost:${origin.port}`, 'shop.test', `shop.test:${origin.port}`]) {
      const client = await connectTo(mitm)
      client.write(`GET /by-host HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
      expect(String((await takeResponse(client)).body)).toBe('GET /by-host')
      client.end()
    }
    expect(mitm.exchanges.map(({ request }) => request.url)).toContain('http://shop.test/by-host')
  })

  it('is told when a server that was kept alive is gone: the next request gets a new one', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    const client = await connectTo(mitm)
    const ask = `GET http://${origin.authority}/ HTTP/1.1\r\nHost: ${origin.authority}\r\n\r\n`
    client.write(ask)
    const first = await origin.next()
    await first.until('\r\n\r\n')
    first.end(OK)
    await takeResponse(client)
    await first.ended
    client.write(ask)
    const second = await origin.next()
    await second.until('\r\n\r\n')
    second.write(OK)
    expect(String((await takeResponse(client)).body)).toBe('ok')
  })

  it('is answered 502 with the reason when a server cannot be reached, and may go on', async () => {
    await using origin = await httpServer()
    await using mitm = await startMitm({ hosts: { 'gone.test': '127.0.0.1:1' } })
    const client = await connectTo(mitm)
    client.write('GET http://gone.test/ HTTP/1.1\r\nHost: gone.test\r\n\r\n')
    const refused = await takeResponse(client)
    expect([refused.status, refused.headers['x-playwright-mitm-error']]).toEqual([502, 'MITM_DIAL_FAILED'])
    expect(String(refused.body)).toContain('Cannot connect to gone.test:80: ECONNREFUSED at 127.0.0.1:1')
    client.write(`GET ${origin.origin}/ HTTP/1.1\r\nHost: ${origin.authority}\r\n\r\n`)
    expect((await takeResponse(client)).status).toBe(200)
    expect(mitm.exchanges[0]).toMatchObject({ answeredBy: 'mitm', error: { code: 'MITM_DIAL_FAILED' } })
  })

  it('is a real one: node:http through the proxy, kept alive', async () => {
    await using origin = await httpServer((request, response) => {
      request.pipe(response)
    })
    await using mitm = await startMitm()
    const body = await new Promise<string>((resolve, reject) => {
      const request = httpRequest(
        { port: mitm.port, method: 'POST', path: `${origin.origin}/echo`, headers: { host: origin.authority } },
        (response) => {
          let text = ''
          response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
          response.on('end', () => resolve(text))
        },
      )
      request.on('error', reject)
      request.end('héllo')
    })
    expect(body).toBe('héllo')
    expect(mitm.exchanges[0]?.request.text()).toBe('héllo')
    expect(mitm.exchanges[0]?.response?.text()).toBe('héllo')
  })
})

/** A tunnel and the server at its end. */
async function through(
  mitm: { port: number },
  origin: { authority: string; next(): Promise<Wire> },
): Promise<[Wire, Wire]> {
  const client = await tunnelTo(mitm, origin.authority)
  return [client, await origin.next()]
}

describe('messages', () => {
  it('are recognised when they come octet by octet, both ways', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    const [client, server] = await through(mitm, origin)
    const request = 'POST /slow HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: 1\r\n\r\n'
    const response = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'
    const record = mitm.connections[0]
    const before = record?.bytesFromClient ?? 0
    for (let at = 0; at < request.length; at++) {
      client.write(request.slice(at, at + 1))
      // Each octet goes alone: the next follows when this one has arrived.
      await expect.poll(() => record?.bytesFromClient, { interval: 1 }).toBe(before + at + 1)
    }
    expect(String(await server.take(request.length))).toBe(request)
    for (let at = 0; at < response.length; at++) {
      server.write(response.slice(at, at + 1))
      await expect.poll(() => record?.bytesFromServer, { interval: 1 }).toBe(at + 1)
    }
    expect(String(await client.take(response.length))).toBe(response)
    const [exchange] = mitm.exchanges
    expect(exchange).toMatchObject({ endReason: 'complete', request: { bodySize: 3, trailers: [['T', '1']] } })
    expect(exchange?.response?.text()).toBe('ok')
  })

  it('are recognised wherever the first head is split', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    const head = `GET http://${origin.authority}/s HTTP/1.1\r\nHost: x\r\n\r\n`
    for (let at = 1; at < head.length; at++) {
      const client = await connectTo(mitm)
      client.write(head.slice(0, at))
      await expect.poll(() => mitm.connections.at(-1)?.bytesFromClient, { interval: 1 }).toBe(at)
      client.write(head.slice(at))
      const server = await origin.next()
      expect(await server.until('\r\n\r\n')).toBe('GET /s HTTP/1.1\r\nHost: x\r\n\r\n')
      client.socket.destroy()
    }
  })

  it('may be pipelined: requests go on at once, responses stay in order', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    const [client, server] = await through(mitm, origin)
    const requests = [1, 2, 3].map((n) => `GET /${n} HTTP/1.1\r\nHost: a\r\n\r\n`).join('')
    client.write(requests)
    expect(String(await server.take(requests.length))).toBe(requests)
    for (const n of [1, 2, 3]) server.write(`HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n${n}`)
    const bodies = [await takeResponse(client), await takeResponse(client), await takeResponse(client)]
    expect(bodies.map(({ body }) => String(body))).toEqual(['1', '2', '3'])
    expect(mitm.exchanges.map(({ request, response }) => `${request.target}=${response?.text()}`)).toEqual([
      '/1=1',
      '/2=2',
      '/3=3',
    ])
  })

  it('may be pipelined with mocks between them: responses stay in order', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    mitm.get('**/mock*').respond(200, 'mocked')
    const client = await tunnelTo(mitm, origin.authority)
    const paths = ['/1', '/mock1', '/2', '/3', '/mock2', '/mock3', '/4']
    client.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join(''))
    const server = await origin.next()
    const answers = (async () => {
      for (let count = 0; count < 4; count++) {
        const path = (await server.until('\r\n\r\n')).split(' ')[1] ?? ''
        server.write(`HTTP/1.1 200 OK\r\nContent-Length: ${path.length}\r\n\r\n${path}`)
      }
    })()
    const bodies: string[] = []
    for (const _ of paths) {
      bodies.push(String((await takeResponse(client)).body))
    }
    await answers
    expect(bodies).toEqual(['/1', 'mocked', '/2', '/3', 'mocked', 'mocked', '/4'])
  })

  it.each([
    ['100', 'HTTP/1.1 100 Continue\r\n\r\n'],
    ['103', 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n'],
    ['several', 'HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </b>\r\n\r\n'],
  ])('may have interim responses before the final one: %s', async (_, interim) => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    const [client, server] = await through(mitm, origin)
    client.write('GET /a HTTP/1.1\r\nHost: a\r\n\r\n')
    await server.until('\r\n\r\n')
    server.write(interim)
    expect(String(await client.take(interim.length))).toBe(interim)
    server.write(OK)
    expect(String(await client.take(OK.length))).toBe(OK)
    const [exchange] = mitm.exchanges
    expect(exchange?.interim).toHaveLength(interim.split('HTTP/').length - 1)
    expect(exchange?.response?.status).toBe(200)
  })

  it.each([
    ['HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n'],
    ['GET', 'HTTP/1.1 204 No Content\r\n\r\n'],
    ['GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 100\r\nETag: "a"\r\n\r\n'],
    ['HEAD', 'HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ])('end with their head where they have no body: %s, %j', async (method, response) => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    const [client, server] = await through(mitm, origin)
    client.write(`${method} /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n`)
    await server.until('/b HTTP/1.1\r\nHost: a\r\n\r\n')
    server.write(response + OK)
    expect(String(await client.take(response.length + OK.length))).toBe(response + OK)
    expect(mitm.exchanges.map(({ endReason, response: got }) => [endReason, got?.bodySize])).toEqual([
      ['complete', 0],
      ['complete', 2],
    ])
  })

  it('wait for 100 Continue of the server, where no rule speaks for it', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    const [client, server] = await through(mitm, origin)
    client.write('POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n')
    await server.until('\r\n\r\n')
    expect(await settled(() => client.buffered.length)).toBe(0)
    server.write('HTTP/1.1 100 Continue\r\n\r\n')
    await client.until('100 Continue\r\n\r\n')
    client.write('abc')
    expect(String(await server.take(3))).toBe('abc')
    server.write(OK)
    expect((await takeResponse(client)).status).toBe(200)
  })

  it('may be refused before their body came (417, 413): the client need not send it', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    const [client, server] = await through(mitm, origin)
    client.write('POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n')
    await server.until('\r\n\r\n')
    server.end('HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
    expect((await takeResponse(client)).status).toBe(413)
    expect(await client.ended).toBe('fin')
    client.end()
    await expect.poll(() => mitm.exchanges[0]?.endReason).toBeDefined()
    expect(mitm.exchanges[0]?.response?.status).toBe(413)
  })

  it('that expect 100-continue are told to go on by the mitm when a rule answers or needs the body', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    mitm.post('**/mock').respond(200, 'mock')
    mitm.post('**/rewrite').rewriteRequest((request) => ({ body: request.text().toUpperCase() }))
    const client = await tunnelTo(mitm, origin.authority)
    const ask = (path: string): string =>
      `POST ${path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n`
    client.write(ask('/mock'))
    await client.until('100 Continue\r\n\r\n')
    client.write('abc')
    expect(String((await takeResponse(client)).body)).toBe('mock')
    client.write(ask('/rewrite'))
    await client.until('100 Continue\r\n\r\n')
    client.write('abc')
    const server = await origin.next()
    const head = await server.until('\r\n\r\n')
    expect(head.toLowerCase()).not.toContain('expect')
    expect(String(await server.take(3))).toBe('ABC')
    server.write(`HTTP/1.1 100 Continue\r\n\r\n${OK}`)
    expect((await takeResponse(client)).status).toBe(200)
  })

  it('may end with the connection', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    const [client, server] = await through(mitm, origin)
    client.write('GET /a HTTP/1.0\r\n\r\n')
    await server.until('\r\n\r\n')
    server.end('HTTP/1.0 200 OK\r\n\r\nuntil the end')
    const response = await takeResponse(client)
    expect(String(response.body)).toBe('until the end')
    client.end()
    await expect.poll(() => mitm.exchanges[0]?.endReason).toBe('complete')
    expect(mitm.exchanges[0]?.response).toMatchObject({ isComplete: true, bodySize: 13 })
  })

  it('are recorded as cut where the server closes too early', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    const [client, server] = await through(mitm, origin)
    client.write('GET /a HTTP/1.1\r\nHost: a\r\n\r\n')
    await server.until('\r\n\r\n')
    server.end('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')
    expect(await client.rest()).toBe('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')
    client.end()
    await expect.poll(() => mitm.exchanges[0]?.endReason).toBe('server-closed')
    expect(mitm.exchanges[0]?.response).toMatchObject({ isComplete: false, bodySize: 4 })
  })
})

describe('intercept()', () => {
  it('is asked about a request whose Host field names another host than its tunnel, and of no host that nobody is for', async () => {
    await using origin = await httpServer()
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority, 'a.test:8080': origin.authority } })
    const asked: string[] = []
    mitm.use({
      mayIntercept: ({ host }) => host === 'b.test',
      intercept: ({ request }) => void asked.push(request.header('host') ?? ''),
    })
    for (const [authority, hosts] of [
      ['a.test:80', ['a.test', 'A.test', 'b.test', 'a.test:80', 'a.test:8080', 'b.test:80']],
      ['a.test:8080', ['a.test:8080', 'a.test']],
    ] as const) {
      const client = await tunnelTo(mitm, authority)
      for (const host of hosts) {
        client.write(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
        expect((await takeResponse(client)).status).toBe(200)
      }
      // One whose head is read the long way.
      client.write('GET / HTTP/1.1\r\nHOST: a.test\r\nExpect: nothing\r\n\r\n')
      await takeResponse(client)
      client.end()
    }
    // Where that is not certain, it is asked: a port that goes without saying, or one that is missing.
    expect(asked).toEqual(['b.test', 'a.test:80', 'a.test:8080', 'b.test:80', 'a.test', 'a.test'])
  })
})
