import { describe, expect, it } from 'vitest'

import { startMitm } from '../../test-mitm.ts'
import { connectTo, secureAtOnce, secureWire, socksTo, takeResponse, tunnelTo } from '../../testing/clients.ts'
import { identityFor, originAuthority } from '../../testing/identity.ts'
import { closedPort, httpServer, tlsWireServer, wireServer } from '../../testing/servers.ts'

const UPGRADE = 'GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'
const SWITCHED = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'

describe('inside CONNECT', () => {
  it('plain HTTP is understood', async () => {
    await using origin = await httpServer()
    await using mitm = await startMitm()
    const client = await tunnelTo(mitm, origin.authority)
    client.write('GET /plain HTTP/1.1\r\nHost: shop.test\r\n\r\n')
    expect(String((await takeResponse(client)).body)).toBe('GET /plain')
    expect(mitm.connections[0]?.layers).toEqual(['connect', 'http/1.1'])
    expect(mitm.exchanges[0]?.request.url).toBe('http://shop.test/plain')
  })

  it.each(['CONNECT', 'SOCKS5'])('of %s octets that are no protocol are relayed as they are', async (door) => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    const client =
      door === 'CONNECT' ? await tunnelTo(mitm, origin.authority) : await socksTo(mitm, '127.0.0.1', origin.port)
    const octets = Buffer.from(Array.from({ length: 256 }, (_, at) => at))
    client.write(octets)
    const server = await origin.next()
    expect(await server.take(256)).toEqual(octets)
    server.write(octets.toReversed())
    expect(await client.take(256)).toEqual(Buffer.from(octets.toReversed()))
    expect(mitm.connections[0]?.layers.at(-1)).toBe('tcp')
    expect(mitm.exchanges).toEqual([])
  })

  it('first octets without a line end are passed on, though they could be the beginning of a method', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm({ firstBytesWaitMs: 30 })
    const client = await tunnelTo(mitm, origin.authority)
    const begun = performance.now()
    client.write('hello')
    expect(String(await (await origin.next()).take(5))).toBe('hello')
    expect(performance.now() - begun).toBeLessThan(1500)
  })

  it.each(['CONNECT', 'SOCKS5'])('of %s the server may speak first', async (door) => {
    await using origin = await wireServer()
    await using mitm = await startMitm({ firstBytesWaitMs: 20 })
    const client =
      door === 'CONNECT' ? await tunnelTo(mitm, origin.authority) : await socksTo(mitm, '127.0.0.1', origin.port)
    const server = await origin.next()
    server.write('220 mail.test ESMTP\r\n')
    expect(await client.until('\r\n')).toBe('220 mail.test ESMTP\r\n')
    client.write('EHLO a\r\n')
    expect(await server.until('\r\n')).toBe('EHLO a\r\n')
  })

  it('the client may speak long after the tunnel was opened', async () => {
    await using origin = await httpServer()
    await using mitm = await startMitm({ firstBytesWaitMs: 1 })
    const client = await tunnelTo(mitm, origin.authority)
    await expect.poll(() => origin.accepted).toBe(1)
    await new Promise((resolve) => setTimeout(resolve, 30))
    client.write('GET /late HTTP/1.1\r\nHost: a\r\n\r\n')
    expect(String((await takeResponse(client)).body)).toBe('GET /late')
    expect(mitm.exchanges).toHaveLength(1)
  })

  it('octets in the packet of the CONNECT are not lost', async () => {
    await using origin = await httpServer()
    await using mitm = await startMitm()
    const client = await connectTo(mitm)
    client.write(`CONNECT ${origin.authority} HTTP/1.1\r\n\r\nGET /early HTTP/1.1\r\nHost: a\r\n\r\n`)
    await client.until('200 Connection Established\r\n\r\n')
    expect(String((await takeResponse(client)).body)).toBe('GET /early')
  })

  it('a CONNECT is for the server: another proxy', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    const client = await tunnelTo(mitm, origin.authority)
    client.write('CONNECT far.test:443 HTTP/1.1\r\n\r\n')
    const server = await origin.next()
    expect(await server.until('\r\n\r\n')).toBe('CONNECT far.test:443 HTTP/1.1\r\n\r\n')
    server.write('HTTP/1.1 200 OK\r\n\r\n')
    await client.until('\r\n\r\n')
    client.write('\0deep')
    expect(String(await server.take(5))).toBe('\0deep')
    server.write('GET is no response\r\n')
    expect(await client.until('\r\n')).toBe('GET is no response\r\n')
    await expect.poll(() => mitm.exchanges[0]?.request.method).toBe('CONNECT')
  })
})

describe('CONNECT', () => {
  it('is answered 200 only when the server is connected', async () => {
    await using mitm = await startMitm()
    const port = await closedPort()
    const client = await connectTo(mitm)
    client.write(`CONNECT 127.0.0.1:${port} HTTP/1.1\r\n\r\n`)
    const response = await takeResponse(client)
    expect([response.status, response.headers['x-playwright-mitm-error']]).toEqual([502, 'MITM_DIAL_FAILED'])
    expect(String(response.body)).toContain(`127.0.0.1:${port}: ECONNREFUSED`)
    expect(await client.ended).toBe('fin')
  })

  it('takes names of any case, IPv6 addresses, and no port for 443', async () => {
    await using six = await wireServer('::1')
    await using origin = await wireServer()
    await using mitm = await startMitm({ hosts: { 'shop.test:443': origin.authority } })
    await tunnelTo(mitm, `[::1]:${six.port}`)
    await six.next()
    await tunnelTo(mitm, 'SHOP.test')
    await origin.next()
    await tunnelTo(mitm, 'shop.TEST:443')
    await origin.next()
    await tunnelTo(mitm, `LOCALHOST:${origin.port}`)
    await origin.next()
  })

  it.each(['/path', 'http://a.test/', 'a.test:99999', ':443', 'a b:1', '[::1'])(
    'with the target %j is answered 400',
    async (target) => {
      await using mitm = await startMitm()
      const client = await connectTo(mitm)
      client.write(`CONNECT ${target} HTTP/1.1\r\nHost: a\r\n\r\n`)
      const status = (await client.rest()).split(' ')[1]
      expect(status === '400' || mitm.errors[0]?.code === 'MITM_NO_PROTOCOL').toBe(true)
      expect(mitm.errors).toHaveLength(1)
    },
  )
})

