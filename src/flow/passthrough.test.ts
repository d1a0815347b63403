import { X509Certificate } from 'node:crypto'
import type { ConnectionOptions } from 'node:tls'

import { describe, expect, it } from 'vitest'

import { faults, startMitm } from '../index.ts'
import type { ConnectionRecord, TestMitm, TestMitmOptions } from '../index.ts'
import { connectTo, secureWire, socksTo, takeResponse, tunnelTo } from '../testing/clients.ts'
import type { SecureWire } from '../testing/clients.ts'
import { HookLog } from '../testing/hooks.ts'
import { identityFor, originAuthority } from '../testing/identity.ts'
import { closedPort, httpServer, tlsWireServer, wireServer } from '../testing/servers.ts'
import type { Wire } from '../testing/wire.ts'

type Door = 'connect' | 'socks5' | 'direct'

const DOORS: readonly Door[] = ['connect', 'socks5', 'direct']
const LAYERS: { readonly [Name in Door]: readonly string[] } = {
  connect: ['connect', 'tls-passthrough'],
  socks5: ['socks5', 'tls-passthrough'],
  direct: ['tls-passthrough'],
}

function enter(mitm: TestMitm, door: Door, host = 'pinned.test'): Promise<Wire> {
  if (door === 'direct') return connectTo(mitm)
  return door === 'connect' ? tunnelTo(mitm, `${host}:443`) : socksTo(mitm, host, 443)
}

/** A client that trusts the servers of tests, and not the mitm. */
async function pinning(wire: Wire, options: ConnectionOptions = {}): Promise<SecureWire> {
  const ca = (await originAuthority()).certificate
  return secureWire(wire, { ca, servername: 'pinned.test', ...options })
}

async function ended(mitm: TestMitm): Promise<ConnectionRecord> {
  await expect.poll(() => mitm.connections[0]?.endedAt).toBeDefined()
  const [record] = mitm.connections
  if (!record) throw new Error('no connection')
  return record
}

async function withOrigin(
  use: (mitm: TestMitm, origin: Awaited<ReturnType<typeof tlsWireServer>>, cert: X509Certificate) => Promise<void>,
  options: TestMitmOptions = {},
  tls: { readonly ALPNProtocols?: string[]; readonly maxVersion?: 'TLSv1.2' } = {},
): Promise<void> {
  const identity = await identityFor('pinned.test')
  await using origin = await tlsWireServer({ ...identity, ...tls })
  await using mitm = await startMitm({
    hosts: { '*.test': origin.authority },
    passthrough: ['pinned.test'],
    ...options,
  })
  await use(mitm, origin, new X509Certificate(identity.cert))
}

