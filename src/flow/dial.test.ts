import { setTimeout as delay } from 'node:timers/promises'

import { describe, expect, it } from 'vitest'

import { Mitm } from '../mitm.ts'
import { startMitm } from '../test-mitm.ts'
import { blackHole } from '../testing/black-hole.ts'
import type { TestMitm } from '../test-mitm.ts'
import { connectTo, takeResponse } from '../testing/clients.ts'
import type { WireResponse } from '../testing/clients.ts'
import { closedPort, HttpServer, wireServer } from '../testing/servers.ts'

async function get(mitm: TestMitm, authority: string): Promise<WireResponse> {
  const client = await connectTo(mitm)
  client.write(`GET http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\nConnection: close\r\n\r\n`)
  const response = await takeResponse(client)
  client.end()
  return response
}

const server = (host: string): Promise<HttpServer> => new HttpServer((_, response) => response.end(host)).listen(host)

describe('localhost', () => {
  it.each(['127.0.0.1', '::1'])('is found at once where a server listens on %s alone', async (host) => {
    await using origin = await server(host)
    await using mitm = await startMitm()
    for (const name of ['localhost', 'LOCALHOST', 'app.localhost', 'localhost.']) {
      const begun = performance.now()
      expect(String((await get(mitm, `${name}:${origin.port}`)).body)).toBe(host)
      expect(performance.now() - begun).toBeLessThan(200)
    }
    expect(mitm.exchanges[0]?.serverAddress).toBe(origin.authority)
  })

  it('says of each address what became of it', async () => {
    const port = await closedPort()
    await using mitm = await startMitm()
    const { status, body } = await get(mitm, `localhost:${port}`)
    expect(status).toBe(502)
    expect(String(body)).toContain(`ECONNREFUSED at localhost:${port} (`)
    expect(String(body)).toContain('127.0.0.1: ECONNREFUSED')
    expect(String(body)).toMatch(/::1: E[A-Z]+/)
    expect(mitm.errors[0]).toMatchObject({ code: 'MITM_DIAL_FAILED', cause: { code: 'ECONNREFUSED' } })
  })
})

describe('upstream.lookup', () => {
  it('says where names are, as an object', async () => {
    await using origin = await server('127.0.0.1')
    await using mitm = await startMitm({
      upstream: { lookup: { 'pay.test': '127.0.0.1', '*.pay.test': ['::1'], 'eu.pay.test': ['127.0.0.1'] } },
    })
    expect((await get(mitm, `Pay.test:${origin.port}`)).status).toBe(200)
    expect((await get(mitm, `eu.pay.test:${origin.port}`)).status).toBe(200)
    expect(String((await get(mitm, `us.pay.test:${origin.port}`)).body)).toContain('(::1: ')
  })

  it('is asked for each connection, as a function, also one that takes its time; undefined leaves it to the system', async () => {
    await using origin = await server('127.0.0.1')
    const asked: string[] = []
    await using mitm = await startMitm({
      upstream: {
        lookup: async (hostname) => {
          asked.push(hostname)
          await delay(1)
          return hostname === 'localhost' ? undefined : ['127.0.0.1']
        },
      },
    })
    for (const name of ['A.test', 'a.test.', 'localhost'])
      expect((await get(mitm, `${name}:${origin.port}`)).status).toBe(200)
    expect(asked).toEqual(['a.test', 'a.test', 'localhost'])
    expect((await get(mitm, origin.authority)).status).toBe(200)
    expect(asked).toHaveLength(3)
  })

  it('comes after hosts', async () => {
    await using origin = await server('127.0.0.1')
    await using mitm = await startMitm({
      hosts: { 'pay.test': `backend.test:${origin.port}` },
      upstream: { lookup: { 'backend.test': '127.0.0.1', 'pay.test': '::1' } },
    })
    expect((await get(mitm, 'pay.test')).status).toBe(200)
  })

  it('may name several addresses: one that refuses does not keep from the next', async () => {
    await using origin = await server('127.0.0.1')
    await using mitm = await startMitm({ upstream: { lookup: { 'two.test': ['127.0.0.9', '::1', '127.0.0.1'] } } })
    expect((await get(mitm, `two.test:${origin.port}`)).status).toBe(200)
    expect(mitm.exchanges[0]?.serverAddress).toBe(origin.authority)
  })

  it('may name several addresses: one that says nothing does not keep from the next for long', async () => {
    await using hole = await blackHole()
    await using origin = await new HttpServer((_, response) => response.end('second')).listen('::1', hole.port)
    await using mitm = await startMitm({ upstream: { lookup: { 'two.test': ['127.0.0.1', '::1'] } } })
    const begun = performance.now()
    expect(String((await get(mitm, `two.test:${origin.port}`)).body)).toBe('second')
    const took = performance.now() - begun
    expect(took).toBeGreaterThan(200)
    expect(took).toBeLessThan(2000)
  })

  it.each<[string, () => unknown, string]>([
    [
      'throws',
      () => {
        throw new Error('no such zone')
      },
      'the function upstream.lookup failed with "no such zone"',
    ],
    ['rejects', () => Promise.reject(new Error('no such zone')), 'failed with "no such zone"'],
    [
      'returns a name',
      () => 'other.test',
      'the function upstream.lookup returned "other.test", expected an IP address',
    ],
    ['returns nothing', () => [], 'the function upstream.lookup returned [], expected'],
    ['returns null', () => null, 'the function upstream.lookup returned null, expected'],
    ['returns a mixture', () => ['127.0.0.1', 5], 'the function upstream.lookup returned ["127.0.0.1",5], expected'],
  ])('that %s is blamed', async (_, lookup, why) => {
    // Boundary: what a function without types may return.
    await using mitm = await startMitm({ upstream: { lookup: lookup as () => string } })
    const { status, head, body } = await get(mitm, 'pay.test')
    expect([status, String(body)]).toEqual([502, expect.stringContaining(why)])
    expect(head).toContain('MITM_DNS_FAILED')
    expect(mitm.errors.map(({ code }) => code)).toEqual(['MITM_DNS_FAILED'])
  })
})

