/** Everything that a mitm sends goes through its upstream proxy, of whichever kind. */
import { execFile, spawnSync } from 'node:child_process'
import { promisify } from 'node:util'

import { describe, expect, it } from 'vitest'

import { startMitm } from './test-mitm.ts'
import type { TestMitm } from './test-mitm.ts'
import { connectTo, secureWire, takeResponse, tunnelTo } from './testing/clients.ts'
import { identityFor, originAuthority } from './testing/identity.ts'
import { httpProxy, socksProxy } from './testing/proxies.ts'
import type { TestProxy, TestProxyOptions } from './testing/proxies.ts'
import { closedPort, httpServer, wireServer } from './testing/servers.ts'

const run = promisify(execFile)
const hasCurl = spawnSync('curl', ['--version']).status === 0

type Kind = 'http' | 'https' | 'socks5'
const KINDS: readonly Kind[] = ['http', 'https', 'socks5']

async function startProxy(kind: Kind, options: TestProxyOptions = {}): Promise<TestProxy> {
  if (kind === 'socks5') return socksProxy(options)
  return httpProxy({ ...options, ...(kind === 'https' && { tls: await identityFor('127.0.0.1') }) })
}

interface Through extends AsyncDisposable {
  readonly mitm: TestMitm
  readonly proxy: TestProxy
}

/** A mitm behind which there is a proxy, which knows the names of servers. */
async function through(kind: Kind, options: TestProxyOptions & { user?: string } = {}): Promise<Through> {
  const proxy = await startProxy(kind, options)
  const { certificate: ca } = await originAuthority()
  const user = options.user === undefined ? '' : `${options.user}@`
  const mitm = await startMitm({ upstream: { ca, proxy: `${kind}://${user}${proxy.authority}` } })
  const close = async (): Promise<void> => {
    await mitm.close()
    await proxy[Symbol.asyncDispose]()
  }
  return { mitm, proxy, [Symbol.asyncDispose]: close }
}