describe('TLS that is passed through', () => {
  it.each(DOORS)('shows the client the certificate of the server itself, and is recorded: %s', async (door) => {
    await withOrigin(
      async (mitm, origin, cert) => {
        const wire = await enter(mitm, door)
        const preamble = { sent: wire.socket.bytesWritten, got: wire.socket.bytesRead }
        const client = await pinning(wire, { ALPNProtocols: ['h2', 'http/1.1'] })
        expect(client.socket.getPeerCertificate().fingerprint256).toBe(cert.fingerprint256)
        expect(client.socket.alpnProtocol).toBe('h2')
        const server = await origin.next()
        client.write('ping')
        expect(String(await server.take(4))).toBe('ping')
        server.end('pong')
        expect(await client.rest()).toBe('pong')
        client.end()
        await server.ended
        const record = await ended(mitm)
        expect(record).toMatchObject({
          layers: LAYERS[door],
          protocol: undefined,
          server: { ip: '127.0.0.1', port: origin.port, host: 'pinned.test' },
          endReason: 'server-closed',
          errors: [],
          exchanges: [],
          // All that TLS 1.3 has in the clear.
          clientTls: {
            version: 'TLSv1.3',
            cipher: expect.stringMatching(/^TLS_(?:AES|CHACHA20)/),
            alpn: undefined,
            offeredAlpn: ['h2', 'http/1.1'],
            serverName: 'pinned.test',
            certificate: undefined,
          },
        })
        expect(record.serverTls).toBe(record.clientTls)
        // Every octet, those of the handshake too; the request for the tunnel counts as well.
        expect(record.bytesFromClient).toBe(wire.socket.bytesWritten)
        expect(record.bytesFromServer).toBe(wire.socket.bytesRead - preamble.got)
      },
      {},
      { ALPNProtocols: ['h2'] },
    )
  })

  it('of TLS 1.2 tells the version, the cipher, the ALPN choice and the certificates', async () => {
    await withOrigin(
      async (mitm, _, cert) => {
        const client = await pinning(await enter(mitm, 'socks5'), { ALPNProtocols: ['http/1.1', 'other'] })
        expect(mitm.connections[0]?.serverTls).toEqual({
          version: 'TLSv1.2',
          cipher: client.socket.getCipher().standardName,
          alpn: 'other',
          offeredAlpn: ['http/1.1', 'other'],
          serverName: 'pinned.test',
          certificate: {
            subject: 'CN=pinned.test',
            issuer: 'CN=Origin test CA',
            subjectAltName: 'DNS:pinned.test',
            validFrom: cert.validFrom,
            validTo: cert.validTo,
            fingerprint256: cert.fingerprint256,
            serialNumber: cert.serialNumber,
          },
          chain: [],
          clientCertificate: undefined,
          authorizationError: undefined,
        })
      },
      {},
      { maxVersion: 'TLSv1.2', ALPNProtocols: ['other'] },
    )
  })

  it('is not touched, wherever it is cut: the server gets the octets that the client sent', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm({ hosts: { 'pinned.test': origin.authority }, passthrough: ['pinned.test'] })
    const hello = await helloOf('pinned.test')
    for (const at of [1, 3, 5, 6, 40, hello.length - 1]) {
      const client = await socksTo(mitm, 'pinned.test', 443)
      client.write(hello.subarray(0, at))
      const server = await origin.next()
      await new Promise((resolve) => setImmediate(resolve))
      client.write(hello.subarray(at))
      client.write('\x17\x03\x03\0\x01!not even TLS')
      expect(await server.take(hello.length)).toEqual(hello)
      expect(await server.until('not even TLS')).toBe('\x17\x03\x03\0\x01!not even TLS')
      server.end('\x15\x03\x03\0\x02\x02\x28')
      expect(await client.rest()).toBe('\x15\x03\x03\0\x02\x02\x28')
      client.end()
      await server.ended
    }
  })

  it('passes no hook for octets, and the hooks for connections as ever', async () => {
    const log = new HookLog()
    await withOrigin(
      async (mitm, origin) => {
        const client = await pinning(await enter(mitm, 'connect'))
        const server = await origin.next()
        client.end('ping')
        await server.until('ping')
        server.end('pong')
        await client.rest()
        await log.until('connectionEnded')
        expect(log.events).toEqual([
          'mitmStarted',
          'clientConnected',
          'serverConnected',
          expect.stringContaining('Disconnected'),
          expect.stringContaining('Disconnected'),
          'connectionEnded',
        ])
        const seen = log.calls.filter((call) => /^(?:client|server)Data/.test(call))
        expect(seen).toEqual([expect.stringMatching(/^clientData:CONNECT pinned\.test:443 /)])
      },
      { middlewares: [log] },
    )
  })

  it.each<[string, (server: Wire) => void, string, string]>([
    ['a FIN', (server) => server.end(), 'fin', 'server-closed'],
    ['a reset', (server) => server.reset(), 'reset', 'server-reset'],
  ])('ends as the server ended it: %s', async (_, end, seen, endReason) => {
    await using origin = await wireServer()
    await using mitm = await startMitm({ hosts: { 'pinned.test': origin.authority }, passthrough: ['pinned.test'] })
    const client = await tunnelTo(mitm, 'pinned.test:443')
    client.write(await helloOf('pinned.test'))
    const server = await origin.next()
    await server.take(1)
    end(server)
    expect(await client.ended).toBe(seen)
    client.end()
    expect((await ended(mitm)).endReason).toBe(endReason)
  })

  it('lets a client that has said all go on hearing', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm({ hosts: { 'pinned.test': origin.authority }, passthrough: ['pinned.test'] })
    const client = await socksTo(mitm, 'pinned.test', 443)
    client.end(await helloOf('pinned.test'))
    const server = await origin.next()
    expect(await server.ended).toBe('fin')
    server.end('late')
    expect(await client.rest()).toBe('late')
    expect((await ended(mitm)).endReason).toBe('client-closed')
  })

  it('is for clients that trust the server: mitm.fetch does, by upstream.ca', async () => {
    await using origin = await httpServer(undefined, await identityFor('pinned.test'))
    await using mitm = await startMitm({
      hosts: { 'pinned.test': origin.authority },
      upstream: { ca: (await originAuthority()).certificate },
      passthrough: ['pinned.test'],
    })
    expect(await (await mitm.fetch('https://pinned.test/a')).text()).toBe('GET /a')
    expect(mitm.connections[0]?.layers).toEqual(['connect', 'tls-passthrough'])
    expect(mitm.exchanges).toEqual([])
  })

  it('goes through the proxy behind the mitm as well', async () => {
    await using behind = await startMitm({ passthrough: ['pinned.test'], hosts: {} })
    await withOrigin(
      async (mitm, origin) => {
        const client = await pinning(await enter(mitm, 'connect'))
        const server = await origin.next()
        client.end('ping')
        expect(await server.until('ping')).toBe('ping')
        server.end()
        expect(behind.connections[0]?.layers).toEqual(['socks5', 'tls-passthrough'])
        expect(behind.connections[0]?.clientTls?.serverName).toBe('pinned.test')
      },
      { upstream: { proxy: `socks5://127.0.0.1:${behind.port}` } },
    )
  })
})

