/** Servers that ask for a certificate: with one, and without. */
import { execFile, spawn, spawnSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { createSecureServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ConnectionOptions, TLSSocket } from 'node:tls'
import { promisify } from 'node:util'

import { beforeAll, describe, expect, it } from 'vitest'

import { startMitm } from './test-mitm.ts'
import type { TestMitm, TestMitmOptions } from './test-mitm.ts'
import { systemCode } from './errors.ts'
import { connectTo, secureWire, takeResponse, tunnelTo } from './testing/clients.ts'
import type { ProxyAddress } from './testing/clients.ts'
import { identityFor, originAuthority } from './testing/identity.ts'
import type { Identity } from './testing/identity.ts'
import { httpProxy } from './testing/proxies.ts'
import { httpServer } from './testing/servers.ts'
import type { HttpServer } from './testing/servers.ts'
import type { Wire } from './testing/wire.ts'
import type { ClientCertificate } from './upstream-options.ts'

const run = promisify(execFile)
const hasCurl = spawnSync('curl', ['--version']).status === 0
const hasOpenssl = spawnSync('openssl', ['version']).status === 0
const GET = 'GET / HTTP/1.1\r\nHost: pay.test\r\n\r\n'

let me: Identity
let stranger: Identity
let ca: string
beforeAll(async () => {
  me = await identityFor('me.test')
  stranger = await identityFor('stranger.test', { isSelfSigned: true })
  ca = (await originAuthority()).certificate
})

/** What a server does about certificates of clients. */
type Demand = 'demands one' | 'asks for one' | 'asks for none'
const VERSIONS = ['TLSv1.2', 'TLSv1.3'] as const

async function server(demand: Demand, version: (typeof VERSIONS)[number] = 'TLSv1.3'): Promise<HttpServer> {
  return httpServer(
    ({ socket }, response: ServerResponse) => {
      // Boundary: this server speaks TLS alone.
      const shown = (socket as TLSSocket).getPeerCertificate()
      response.end(`you are ${shown.subject?.CN ?? 'nobody'}`)
    },
    {
      ...(await identityFor('pay.test')),
      ca,
      requestCert: demand !== 'asks for none',
      rejectUnauthorized: demand === 'demands one',
      maxVersion: version,
    },
  )
}

function start(
  origin: HttpServer,
  certificates: readonly ClientCertificate[],
  more: TestMitmOptions = {},
): Promise<TestMitm> {
  return startMitm({
    hosts: { '*.test': origin.authority },
    ...more,
    upstream: { ca, clientCertificates: certificates, ...more.upstream },
  })
}

/** What a client in TLS gets: the body of the response, the code of its error, or `closed`. */
async function outcomeOf(wire: Wire, options: ConnectionOptions): Promise<string> {
  const client = await secureWire(wire, { servername: 'pay.test', ...options }).catch(codeOf)
  if (typeof client === 'string') return client
  const failed = new Promise<string>((resolve) => {
    client.socket.once('error', (error) => resolve(codeOf(error)))
  })
  client.write(GET)
  const answered = takeResponse(client).then(
    ({ body }) => String(body),
    () => 'closed',
  )
  const outcome = await Promise.race([answered, failed])
  client.socket.destroy()
  return outcome
}

function codeOf(error: unknown): string {
  return systemCode(error) ?? String(error)
}

/** What a client gets through a mitm. */
async function get(mitm: TestMitm, port = 443): Promise<string> {
  const { certificate } = await mitm.certificateAuthority()
  return outcomeOf(await tunnelTo(mitm, `pay.test:${port}`), { ca: certificate })
}

/** What a client gets that goes there by itself. */
async function getDirectly(origin: ProxyAddress, identity?: Identity): Promise<string> {
  return outcomeOf(await connectTo(origin), { ca, ...identity })
}

/** OpenSSL's server, which sends an alert where Node's closes. */
async function strictServer(version: (typeof VERSIONS)[number]): Promise<ProxyAddress & AsyncDisposable> {
  const folder = mkdtempSync(join(tmpdir(), 'playwright-mitm-test-'))
  const { key, cert } = await identityFor('pay.test')
  for (const [name, content] of Object.entries({ key, cert, ca })) writeFileSync(join(folder, name), content)
  const wanted = ['-accept', '127.0.0.1:0', '-key', 'key', '-cert', 'cert', '-CAfile', 'ca', '-Verify', '1']
  const args = [
    's_server',
    '-verify_return_error',
    '-www',
    `-${version.toLowerCase().replace('v', '').replace('.', '_')}`,
  ]
  const child = spawn('openssl', [...args, ...wanted], { cwd: folder, stdio: ['ignore', 'pipe', 'ignore'] })
  let said = ''
  for await (const chunk of child.stdout) {
    said += String(chunk)
    if (said.includes('ACCEPT 127.0.0.1:')) break
  }
  const port = Number(/ACCEPT 127\.0\.0\.1:(\d+)/.exec(said)?.[1])
  return {
    port,
    async [Symbol.asyncDispose]() {
      child.kill()
      await once(child, 'exit')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

describe.each(VERSIONS)('in %s', (version) => {
  it('a server that demands a certificate is shown the one for its origin, and the record says which', async () => {
    await using origin = await server('demands one', version)
    await using mitm = await start(origin, [{ origin: 'https://pay.test', ...me }])
    expect(await get(mitm)).toBe('you are me.test')
    expect(mitm.connections[0]?.serverTls).toMatchObject({
      version,
      clientCertificate: { subject: 'CN=me.test', fingerprint256: new X509Certificate(me.cert).fingerprint256 },
    })
    expect(mitm.errors).toEqual([])
  })

  it('also when a rule might answer, so that the server is asked late', async () => {
    await using origin = await server('demands one', version)
    await using mitm = await start(origin, [{ host: 'pay.test', ...me }])
    mitm.get('https://pay.test/other').respond(200)
    expect(await get(mitm)).toBe('you are me.test')
    expect(mitm.connections[0]?.serverTls?.clientCertificate?.subject).toBe('CN=me.test')
  })

  it('also behind a proxy in TLS', async () => {
    await using origin = await server('demands one', version)
    await using proxy = await httpProxy({
      tls: await identityFor('127.0.0.1'),
      hosts: { 'pay.test:443': origin.authority },
    })
    await using mitm = await start(origin, [{ host: 'pay.test', ...me }], {
      hosts: {},
      upstream: { proxy: `https://${proxy.authority}` },
    })
    expect(await get(mitm)).toBe('you are me.test')
    expect(mitm.connections[0]?.serverTls?.clientCertificate?.subject).toBe('CN=me.test')
  })

  it('without one the client fails as it would by itself', async () => {
    await using origin = await server('demands one', version)
    await using mitm = await start(origin, [{ origin: 'https://other.test', ...me }])
    const expected =
      version === 'TLSv1.3' ? 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED' : 'ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE'
    expect(await getDirectly(origin)).toBe(expected)
    expect(await get(mitm)).toBe(expected)
    await expect.poll(() => mitm.errors.map(({ code }) => code)).toEqual(['MITM_SERVER_TLS_FAILED'])
  })

  it('without one, where a rule might have answered, the client is told by 502', async () => {
    await using origin = await server('demands one', version)
    await using mitm = await start(origin, [])
    mitm.get('https://pay.test/other').respond(200)
    expect(await get(mitm)).toMatch(/MITM_SERVER_TLS_FAILED/)
  })

  it('a certificate that the server does not accept has the end that it would have', async () => {
    await using origin = await server('demands one', version)
    await using mitm = await start(origin, [{ host: '*', ...stranger }])
    const expected = version === 'TLSv1.3' ? 'closed' : 'ECONNRESET'
    expect(await getDirectly(origin, stranger)).toBe(expected)
    expect(await get(mitm)).toBe(expected)
  })

  it.skipIf(!hasOpenssl)('an alert about the certificate is passed on', async () => {
    await using origin = await strictServer(version)
    await using mitm = await startMitm({
      hosts: { 'pay.test': `127.0.0.1:${origin.port}` },
      upstream: { ca, clientCertificates: [{ host: '*', ...stranger }] },
    })
    expect(await getDirectly(origin, stranger)).toBe('ERR_SSL_TLSV1_ALERT_UNKNOWN_CA')
    expect(await get(mitm)).toBe('ERR_SSL_TLSV1_ALERT_UNKNOWN_CA')
    await expect.poll(() => mitm.errors.map(String).join()).toContain('alert unknown ca')
  })

  it('a server that asks for one gets it, and is content without', async () => {
    await using origin = await server('asks for one', version)
    await using mitm = await start(origin, [{ origin: 'https://pay.test', ...me }])
    expect(await get(mitm)).toBe('you are me.test')
    expect(await get(mitm, 8443)).toBe('you are nobody')
    expect(mitm.connections.map(({ serverTls }) => serverTls?.clientCertificate?.subject)).toEqual([
      'CN=me.test',
      undefined,
    ])
  })

  it('a server that asks for none is shown none, and none is recorded', async () => {
    await using origin = await server('asks for none', version)
    await using mitm = await start(origin, [{ host: 'pay.test', ...me }])
    expect(await get(mitm)).toBe('you are nobody')
    expect(mitm.connections[0]?.serverTls).toMatchObject({ version, clientCertificate: undefined })
  })
})

it('a server that sends no tickets is not waited for in vain', async () => {
  const { SSL_OP_NO_TICKET } = (await import('node:crypto')).constants
  await using origin = await httpServer((_, response) => response.end('here'), {
    ...(await identityFor('pay.test')),
    ca,
    requestCert: true,
    rejectUnauthorized: false,
    secureOptions: SSL_OP_NO_TICKET,
  })
  await using mitm = await start(origin, [])
  const begun = performance.now()
  expect(await get(mitm)).toBe('here')
  expect(performance.now() - begun).toBeLessThan(1500)
})

it('plain HTTP that hosts makes TLS of gets the certificate of where the client wanted to go', async () => {
  await using origin = await server('demands one')
  await using mitm = await startMitm({
    hosts: { 'pay.test': `https://${origin.authority}` },
    upstream: { ca, rejectUnauthorized: false, clientCertificates: [{ host: 'pay.test:80', ...me }] },
  })
  const client = await connectTo(mitm)
  client.write('GET http://pay.test/ HTTP/1.1\r\nHost: pay.test\r\nConnection: close\r\n\r\n')
  expect(String((await takeResponse(client)).body)).toBe('you are me.test')
})

it.skipIf(!hasCurl)('a server of HTTP/2 is shown it as well', async () => {
  const origin = createSecureServer({ ...(await identityFor('pay.test')), ca, requestCert: true })
  origin.on('stream', (stream) => {
    // Boundary: this server speaks TLS alone.
    const socket = stream.session?.socket as TLSSocket | undefined
    stream.respond({ ':status': 200 })
    stream.end(`you are ${socket?.getPeerCertificate().subject.CN}`)
  })
  origin.listen(0, '127.0.0.1')
  await once(origin, 'listening')
  // Boundary: a server on a port has an address with one.
  const { port } = origin.address() as AddressInfo
  await using mitm = await startMitm({
    hosts: { 'pay.test': `127.0.0.1:${port}` },
    upstream: { ca, clientCertificates: [{ origin: 'https://pay.test', ...me }] },
  })
  const args = ['-sS', '--http2', '-w', ' by %{http_version}', '--max-time', '10', 'https://pay.test/']
  const { stdout } = await run('curl', args, { env: { ...process.env, ...mitm.env() } })
  expect(stdout).toBe('you are me.test by 2')
  await mitm.close()
  origin.close()
  await once(origin, 'close')
})

it.skipIf(!hasCurl)('curl needs none', async () => {
  await using origin = await server('demands one')
  await using mitm = await start(origin, [{ origin: 'https://pay.test', ...me }])
  const env = { ...process.env, ...mitm.env() }
  expect((await run('curl', ['-sS', '--max-time', '10', 'https://pay.test/'], { env })).stdout).toBe('you are me.test')
  await expect(run('curl', ['-sS', '--max-time', '10', 'https://other.test/'], { env })).rejects.toThrow(/alert/i)
})
