import { execFile, spawnSync } from 'node:child_process'
import { createHash, X509Certificate } from 'node:crypto'
import type { ConnectionOptions } from 'node:tls'
import { promisify } from 'node:util'

import { describe, expect, it } from 'vitest'

import type { UpstreamOptions } from '../upstream-options.ts'
import { startMitm } from '../test-mitm.ts'
import type { TestMitm } from '../test-mitm.ts'
import { connectTo, secureWire, takeResponse, tunnelTo } from '../testing/clients.ts'
import type { SecureWire } from '../testing/clients.ts'
import { identityFor, originAuthority } from '../testing/identity.ts'
import { httpServer, tlsWireServer, wireServer } from '../testing/servers.ts'

const run = promisify(execFile)
const hasCurl = spawnSync('curl', ['--version']).status === 0

async function upstream(): Promise<UpstreamOptions> {
  return { ca: (await originAuthority()).certificate }
}

/** A client in TLS inside CONNECT, which trusts the mitm. */
async function secureThrough(mitm: TestMitm, authority: string, options: ConnectionOptions): Promise<SecureWire> {
  const { certificate } = await mitm.certificateAuthority()
  return secureWire(await tunnelTo(mitm, authority), { ca: certificate, ...options })
}

describe('the certificate that a client is shown', () => {
  it.each([
    ['a name', 'pay.test', 'DNS:pay.test'],
    ['another spelling', 'PAY.Test', 'DNS:pay.test'],
    ['a name below', 'a.b.pay.test', 'DNS:a.b.pay.test'],
  ])('is for exactly the name it asks for: %s', async (_, servername, names) => {
    await using origin = await httpServer(undefined, await identityFor(servername))
    await using mitm = await startMitm({
      hosts: { 'pay.test': origin.authority, '*.pay.test': origin.authority },
      upstream: await upstream(),
    })
    const client = await secureThrough(mitm, `${servername}:443`, { servername })
    expect(client.socket.getPeerCertificate().subjectaltname).toBe(names)
    client.write('GET / HTTP/1.1\r\nHost: pay.test\r\n\r\n')
    expect((await takeResponse(client)).status).toBe(200)
  })

  it.each([
    ['127.0.0.1', 'IP Address:127.0.0.1'],
    ['::1', 'IP Address:0:0:0:0:0:0:0:1'],
  ])('is for an address, where the client asks for one: %s', async (address, names) => {
    await using origin = await httpServer(undefined, await identityFor(address))
    const mapped = address.includes(':') ? `[${address}]:443` : `${address}:443`
    await using mitm = await startMitm({ hosts: { [`${address}:443`]: origin.authority }, upstream: await upstream() })
    const client = await secureThrough(mitm, mapped, { host: address })
    expect(client.socket.getPeerCertificate().subjectaltname).toBe(names)
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    expect((await takeResponse(client)).status).toBe(200)
  })

  it('is for the name of the tunnel, where the client sends no name', async () => {
    await using origin = await httpServer(undefined, await identityFor('pay.test'))
    await using mitm = await startMitm({ hosts: { 'pay.test': origin.authority }, upstream: await upstream() })
    const client = await secureThrough(mitm, 'pay.test:443', { host: 'pay.test', servername: '' })
    expect(client.socket.getPeerCertificate().subjectaltname).toBe('DNS:pay.test')
    expect(mitm.connections[0]?.clientTls?.serverName).toBeUndefined()
  })

  it('comes with the authority behind it, for clients that pin the root by its key', async () => {
    await using origin = await httpServer(undefined, await identityFor('pay.test'))
    await using mitm = await startMitm({ hosts: { 'pay.test': origin.authority }, upstream: await upstream() })
    const client = await secureThrough(mitm, 'pay.test:443', { servername: 'pay.test' })
    const { issuerCertificate } = client.socket.getPeerCertificate(true)
    const { certificate } = await mitm.certificateAuthority()
    const digest = createHash('sha256').update(new X509Certificate(certificate).raw).digest('hex')
    expect(createHash('sha256').update(issuerCertificate.raw).digest('hex')).toBe(digest)
  })
})