describe('where `hosts` leads passed-through TLS', () => {
  it('is to the same server with an https:// URL, without TLS in TLS', async () => {
    await using origin = await httpServer(undefined, await identityFor('pinned.test'))
    await using mitm = await startMitm({ hosts: { 'pinned.test': origin.origin }, passthrough: ['pinned.test'] })
    const client = await pinning(await tunnelTo(mitm, 'pinned.test:443'))
    client.write('GET /a HTTP/1.1\r\nHost: pinned.test\r\n\r\n')
    expect(String((await takeResponse(client)).body)).toBe('GET /a')
  })

  it('cannot be to a server without TLS, and the error says so', async () => {
    await using origin = await httpServer()
    await using mitm = await startMitm({ hosts: { 'pinned.test': origin.origin }, passthrough: ['pinned.test'] })
    await expect(pinning(await tunnelTo(mitm, 'pinned.test:443'))).rejects.toThrow(/alert/)
    expect(await ended(mitm)).toMatchObject({
      endReason: 'failed',
      errors: [{ code: 'MITM_SERVER_TLS_FAILED', message: expect.stringContaining('without TLS') }],
    })
    expect(origin.requests).toEqual([])
  })

  it('a server that cannot be reached is told by an alert, where the tunnel stands already', async () => {
    const port = await closedPort()
    await using mitm = await startMitm({ hosts: { '*.test': `127.0.0.1:${port}` }, passthrough: ['pinned.test'] })
    // A rule that might answer plain HTTP there keeps the tunnel from dialling.
    mitm.when({ host: 'pinned.test' }).respond(200)
    await expect(pinning(await tunnelTo(mitm, 'pinned.test:443'))).rejects.toThrow(/internal error/)
    expect(await ended(mitm)).toMatchObject({ endReason: 'failed', errors: [{ code: 'MITM_DIAL_FAILED' }] })
  })
})