describe('each stage has a time of its own', () => {
  it('looking up', async () => {
    let answer: (address: string) => void = () => undefined
    const lookup = (): Promise<string> => new Promise((resolve) => (answer = resolve))
    await using mitm = await startMitm({ lookupTimeoutMs: 30, upstream: { lookup } })
    const { status, head, body } = await get(mitm, 'slow.test')
    expect(status).toBe(504)
    expect(head).toContain('MITM_DNS_TIMEOUT')
    expect(String(body)).toContain('Cannot resolve "slow.test" for slow.test:80: no answer in 30 ms')
    answer('127.0.0.1')
  })

  it('a proxy that says nothing', async () => {
    await using proxy = await wireServer()
    await using mitm = await startMitm({
      upstreamProxyTimeoutMs: 30,
      upstream: { proxy: `http://me:hunter2@${proxy.authority}` },
    })
    const { status, head, body } = await get(mitm, 'far.test')
    expect(status).toBe(504)
    expect(head).toContain('MITM_UPSTREAM_PROXY_TIMEOUT')
    expect(String(body)).toContain(`far.test:80 through the proxy ${proxy.authority}: no answer in 30 ms`)
    expect(await (await proxy.next()).ended).not.toBe('reset')
  })

  it('a proxy that begins no TLS', async () => {
    await using proxy = await wireServer()
    await using mitm = await startMitm({
      upstreamProxyTimeoutMs: 30,
      upstream: { proxy: `https://${proxy.authority}` },
    })
    const { status, head } = await get(mitm, 'far.test')
    expect(status).toBe(504)
    expect(head).toContain('MITM_UPSTREAM_PROXY_TIMEOUT')
  })

  it('a server that begins no TLS', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm({ serverTlsTimeoutMs: 30, hosts: { 'pay.test': `https://${origin.authority}` } })
    const { status, head, body } = await get(mitm, 'pay.test')
    expect(status).toBe(504)
    expect(head).toContain('MITM_SERVER_TLS_TIMEOUT')
    expect(String(body)).toContain('no TLS handshake in 30 ms')
  })

  it('accepting: what was tried is named', async () => {
    await using hole = await blackHole()
    await using mitm = await startMitm({
      connectTimeoutMs: 400,
      upstream: { lookup: { 'dark.test': ['127.0.0.1', '::1', '127.0.0.9'] } },
    })
    const { status, head, body } = await get(mitm, `dark.test:${hole.port}`)
    expect(status).toBe(504)
    expect(head).toContain('MITM_DIAL_TIMEOUT')
    expect(String(body)).toContain(
      `no answer from dark.test:${hole.port} in 400 ms (127.0.0.1: no answer, ::1: ECONNREFUSED, 127.0.0.9: ECONNREFUSED)`,
    )
  })

  it('a client that leaves meanwhile ends it', async () => {
    await using hole = await blackHole()
    await using mitm = await startMitm()
    const client = await connectTo(mitm)
    client.write(`CONNECT 127.0.0.1:${hole.port} HTTP/1.1\r\n\r\n`)
    await expect.poll(() => mitm.connections.length).toBe(1)
    const begun = performance.now()
    await mitm.close()
    expect(performance.now() - begun).toBeLessThan(1000)
    await client.ended
  })

  it('which is that of connecting, where none is given', () => {
    const { options } = new Mitm({ connectTimeoutMs: 5, serverTlsTimeoutMs: 7 })
    expect(options).toMatchObject({
      lookupTimeoutMs: 5,
      connectTimeoutMs: 5,
      upstreamProxyTimeoutMs: 5,
      serverTlsTimeoutMs: 7,
      responseTimeoutMs: undefined,
    })
  })
})