describe('a bad certificate of the server', () => {
  const cases: readonly [string, Parameters<typeof identityFor>, string][] = [
    ['expired', ['pay.test', { isExpired: true }], 'CERT_HAS_EXPIRED'],
    ['for another host', ['other.test'], 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ['self-signed', ['pay.test', { isSelfSigned: true }], 'DEPTH_ZERO_SELF_SIGNED_CERT'],
  ]

  it.each(cases)('is shown to the client as bad: %s', async (_, identity, code) => {
    await using origin = await httpServer(undefined, await identityFor(...identity))
    await using mitm = await startMitm({ hosts: { 'pay.test': origin.authority }, upstream: await upstream() })
    const trusting = secureThrough(mitm, 'pay.test:443', { servername: 'pay.test' })
    await expect(trusting).rejects.toThrow(/self-signed|unable to verify|altname/i)
    await expect.poll(() => mitm.errors.map((error) => error.code)).toEqual(['MITM_SERVER_CERTIFICATE'])
    expect(mitm.errors[0]?.message).toContain('pay.test')
    expect(mitm.connections[0]?.serverTls?.authorizationError).toMatch(
      code === 'ERR_TLS_CERT_ALTNAME_INVALID' ? /altnames|ALTNAME/i : code,
    )
    expect(origin.requests).toEqual([])
  })

  it.each(cases)('is passed over by a client that does not care, which then gets through: %s', async (_, identity) => {
    await using origin = await httpServer(undefined, await identityFor(...identity))
    await using mitm = await startMitm({ hosts: { 'pay.test': origin.authority }, upstream: await upstream() })
    const client = await secureThrough(mitm, 'pay.test:443', { servername: 'pay.test', rejectUnauthorized: false })
    client.write('GET /anyway HTTP/1.1\r\nHost: pay.test\r\n\r\n')
    expect(String((await takeResponse(client)).body)).toBe('GET /anyway')
  })

  it.each(cases)('is taken with upstream.rejectUnauthorized = false: %s', async (_, identity) => {
    await using origin = await httpServer(undefined, await identityFor(...identity))
    await using mitm = await startMitm({
      hosts: { 'pay.test': origin.authority },
      upstream: { rejectUnauthorized: false },
    })
    const client = await secureThrough(mitm, 'pay.test:443', { servername: 'pay.test' })
    client.write('GET /ok HTTP/1.1\r\nHost: pay.test\r\n\r\n')
    expect(String((await takeResponse(client)).body)).toBe('GET /ok')
    expect(mitm.connections[0]?.serverTls?.authorizationError).toBeDefined()
    expect(mitm.errors).toEqual([])
  })

  it('is answered 502 where the client had its handshake already: a rule for another path', async () => {
    await using origin = await httpServer(undefined, await identityFor('pay.test', { isExpired: true }))
    await using mitm = await startMitm({ hosts: { 'pay.test': origin.authority }, upstream: await upstream() })
    mitm.get('https://pay.test/mock').respond(200)
    const client = await secureThrough(mitm, 'pay.test:443', { servername: 'pay.test' })
    client.write('GET /real HTTP/1.1\r\nHost: pay.test\r\n\r\n')
    const response = await takeResponse(client)
    expect([response.status, response.headers['x-playwright-mitm-error']]).toEqual([502, 'MITM_SERVER_CERTIFICATE'])
    expect(String(response.body)).toContain('CERT_HAS_EXPIRED')
  })

  it('is none where upstream.ca trusts it; without it, it is one', async () => {
    await using origin = await httpServer(undefined, await identityFor('pay.test'))
    await using distrusting = await startMitm({ hosts: { 'pay.test': origin.authority } })
    await expect(secureThrough(distrusting, 'pay.test:443', { servername: 'pay.test' })).rejects.toThrow()
    await using trusting = await startMitm({ hosts: { 'pay.test': origin.authority }, upstream: await upstream() })
    await secureThrough(trusting, 'pay.test:443', { servername: 'pay.test' })
    expect(trusting.connections[0]?.serverTls?.authorizationError).toBeUndefined()
  })
})

describe('ALPN', () => {
  it.each<[string, string[] | undefined, string[] | undefined, string | false]>([
    ['http/1.1 offered and chosen', ['http/1.1'], ['http/1.1'], 'http/1.1'],
    ['none offered', undefined, ['http/1.1'], false],
    ['offered, the server has none', ['http/1.1'], undefined, false],
    ['h2 and http/1.1 offered, the server takes http/1.1', ['h2', 'http/1.1'], ['http/1.1'], 'http/1.1'],
  ])('is what the server chose: %s', async (_, offered, served, chosen) => {
    const identity = await identityFor('pay.test')
    await using origin = await tlsWireServer({ ...identity, ...(served && { ALPNProtocols: served }) })
    await using mitm = await startMitm({ hosts: { 'pay.test': origin.authority }, upstream: await upstream() })
    const client = await secureThrough(mitm, 'pay.test:443', {
      servername: 'pay.test',
      ...(offered && { ALPNProtocols: offered }),
    })
    const server = await origin.next()
    expect(client.socket.alpnProtocol).toBe(chosen)
    expect('alpnProtocol' in server.socket && server.socket.alpnProtocol).toBe(chosen)
    await expect
      .poll(() => mitm.connections[0])
      .toMatchObject({
        clientTls: { alpn: chosen || undefined },
        serverTls: { alpn: chosen || undefined },
      })
  })
})

describe('a handshake that fails', () => {
  it('at the server is shown to the client as the same alert', async () => {
    const identity = await identityFor('pay.test')
    await using origin = await tlsWireServer({ ...identity, ALPNProtocols: ['other'] })
    await using mitm = await startMitm({ hosts: { 'pay.test': origin.authority }, upstream: await upstream() })
    const failed = secureThrough(mitm, 'pay.test:443', { servername: 'pay.test', ALPNProtocols: ['http/1.1'] })
    // No application protocol in common: alert 120 (RFC 7301 section 3.2).
    await expect(failed).rejects.toThrow(/no application protocol|alert number 120/)
    await expect.poll(() => mitm.errors.map(({ code }) => code)).toEqual(['MITM_SERVER_TLS_FAILED'])
  })

  it.each([
    ['a reset', 'read ECONNRESET'],
    ['a FIN', 'socket disconnected before secure TLS connection'],
  ])('at the server by %s is shown to the client as one', async (how, text) => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    const wire = await tunnelTo(mitm, origin.authority)
    const failed = expect(secureWire(wire, { servername: 'pay.test' })).rejects.toThrow(text)
    const server = await origin.next()
    await server.take(1)
    if (how === 'a reset') server.reset()
    else server.end()
    await failed
  })

  it('at a client of Node, which does not trust the authority and sends no alert, is recorded with the host', async () => {
    await using origin = await httpServer(undefined, await identityFor('pay.test'))
    await using mitm = await startMitm({ hosts: { 'pay.test': origin.authority }, upstream: await upstream() })
    const stranger = (await originAuthority()).certificate
    await expect(secureThrough(mitm, 'pay.test:443', { servername: 'pay.test', ca: stranger })).rejects.toThrow()
    await expect.poll(() => mitm.errors.map(({ code }) => code)).toEqual(['MITM_CLIENT_TLS_FAILED'])
    expect(mitm.errors[0]?.message).toContain('pay.test')
  })

  it.skipIf(!hasCurl)(
    'at a client that sends an alert is recorded with the host: bad certificate or unknown authority',
    async () => {
      await using origin = await httpServer(undefined, await identityFor('pay.test'))
      await using expired = await httpServer(undefined, await identityFor('old.test', { isExpired: true }))
      await using mitm = await startMitm({
        hosts: { 'pay.test': origin.authority, 'old.test': expired.authority },
        upstream: await upstream(),
      })
      await expect(run('curl', ['-sS', '--proxy', mitm.url, 'https://pay.test/'])).rejects.toMatchObject({ code: 60 })
      await expect.poll(() => mitm.errors.map(({ code }) => code)).toEqual(['MITM_CLIENT_TLS_FAILED'])
      expect(mitm.errors[0]).toMatchObject({ side: 'client', message: expect.stringContaining('pay.test') })
      expect(mitm.connections[0]?.endReason).toBe('failed')

      mitm.reset()
      const env = { ...process.env, ...mitm.env() }
      await expect(run('curl', ['-sS', 'https://old.test/'], { env })).rejects.toMatchObject({ code: 60 })
      await expect.poll(() => mitm.errors.map(({ code }) => code)).toEqual(['MITM_SERVER_CERTIFICATE'])
      expect(mitm.errors[0]?.message).toContain('CERT_HAS_EXPIRED')
      expect(expired.requests).toEqual([])
    },
  )
})