describe('faults and TLS that is passed through', () => {
  it.each<[string, (mitm: TestMitm) => void, RegExp]>([
    ['a cut', (mitm) => mitm.when({ host: 'pinned.test' }).fault(faults.resetPeer()), /ECONNRESET|disconnected/],
    [
      'a cut later',
      (mitm) => mitm.when('https://pinned.test/**').fault(faults.limitData({ bytes: 7 })),
      /disconnected/,
    ],
    [
      'an alert',
      (mitm) => mitm.when('https://pinned.test/**').fault(faults.tlsAlert('unrecognized_name')),
      /unrecognized name/,
    ],
    ['a close', (mitm) => mitm.when('**').fault(faults.tlsClose()), /disconnected/],
  ])('%s acts', async (_, add, error) => {
    await withOrigin(async (mitm) => {
      add(mitm)
      await expect(pinning(await enter(mitm, 'socks5'))).rejects.toThrow(error)
      expect(await ended(mitm)).toMatchObject({ endReason: 'fault', faults: [{}] })
    })
  })

  it('that no server can be dialled acts, also where no tunnel was asked for', async () => {
    await withOrigin(async (mitm, origin) => {
      mitm.when({ host: 'pinned.test' }).fault(faults.refuseConnection())
      await expect(enter(mitm, 'connect')).rejects.toThrow('502')
      await expect(pinning(await enter(mitm, 'direct'))).rejects.toThrow(/internal error/)
      await expect.poll(() => mitm.connections.map(({ endReason }) => endReason)).toEqual(['fault', 'fault'])
      expect(origin.accepted).toBe(0)
    })
  })

  it('a pace acts, and one that is added later too', async () => {
    await withOrigin(async (mitm, origin) => {
      const rule = mitm.when({ host: 'pinned.test' }).fault(faults.latency({ ms: 60 }))
      const began = performance.now()
      const client = await pinning(await enter(mitm, 'connect'))
      expect(performance.now() - began).toBeGreaterThan(50)
      rule.remove()
      const server = await origin.next()
      client.write('a')
      await server.take(1)
      mitm.offline()
      expect(await client.ended).toBe('reset')
      expect((await ended(mitm)).faults.map(({ name }) => name)).toEqual(['latency', 'offline'])
    })
  })

  it('that need to look into it leave it alone, and are not counted', async () => {
    await withOrigin(async (mitm, origin) => {
      const bad = mitm.when({}).fault(faults.certExpired()).once()
      const status = mitm.when('**/charge').fault(faults.status(503))
      const client = await pinning(await enter(mitm, 'socks5'))
      client.end()
      const server = await origin.next()
      server.end()
      expect(await ended(mitm)).toMatchObject({ faults: [], errors: [] })
      expect([bad.calls, status.calls]).toEqual([0, 0])
      expect(bad.explain()).toContain('could not look into TLS that is passed through, to pinned.test:443 (once)')
      expect(status.explain()).toContain('could not look into TLS that is passed through')
    })
  })

  it('count with the name that the client asks for, where the tunnel is to an address', async () => {
    await using origin = await tlsWireServer(await identityFor('pinned.test'))
    await using mitm = await startMitm({ passthrough: ['pinned.test'] })
    mitm.when({ host: 'pinned.test' }).fault(faults.resetPeer())
    await expect(pinning(await tunnelTo(mitm, origin.authority))).rejects.toThrow(/ECONNRESET|disconnected/)
    expect((await ended(mitm)).endReason).toBe('fault')
  })
})

describe('a hermetic mitm', () => {
  it('refuses TLS that it would have to pass through, and lets it through where it is allowed', async () => {
    await withOrigin(
      async (mitm, origin) => {
        await expect(pinning(await enter(mitm, 'socks5'))).rejects.toThrow(/alert/)
        expect((await ended(mitm)).errors[0]).toMatchObject({
          code: 'MITM_UNMATCHED_REQUEST',
          message: expect.stringContaining('whose TLS is passed through'),
        })
        expect(origin.accepted).toBe(0)
      },
      { unmatched: 'fail' },
    )
    await withOrigin(
      async (mitm, origin) => {
        const client = await pinning(await enter(mitm, 'socks5'))
        client.end()
        const server = await origin.next()
        server.end()
        expect((await ended(mitm)).errors).toEqual([])
      },
      { unmatched: { mode: 'fail', allow: [{ host: 'pinned.test:443' }] } },
    )
  })
})

/** The octets of a TLS client's first message. */
async function helloOf(servername: string): Promise<Buffer> {
  await using server = await wireServer()
  const wire = await connectTo(server)
  const handshake = secureWire(wire, { servername }).catch(() => undefined)
  const taken = await server.next()
  const head = await taken.take(5)
  const hello = Buffer.concat([head, await taken.take(head.readUInt16BE(3))])
  taken.reset()
  await handshake
  return hello
}
