import { connect } from 'node:net'

import { describe, expect, it } from 'vitest'

import { startMitm } from '../../test-mitm.ts'
import { connectTo, secureAtOnce, socks5Request, socksTo, takeResponse } from '../../testing/clients.ts'
import { HookLog } from '../../testing/hooks.ts'
import { identityFor, originAuthority } from '../../testing/identity.ts'
import { closedPort, httpServer, wireServer } from '../../testing/servers.ts'

const NO_AUTH = Buffer.from([5, 1, 0])

function port(number: number): [number, number] {
  return [number >> 8, number & 0xff]
}

describe('SOCKS5', () => {
  it.each<[string, (origin: number) => Buffer, string | undefined]>([
    ['an IPv4 address', (at) => Buffer.from([5, 1, 0, 1, 127, 0, 0, 1, ...port(at)]), undefined],
    [
      'an IPv6 address',
      (at) => Buffer.from([5, 1, 0, 4, ...Array.from({ length: 15 }, () => 0), 1, ...port(at)]),
      '::1',
    ],
    ['a name', (at) => socks5Request('localhost', at), undefined],
    ['an IPv4 address written as a name', (at) => socks5Request('127.0.0.1', at), undefined],
    ['an IPv6 address written as a name', (at) => socks5Request('::1', at), '::1'],
  ])('connects to %s', async (_, request, host) => {
    await using origin = await wireServer(host)
    await using mitm = await startMitm()
    const client = await connectTo(mitm)
    client.write(NO_AUTH)
    expect([...(await client.take(2))]).toEqual([5, 0])
    client.write(request(origin.port))
    expect([...(await client.take(4))].slice(0, 3)).toEqual([5, 0, 0])
    await client.take(6)
    client.write('\0raw')
    expect(String(await (await origin.next()).take(4))).toBe('\0raw')
    expect(mitm.connections[0]?.layers).toEqual(['socks5', 'tcp'])
  })

  it('accepts any user name and password', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    const client = await connectTo(mitm)
    client.write(Buffer.from([5, 1, 2]))
    expect([...(await client.take(2))]).toEqual([5, 2])
    client.write(Buffer.from([1, 2, 0x61, 0x62, 1, 0x63]))
    expect([...(await client.take(2))]).toEqual([1, 0])
    client.write(socks5Request('127.0.0.1', origin.port))
    expect((await client.take(10))[1]).toBe(0)
    await origin.next()
  })

  it('refuses clients that offer no method it has', async () => {
    await using mitm = await startMitm()
    const client = await connectTo(mitm)
    client.write(Buffer.from([5, 1, 1]))
    expect([...Buffer.from(await client.rest(), 'latin1')]).toEqual([5, 0xff])
    expect(mitm.errors.map(({ code }) => code)).toEqual(['MITM_MALFORMED_SOCKS'])
  })

  it.each([
    ['BIND', 2],
    ['UDP ASSOCIATE', 3],
    ['an unknown command', 9],
  ])('answers %s with "command not supported"', async (_, command) => {
    await using mitm = await startMitm()
    const client = await connectTo(mitm)
    client.write(NO_AUTH)
    await client.take(2)
    client.write(socks5Request('a.test', 80, command))
    expect([...Buffer.from(await client.rest(), 'latin1')].slice(0, 2)).toEqual([5, 7])
    expect(mitm.errors.map(({ code }) => code)).toEqual(['MITM_MALFORMED_SOCKS'])
  })

  it('answers an unknown kind of address with "address type not supported"', async () => {
    await using mitm = await startMitm()
    const client = await connectTo(mitm)
    client.write(NO_AUTH)
    await client.take(2)
    client.write(Buffer.from([5, 1, 0, 7, 1, 2, 3, 4, 5, 6]))
    expect([...Buffer.from(await client.rest(), 'latin1')].slice(0, 2)).toEqual([5, 8])
  })

  it.each([
    ['a connection that is refused', 'gone.test', 5],
    ['a name that does not exist', `${'x'.repeat(64)}.test`, 4],
  ])('tells of %s by the reply code', async (_, name, code) => {
    await using mitm = await startMitm({ hosts: { 'gone.test': `127.0.0.1:${await closedPort()}` } })
    const client = await connectTo(mitm)
    client.write(NO_AUTH)
    await client.take(2)
    client.write(socks5Request(name, 80))
    const reply = [...Buffer.from(await client.rest(), 'latin1')]
    expect(reply).toHaveLength(10)
    expect(reply.slice(0, 2)).toEqual([5, code])
    expect(mitm.errors).toHaveLength(1)
  })

  it('does not connect the proxy to itself', async () => {
    await using mitm = await startMitm()
    const client = await connectTo(mitm)
    client.write(NO_AUTH)
    await client.take(2)
    client.write(socks5Request('127.0.0.1', mitm.port))
    expect(Buffer.from(await client.rest(), 'latin1')[1]).not.toBe(0)
    expect(mitm.errors.map(({ code }) => code)).toEqual(['MITM_LOOP'])
  })

  it('takes everything in one packet: greeting, request, and what follows', async () => {
    await using origin = await httpServer()
    await using mitm = await startMitm()
    const client = await connectTo(mitm)
    client.write(
      Buffer.concat([
        NO_AUTH,
        socks5Request('127.0.0.1', origin.port),
        Buffer.from('GET /early HTTP/1.1\r\nHost: a\r\n\r\n'),
      ]),
    )
    await client.take(12)
    expect(String((await takeResponse(client)).body)).toBe('GET /early')
  })

  it('takes it with a ClientHello behind it, which no hook sees', async () => {
    await using origin = await httpServer(undefined, await identityFor('pay.test'))
    await using mitm = await startMitm({
      hosts: { 'pay.test': origin.authority },
      upstream: { ca: (await originAuthority()).certificate },
    })
    const log = new HookLog()
    mitm.use(log)
    const prelude = Buffer.concat([NO_AUTH, socks5Request('pay.test', 443)])
    const client = await secureAtOnce(await connectTo(mitm), prelude, (wire) => wire.take(12), {
      servername: 'pay.test',
      ca: (await mitm.certificateAuthority()).certificate,
    })
    client.write('GET /sealed HTTP/1.1\r\nHost: pay.test\r\n\r\n')
    expect(String((await takeResponse(client)).body)).toBe('GET /sealed')
    expect(log.calls.filter((call) => call.startsWith('clientData'))).toEqual([
      `clientData:${prelude.toString('latin1')}`,
      'clientData:GET /sealed HTTP/1.1\r\nHost: pay.test\r\n\r\n',
    ])
    expect(mitm.connections[0]?.layers).toEqual(['socks5', 'tls', 'http/1.1'])
  })

  it('takes it octet by octet', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    const client = await connectTo(mitm)
    const octets = Buffer.concat([NO_AUTH, socks5Request('127.0.0.1', origin.port), Buffer.from('\0raw')])
    for (let at = 0; at < octets.length; at++) {
      client.write(octets.subarray(at, at + 1))
      // Each octet goes alone: the next follows when this one has arrived.
      await expect.poll(() => mitm.connections[0]?.bytesFromClient, { interval: 1 }).toBe(at + 1)
    }
    expect(String(await (await origin.next()).take(4))).toBe('\0raw')
    expect([...(await client.take(12))].slice(0, 4)).toEqual([5, 0, 5, 0])
  })

  it('inside a tunnel is for the server: another SOCKS proxy', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    const client = await socksTo(mitm, '127.0.0.1', origin.port)
    client.write(NO_AUTH)
    expect([...(await (await origin.next()).take(3))]).toEqual([...NO_AUTH])
  })

  it('lets names be mapped by the option hosts, and records the name that was asked for', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm({ hosts: { '*.shop.test': `127.0.0.1:${origin.port}` } })
    const client = await socksTo(mitm, 'api.shop.test', 25)
    client.write('\0')
    await (await origin.next()).take(1)
    expect(mitm.connections[0]?.server).toMatchObject({ ip: '127.0.0.1', port: origin.port, host: 'api.shop.test' })
  })
})