describe('the record', () => {
  it('tells of both handshakes, the layers, the octets and the times', async () => {
    await using origin = await httpServer(undefined, await identityFor('pay.test'))
    await using mitm = await startMitm({ hosts: { 'pay.test': origin.authority }, upstream: await upstream() })
    const before = Date.now()
    const client = await secureThrough(mitm, 'pay.test:443', { servername: 'pay.test' })
    const request = 'GET /r HTTP/1.1\r\nHost: pay.test\r\nConnection: close\r\n\r\n'
    client.write(request)
    const response = await client.rest()
    client.end()
    await expect.poll(() => mitm.connections[0]?.endedAt).toBeDefined()
    const [record] = mitm.connections
    expect(record).toMatchObject({
      id: expect.stringMatching(/^c\d+$/),
      layers: ['connect', 'tls', 'http/1.1'],
      protocol: 'http/1.1',
      endReason: 'server-closed',
      errors: [],
      server: { ip: '127.0.0.1', port: origin.port, host: 'pay.test' },
      clientTls: { version: 'TLSv1.3', serverName: 'pay.test', certificate: { subjectAltName: 'DNS:pay.test' } },
      serverTls: {
        version: 'TLSv1.3',
        serverName: 'pay.test',
        certificate: { subjectAltName: 'DNS:pay.test', issuer: 'CN=Origin test CA' },
        authorizationError: undefined,
      },
      bytesFromServer: response.length,
    })
    const connectHead = 'CONNECT pay.test:443 HTTP/1.1\r\nHost: pay.test:443\r\n\r\n'
    expect(record?.bytesFromClient).toBe(connectHead.length + request.length)
    const times = [before, record?.startedAt, record?.connectedAt, record?.endedAt, Date.now()].map(Number)
    expect(times.toSorted((a, b) => a - b)).toEqual(times)
    const [exchange] = mitm.exchanges
    expect(exchange).toMatchObject({ id: `${record?.id}.1`, endReason: 'complete', answeredBy: 'server' })
    expect(exchange?.serverAddress).toBe(`127.0.0.1:${origin.port}`)
    const { requestEndMs = -1, responseStartMs = -1, endMs = -1 } = exchange?.timings ?? {}
    expect(requestEndMs).toBeGreaterThanOrEqual(0)
    expect(responseStartMs).toBeGreaterThanOrEqual(requestEndMs)
    expect(endMs).toBeGreaterThanOrEqual(responseStartMs)
    expect(record?.exchanges).toEqual([exchange])
  })

  it('of a client that speaks TLS to the proxy itself names it too', async () => {
    await using origin = await httpServer()
    await using mitm = await startMitm()
    const { certificate: ca } = await mitm.certificateAuthority()
    const client = await secureWire(await connectTo(mitm), { ca, host: '127.0.0.1' })
    client.write(`GET ${origin.origin}/ HTTP/1.1\r\nHost: a\r\n\r\n`)
    await takeResponse(client)
    expect(mitm.connections[0]).toMatchObject({ layers: ['tls', 'http/1.1'], serverTls: undefined })
    expect(mitm.connections[0]?.clientTls?.certificate?.subjectAltName).toBe('IP Address:127.0.0.1')
  })
})