describe('TLS to the proxy itself', () => {
  it('carries CONNECT, and TLS to the server inside that', async () => {
    await using origin = await httpServer(undefined, await identityFor('pay.test'))
    await using mitm = await startMitm({
      hosts: { 'pay.test': origin.authority },
      upstream: { ca: (await originAuthority()).certificate },
    })
    const ca = (await mitm.certificateAuthority()).certificate
    const outer = await secureWire(await connectTo(mitm), { ca, host: '127.0.0.1' })
    const options = { ca, servername: 'pay.test' }
    const head = 'CONNECT pay.test:443 HTTP/1.1\r\n\r\n'
    const client = await secureAtOnce(outer, head, (wire) => wire.until('\r\n\r\n'), options)
    client.write('GET /inner HTTP/1.1\r\nHost: pay.test\r\n\r\n')
    expect(String((await takeResponse(client)).body)).toBe('GET /inner')
    expect(mitm.connections[0]?.layers).toEqual(['tls', 'connect', 'tls', 'http/1.1'])
    expect(mitm.exchanges[0]?.request.url).toBe('https://pay.test/inner')
  })

  it('carries absolute-form requests to plain servers', async () => {
    await using origin = await httpServer()
    await using mitm = await startMitm()
    const ca = (await mitm.certificateAuthority()).certificate
    const client = await secureWire(await connectTo(mitm), { ca, host: '127.0.0.1' })
    client.write(`GET ${origin.origin}/abs HTTP/1.1\r\nHost: ${origin.authority}\r\n\r\n`)
    expect(String((await takeResponse(client)).body)).toBe('GET /abs')
  })
})

describe('Upgrade', () => {
  it.each(['plain', 'TLS'])(
    'accepted: octets pass both ways, the first ones in the packet of the 101 (%s)',
    async (how) => {
      const identity = await identityFor('ws.test')
      await using origin = how === 'TLS' ? await tlsWireServer(identity) : await wireServer()
      await using mitm = await startMitm({
        hosts: { 'ws.test': origin.authority },
        upstream: { ca: (await originAuthority()).certificate },
      })
      const raw = await tunnelTo(mitm, 'ws.test:443')
      const ca = (await mitm.certificateAuthority()).certificate
      const client = how === 'TLS' ? await secureWire(raw, { ca, servername: 'ws.test' }) : raw
      client.write(UPGRADE)
      const server = await origin.next()
      expect(await server.until('\r\n\r\n')).toBe(UPGRADE)
      server.write(`${SWITCHED}\x81\x02hi`)
      expect(await client.until('\x81\x02hi')).toBe(`${SWITCHED}\x81\x02hi`)
      client.write('\x81\x85GET / HTTP/1.1\r\n\r\n')
      expect(await server.until('\r\n\r\n')).toBe('\x81\x85GET / HTTP/1.1\r\n\r\n')
      server.end('\x88\0')
      expect(await client.rest()).toBe('\x88\0')
      client.end()
      await expect.poll(() => mitm.exchanges.map(({ endReason }) => endReason)).toEqual(['upgraded'])
      expect(mitm.exchanges[0]?.response?.status).toBe(101)
    },
  )

  it('accepted: what the client sends before the 101 is not taken for a request', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    const client = await tunnelTo(mitm, origin.authority)
    client.write(`${UPGRADE}GET /not-http HTTP/1.1\r\n\r\n`)
    const server = await origin.next()
    await server.until('\r\n\r\n')
    server.write(SWITCHED)
    await client.until('\r\n\r\n')
    expect(await server.until('\r\n\r\n')).toBe('GET /not-http HTTP/1.1\r\n\r\n')
    expect(mitm.exchanges).toHaveLength(1)
  })

  it('refused: the connection goes on with HTTP', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    const client = await tunnelTo(mitm, origin.authority)
    client.write(UPGRADE)
    const server = await origin.next()
    await server.until('\r\n\r\n')
    server.write('HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno')
    expect(String((await takeResponse(client)).body)).toBe('no')
    client.write('GET /next HTTP/1.1\r\nHost: a\r\n\r\n')
    await server.until('/next HTTP/1.1\r\nHost: a\r\n\r\n')
    server.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    expect(String((await takeResponse(client)).body)).toBe('ok')
    expect(mitm.exchanges.map(({ endReason }) => endReason)).toEqual(['complete', 'complete'])
  })

  it('by an absolute-form request of a proxy client', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    const client = await connectTo(mitm)
    client.write(UPGRADE.replace('/ws', `http://${origin.authority}/ws`))
    const server = await origin.next()
    expect(await server.until('\r\n\r\n')).toBe(UPGRADE)
    server.write(SWITCHED)
    await client.until('\r\n\r\n')
    client.write('\0ping')
    expect(String(await server.take(5))).toBe('\0ping')
    server.write('\0pong')
    expect(String(await client.take(5))).toBe('\0pong')
    client.reset()
    expect(await server.ended).toBe('reset')
    await expect.poll(() => mitm.exchanges[0]?.endReason).toBe('upgraded')
  })
})