describe('SOCKS4', () => {
  const request = (at: number, address: readonly number[], name?: string, command = 1): Buffer =>
    Buffer.from([4, command, ...port(at), ...address, ...Buffer.from('me\0'), ...Buffer.from(name ? `${name}\0` : '')])

  it.each([
    ['4: an address', [127, 0, 0, 1], undefined],
    ['4a: a name', [0, 0, 0, 1], 'localhost'],
  ])('%s', async (_, address, name) => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    const client = await connectTo(mitm)
    client.write(Buffer.concat([request(origin.port, address, name), Buffer.from('\0raw')]))
    const reply = await client.take(8)
    expect([reply[0], reply[1]]).toEqual([0, 0x5a])
    expect(String(await (await origin.next()).take(4))).toBe('\0raw')
    expect(mitm.connections[0]?.layers).toEqual(['socks4', 'tcp'])
  })

  it.each([
    ['a refused connection', 1],
    ['BIND', 2],
  ])('answers %s with "rejected"', async (_, command) => {
    await using mitm = await startMitm()
    const client = await connectTo(mitm)
    client.write(request(await closedPort(), [127, 0, 0, 1], undefined, command))
    const reply = Buffer.from(await client.rest(), 'latin1')
    expect([...reply.subarray(0, 2)]).toEqual([0, 0x5b])
    expect(mitm.errors).toHaveLength(1)
  })
})

describe('a SOCKS handshake that stops half-way', () => {
  it.each(['silence', 'a FIN', 'a reset'])('is ended by %s with a coded error, in bounded time', async (how) => {
    await using mitm = await startMitm({ handshakeTimeoutMs: 250 })
    const socket = connect(mitm.port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.write(Buffer.from([5, 1, 0]))
    await new Promise((resolve) => socket.once('data', resolve))
    socket.write(Buffer.from([5, 1, 0, 3, 200]))
    await expect.poll(() => mitm.connections[0]?.bytesFromClient, { interval: 1 }).toBe(8)
    if (how === 'a FIN') socket.end()
    if (how === 'a reset') socket.resetAndDestroy()
    await expect.poll(() => mitm.connections[0]?.endedAt).toBeDefined()
    // A reset right behind octets is told as a FIN by libuv, also to a bare server.
    const codes = how === 'a reset' ? /^MITM_(CLIENT_RESET|INCOMPLETE_HANDSHAKE)$/ : /^MITM_INCOMPLETE_HANDSHAKE$/
    expect(mitm.errors.map(({ code }) => code)).toEqual([expect.stringMatching(codes)])
    socket.destroy()
  })
})