describe.each(KINDS)('through an upstream proxy that speaks %s', (kind) => {
  it('plain HTTP passes', async () => {
    await using origin = await httpServer()
    await using ends = await through(kind, { hosts: { 'far.test:80': origin.authority } })
    const client = await connectTo(ends.mitm)
    for (const path of ['/one', '/two']) {
      client.write(`GET http://far.test${path} HTTP/1.1\r\nHost: far.test\r\n\r\n`)
      expect(String((await takeResponse(client)).body)).toBe(`GET ${path}`)
    }
    expect(ends.proxy.asked).toEqual(['far.test:80'])
    client.end()
  })

  it('HTTPS passes, with the certificate of the server checked, and large bodies both ways', async () => {
    const size = 3_000_000
    await using origin = await httpServer(
      (request, response) => {
        let received = 0
        request.on('data', (chunk: Buffer) => (received += chunk.length))
        request.on('end', () => response.end(Buffer.alloc(received, 'x')))
      },
      await identityFor('far.test'),
    )
    await using ends = await through(kind, { hosts: { 'far.test:443': origin.authority } })
    const { certificate: ca } = await ends.mitm.certificateAuthority()
    const client = await secureWire(await tunnelTo(ends.mitm, 'far.test:443'), { servername: 'far.test', ca })
    client.write(`POST / HTTP/1.1\r\nHost: far.test\r\nContent-Length: ${size}\r\n\r\n`)
    client.write(Buffer.alloc(size))
    const { status, body } = await takeResponse(client)
    expect([status, body.length]).toEqual([200, size])
    expect(ends.mitm.connections[0]?.serverTls).toMatchObject({ serverName: 'far.test', authorizationError: undefined })
    client.end()
    expect(await client.ended).toBe('fin')
  })

  it('raw TCP passes, also where the server speaks first, ends one way, or resets', async () => {
    await using origin = await wireServer()
    await using ends = await through(kind, { hosts: { 'db.test:5432': origin.authority } })
    const client = await tunnelTo(ends.mitm, 'db.test:5432')
    const server = await origin.next()
    server.write('220 hello')
    expect(String(await client.take(9))).toBe('220 hello')
    client.end('\x00\x01bye')
    expect(String(await server.take(5))).toBe('\x00\x01bye')
    expect(await server.ended).toBe('fin')
    server.end('so long')
    expect(await client.rest()).toBe('so long')

    const other = await tunnelTo(ends.mitm, 'db.test:5432')
    other.write('\x00')
    const there = await origin.next()
    await there.take(1)
    other.reset()
    expect(await there.ended).toBe('reset')
  })

  it('TLS that is only relayed passes, with the certificate of the server', async () => {
    await using origin = await httpServer(undefined, await identityFor('pinned.test'))
    await using proxy = await startProxy(kind, { hosts: { 'pinned.test:443': origin.authority } })
    const { certificate: ca } = await originAuthority()
    await using mitm = await startMitm({
      passthrough: ['pinned.test'],
      upstream: { ca, proxy: `${kind}://${proxy.authority}` },
    })
    const client = await secureWire(await tunnelTo(mitm, 'pinned.test:443'), { servername: 'pinned.test', ca })
    client.write('GET /there HTTP/1.1\r\nHost: pinned.test\r\nConnection: close\r\n\r\n')
    expect(String((await takeResponse(client)).body)).toBe('GET /there')
    expect(proxy.asked).toEqual(['pinned.test:443'])
    expect(mitm.exchanges).toEqual([])
  })

  it('user name and password go along, percent-decoded', async () => {
    await using origin = await httpServer()
    const hosts = { 'far.test:80': origin.authority }
    await using ends = await through(kind, { hosts, credentials: 'm@x:p:wä%', user: 'm%40x:p%3Aw%C3%A4%25' })
    const client = await connectTo(ends.mitm)
    client.write('GET http://far.test/ HTTP/1.1\r\nHost: far.test\r\nConnection: close\r\n\r\n')
    expect((await takeResponse(client)).status).toBe(200)
  })

  it.each([
    [undefined, /its URL has no user name/],
    ['me:hunter2', /did not accept user name and password/],
  ])('a refusal for want of credentials is told with its reason: %s', async (user, why) => {
    await using ends = await through(kind, { credentials: 'me:right', ...(user !== undefined && { user }) })
    for (const request of [
      'CONNECT far.test:443 HTTP/1.1\r\n\r\n',
      'GET http://far.test/ HTTP/1.1\r\nHost: far.test\r\n\r\n',
    ]) {
      const client = await connectTo(ends.mitm)
      client.write(request)
      const { status, head, body } = await takeResponse(client)
      expect(status).toBe(502)
      expect(head).toContain('MITM_UPSTREAM_PROXY_FAILED')
      expect(String(body)).toMatch(why)
      expect(String(body)).not.toContain('hunter2')
    }
    expect(ends.mitm.errors.map(String).join()).not.toContain('hunter2')
    expect(ends.proxy.asked).toEqual([])
  })

  it('a proxy that cannot be reached is told as what it is', async () => {
    const port = await closedPort()
    await using mitm = await startMitm({ upstream: { proxy: `${kind}://me:hunter2@127.0.0.1:${port}` } })
    const client = await connectTo(mitm)
    client.write('CONNECT far.test:443 HTTP/1.1\r\n\r\n')
    const { status, body } = await takeResponse(client)
    expect(status).toBe(502)
    expect(String(body)).toContain(
      `Cannot connect to far.test:443: ECONNREFUSED at 127.0.0.1:${port}, through the upstream proxy ${kind}://127.0.0.1:${port} [`,
    )
  })

  it('what noProxy names goes without it', async () => {
    await using origin = await httpServer()
    await using proxy = await startProxy(kind)
    await using mitm = await startMitm({
      upstream: {
        proxy: `${kind}://${proxy.authority}`,
        noProxy: ['127.0.0.0/8'],
        lookup: { 'far.test': '127.0.0.1' },
      },
    })
    const client = await connectTo(mitm)
    client.write(`GET ${origin.origin}/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
    expect((await takeResponse(client)).status).toBe(200)
    expect(proxy.accepted).toBe(0)
  })

  it('the name of the proxy is looked up as others are; those of servers are left to it', async () => {
    await using origin = await httpServer()
    await using proxy = await startProxy(kind === 'https' ? 'http' : kind, {
      hosts: { 'far.test:80': origin.authority },
    })
    const asked: string[] = []
    const lookup = (hostname: string): string => {
      asked.push(hostname)
      return '127.0.0.1'
    }
    const scheme = kind === 'https' ? 'http' : kind
    await using mitm = await startMitm({ upstream: { proxy: `${scheme}://corp.test:${proxy.port}`, lookup } })
    const client = await connectTo(mitm)
    client.write(`GET http://far.test/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
    expect((await takeResponse(client)).status).toBe(200)
    expect(asked).toEqual(['corp.test'])
  })

  it('the server of a mocked host is not asked for', async () => {
    await using ends = await through(kind)
    ends.mitm.get('http://far.test/').respond(200, 'mocked')
    const response = await ends.mitm.fetch('http://far.test/')
    expect(await response.text()).toBe('mocked')
    expect(ends.proxy.accepted).toBe(0)
  })

  it.skipIf(!hasCurl)('curl gets there', async () => {
    await using origin = await httpServer(undefined, await identityFor('far.test'))
    await using ends = await through(kind, { hosts: { 'far.test:443': origin.authority } })
    const args = ['-sS', '--max-time', '10', 'https://far.test/by-curl']
    const { stdout } = await run('curl', args, { env: { ...process.env, ...ends.mitm.env() } })
    expect(stdout).toBe('GET /by-curl')
    expect(ends.proxy.asked).toEqual(['far.test:443'])
  })
})

describe('the certificate of an https proxy', () => {
  it.each([
    ['an unknown authority', {}, {}, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
    ['another name', { hostname: 'other.test' }, { ca: true }, 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ['no validity any more', { isExpired: true }, { ca: true }, 'CERT_HAS_EXPIRED'],
  ])('with %s fails the connection, before the password is sent', async (_, flaw, trust, code) => {
    const { hostname = '127.0.0.1', ...options } = flaw as { hostname?: string; isExpired?: boolean }
    await using proxy = await httpProxy({ tls: await identityFor(hostname, options) })
    const ca = 'ca' in trust ? (await originAuthority()).certificate : undefined
    await using mitm = await startMitm({ upstream: { ca, proxy: `https://me:hunter2@${proxy.authority}` } })
    const client = await connectTo(mitm)
    client.write('CONNECT far.test:443 HTTP/1.1\r\n\r\n')
    const { status, body } = await takeResponse(client)
    expect(status).toBe(502)
    expect(String(body)).toContain(
      `Cannot connect to far.test:443 through the proxy ${proxy.authority}: its certificate cannot be trusted (${code}); upstream.ca adds`,
    )
    expect([proxy.accepted, proxy.requests]).toEqual([1, 0])
  })

  it('does not matter where none does', async () => {
    await using origin = await httpServer()
    await using proxy = await httpProxy({ tls: await identityFor('other.test', { isExpired: true }) })
    await using mitm = await startMitm({ upstream: { rejectUnauthorized: false, proxy: `https://${proxy.authority}` } })
    const client = await connectTo(mitm)
    client.write(`GET ${origin.origin}/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
    expect((await takeResponse(client)).status).toBe(200)
  })

  it('is asked for by the name of the proxy', async () => {
    await using origin = await httpServer()
    await using proxy = await httpProxy({ tls: await identityFor('corp.test') })
    const { certificate: ca } = await originAuthority()
    await using mitm = await startMitm({
      upstream: { ca, proxy: `https://corp.test:${proxy.port}`, lookup: { 'corp.test': '127.0.0.1' } },
    })
    const client = await connectTo(mitm)
    client.write(`GET ${origin.origin}/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
    expect((await takeResponse(client)).status).toBe(200)
    expect(proxy.serverNames).toEqual(['corp.test'])
  })

  it('is none where the proxy speaks no TLS', async () => {
    await using proxy = await httpProxy()
    await using mitm = await startMitm({ upstream: { proxy: `https://${proxy.authority}` } })
    const client = await connectTo(mitm)
    client.write('CONNECT far.test:443 HTTP/1.1\r\n\r\n')
    const { status, body } = await takeResponse(client)
    expect(status).toBe(502)
    expect(String(body)).toMatch(/no TLS with it: .*wrong version number/)
  })
})

it('a proxy that finds a loop is believed', async () => {
  await using proxy = await wireServer()
  await using mitm = await startMitm({ upstream: { proxy: `http://${proxy.authority}` } })
  const client = await connectTo(mitm)
  client.write('CONNECT far.test:443 HTTP/1.1\r\n\r\n')
  const asked = await proxy.next()
  await asked.until('\r\n\r\n')
  asked.end('HTTP/1.1 508 Loop Detected\r\nContent-Length: 0\r\n\r\n')
  const { status, head } = await takeResponse(client)
  expect(status).toBe(508)
  expect(head).toContain('MITM_LOOP')
})
