/** A mitm is never led to itself, by whatever name, and takes nobody else for itself. */
import { describe, expect, it } from 'vitest'

import type { Mitm } from './mitm.ts'
import { startMitm } from './test-mitm.ts'
import type { TestMitm, TestMitmOptions } from './test-mitm.ts'
import { connectTo, takeResponse } from './testing/clients.ts'
import type { WireResponse } from './testing/clients.ts'
import { closedPort, httpServer, HttpServer } from './testing/servers.ts'

async function ask(mitm: Mitm, request: string): Promise<WireResponse> {
  const client = await connectTo(mitm)
  client.write(request)
  const response = await takeResponse(client)
  client.end()
  return response
}

const get = (mitm: Mitm, authority: string): Promise<WireResponse> =>
  ask(mitm, `GET http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\nConnection: close\r\n\r\n`)

async function expectLoop(mitm: TestMitm, authority: string): Promise<void> {
  for (const request of [
    `CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`,
    `GET http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\n\r\n`,
  ]) {
    const { status, head } = await ask(mitm, request)
    expect([request, status]).toEqual([request, 508])
    expect(head).toContain('MITM_LOOP')
  }
  expect(mitm.errors.map(({ code }) => code)).toEqual(['MITM_LOOP', 'MITM_LOOP'])
}

/** Mitms of which each has the next one as its upstream proxy, and the last one the first. */
async function circle(size: number, scheme = 'http'): Promise<TestMitm[]> {
  const ports = await Promise.all(Array.from({ length: size }, closedPort))
  return Promise.all(
    ports.map((port, at) =>
      startMitm({ port, upstream: { proxy: `${scheme}://127.0.0.1:${ports[(at + 1) % size]}` } }),
    ),
  )
}

const closeAll = (mitms: readonly Mitm[]): Promise<unknown> => Promise.all(mitms.map((mitm) => mitm.close()))

describe('a mitm is not connected to itself', () => {
  it.each([
    '127.0.0.1',
    'localhost',
    'LocalHost.',
    'any.localhost',
    '127.0.0.2',
    '0.0.0.0',
    '127.1',
    '2130706433',
    '[::1]',
    '[::]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[0:0:0:0:0:ffff:127.0.0.1]',
  ])('as %s', async (host) => {
    await using mitm = await startMitm()
    await expectLoop(mitm, `${host}:${mitm.port}`)
    expect(mitm.connections).toHaveLength(2)
  })

  it('where it listens on another address', async () => {
    await using mitm = await startMitm({ host: '::1' })
    const client = await connectTo(mitm, '::1')
    client.write(`CONNECT [::]:${mitm.port} HTTP/1.1\r\n\r\n`)
    expect((await takeResponse(client)).status).toBe(508)
  })

  it.each<[string, (port: number) => TestMitmOptions]>([
    ['hosts', (port) => ({ hosts: { 'a.test': `127.0.0.1:${port}` } })],
    ['hosts, by a name', (port) => ({ hosts: { 'a.test': `http://localhost:${port}` } })],
    ['hosts, at another address', (port) => ({ hosts: { 'a.test': `[::ffff:127.0.0.1]:${port}` } })],
    [
      'upstream.lookup',
      (port) => ({ hosts: { 'a.test': `b.test:${port}` }, upstream: { lookup: { 'b.test': '127.0.0.1' } } }),
    ],
    ['a function', (port) => ({ hosts: { 'a.test': `b.test:${port}` }, upstream: { lookup: () => ['0.0.0.0'] } })],
    ['upstream.proxy', (port) => ({ upstream: { proxy: `http://127.0.0.1:${port}` } })],
    ['upstream.proxy, by SOCKS', (port) => ({ upstream: { proxy: `socks5://localhost:${port}` } })],
    ['upstream.proxy, in TLS', (port) => ({ upstream: { proxy: `https://[::ffff:127.0.0.1]:${port}` } })],
  ])('by %s', async (_, options) => {
    const port = await closedPort()
    await using mitm = await startMitm({ port, ...options(port) })
    await expectLoop(mitm, 'a.test:80')
    expect(mitm.connections).toHaveLength(2)
  })

  it('by the address of a server behind a proxy', async () => {
    await using mitm = await startMitm({ upstream: { proxy: `http://127.0.0.1:${await closedPort()}` } })
    await expectLoop(mitm, `localhost:${mitm.port}`)
  })
})

describe('a circle of mitms', () => {
  it.each([
    [2, 'http'],
    [2, 'socks5'],
    [3, 'http'],
    [4, 'socks5'],
  ])('of %i, by %s, is found before anything goes round', async (size, scheme) => {
    const mitms = await circle(size, scheme)
    try {
      const [first] = mitms
      if (!first) throw new Error('No mitm')
      await expectLoop(first, 'a.test:80')
      expect(mitms.map(({ connections }) => connections.length)).toEqual(mitms.map(() => 2))
      for (const { errors } of mitms) expect(new Set(errors.map(({ code }) => code))).toEqual(new Set(['MITM_LOOP']))
    } finally {
      await closeAll(mitms)
    }
  })

  it('by hosts is found', async () => {
    const [one, two] = [await closedPort(), await closedPort()]
    await using first = await startMitm({ port: one, hosts: { 'a.test': `127.0.0.1:${two}` } })
    await using second = await startMitm({ port: two, hosts: { 'a.test': `127.0.0.1:${one}` } })
    expect((await get(first, 'a.test')).status).toBe(508)
    expect(first.connections).toHaveLength(1)
    expect(second.connections).toHaveLength(1)
  })
})

describe('what is no loop', () => {
  it('is another server with the same port, on another address of this machine', async () => {
    await using mitm = await startMitm()
    await using origin = await new HttpServer((_, response) => response.end('other')).listen('127.0.0.2', mitm.port)
    expect(String((await get(mitm, origin.authority)).body)).toBe('other')
  })

  it('is localhost, where a server listens on the address that the mitm does not', async () => {
    await using mitm = await startMitm()
    await using origin = await new HttpServer((_, response) => response.end('other')).listen('::1', mitm.port)
    expect(String((await get(mitm, `localhost:${origin.port}`)).body)).toBe('other')
  })

  it('is a server on the port of a mitm that was closed', async () => {
    const closed = await startMitm()
    const { port } = closed
    await closed.close()
    await using mitm = await startMitm({ upstream: { proxy: `http://127.0.0.1:${port}` } })
    await using origin = await new HttpServer(() => undefined).listen('127.0.0.1', port)
    expect((await get(mitm, 'a.test')).status).toBe(502)
    expect(origin.accepted).toBe(1)
  })

  // Another proxy compared source ports alone, of which the system gives out the same for several servers.
  it('are thousands of connections from one mitm to another, while others are kept alive', async () => {
    await using origin = await httpServer()
    await using second = await startMitm()
    await using first = await startMitm({ upstream: { proxy: second.url } })
    const kept = await Promise.all(
      Array.from({ length: 50 }, async (_, at) => {
        const client = await connectTo(at % 2 ? first : second)
        client.write(`GET ${origin.origin}/kept HTTP/1.1\r\nHost: a\r\n\r\n`)
        await takeResponse(client)
        return client
      }),
    )
    const statuses = new Set<number>()
    for (let round = 0; round < 150; round++) {
      const asked = Array.from({ length: 20 }, (_, at) => get(at % 2 ? first : second, origin.authority))
      for (const { status } of await Promise.all(asked)) statuses.add(status)
    }
    expect([...statuses]).toEqual([200])
    expect([...first.errors, ...second.errors]).toEqual([])
    for (const client of kept) client.end()
  }, 60_000)
})
