import { expect, it, describe } from 'vitest'

import type { Fault } from './fault.ts'
import * as faults from './faults/faults.ts'
import { startMitm } from './test-mitm.ts'
import type { TestMitm } from './test-mitm.ts'
import { takeResponse, tunnelTo } from './testing/clients.ts'
import { injecting, TestFeed } from './testing/fault-feed.ts'
import { httpServer, wireServer } from './testing/servers.ts'
import type { Wire } from './testing/wire.ts'

const REQUEST = 'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n'
const BODY = '0123456789'

/** A mitm that injects the feed everywhere, and a client in a tunnel to a server that answers ten digits. */
async function scene(feed: TestFeed): Promise<{
  mitm: TestMitm
  client: Wire
  requests: readonly string[]
  [Symbol.asyncDispose](): Promise<void>
}> {
  const server = await httpServer((_request, response) => response.end(BODY))
  const mitm = await startMitm({ hosts: { 'a.test': server.authority }, middlewares: [injecting(feed)] })
  const client = await tunnelTo(mitm, 'a.test:80')
  return {
    mitm,
    client,
    requests: server.requests,
    async [Symbol.asyncDispose]() {
      client.socket.destroy()
      await mitm.close()
      await server[Symbol.asyncDispose]()
    },
  }
}

/** What a client got, and how its connection ended. */
async function outcome(client: Wire): Promise<{ end: string; body: string; hasHead: boolean }> {
  const end = await client.ended
  const text = client.buffered.toString('latin1')
  const at = text.indexOf('\r\n\r\n')
  return { end, hasHead: at >= 0, body: at < 0 ? text : text.slice(at + 4) }
}

describe('a cut', () => {
  const cases: readonly [fault: Fault, end: string, hasHead: boolean, body: string, reachesServer: boolean][] = [
    [faults.resetPeer(), 'reset', false, '', false],
    [faults.resetPeer({ forward: true }), 'reset', false, '', true],
    [faults.resetPeer({ afterBytes: 0 }), 'reset', true, '', true],
    [faults.resetPeer({ afterBytes: 4 }), 'reset', true, '0123', true],
    [faults.resetPeer({ afterBytes: 9, of: 'message' }), 'reset', false, 'HTTP/1.1 ', true],
    [faults.emptyResponse(), 'fin', false, '', false],
    [faults.emptyResponse({ forward: true }), 'fin', false, '', true],
    [faults.limitData({ bytes: 3 }), 'fin', true, '012', true],
    [faults.limitData({ bytes: 5, of: 'message' }), 'fin', false, 'HTTP/', true],
    [faults.timeout({ ms: 20 }), 'fin', false, '', false],
    [faults.halfClose(), 'fin', false, '', false],
  ]
  for (const [fault, end, hasHead, body, reachesServer] of cases) {
    it(`${fault.text}: the client gets ${JSON.stringify(body)} and a ${end}`, async () => {
      await using scenery = await scene(new TestFeed(fault))
      const { mitm, client, requests } = scenery
      client.write(REQUEST)
      expect(await outcome(client)).toEqual({ end, hasHead, body })
      const [exchange] = mitm.exchanges
      await expect.poll(() => exchange?.endReason).toBe('fault')
      expect(exchange?.faults.map(({ name, text }) => [name, text])).toEqual([[fault.name, fault.text]])
      expect(mitm.connections[0]?.faults).toEqual(exchange?.faults)
      expect(requests).toHaveLength(reachesServer ? 1 : 0)
      expect(mitm.errors).toEqual([])
    })
  }

  it('leaves alone a response that is shorter', async () => {
    await using scenery = await scene(new TestFeed(faults.resetPeer({ afterBytes: 11 })))
    const { mitm, client } = scenery
    client.write(REQUEST)
    expect(String((await takeResponse(client)).body)).toBe(BODY)
    expect([mitm.exchanges[0]?.endReason, mitm.exchanges[0]?.faults]).toEqual(['complete', []])
  })

  it('takes in what the client still sends, so that a FIN stays one', async () => {
    await using scenery = await scene(new TestFeed(faults.emptyResponse()))
    const { client } = scenery
    client.write(`POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 300000\r\n\r\n${'x'.repeat(300_000)}`)
    expect((await outcome(client)).end).toBe('fin')
  })
})

describe('a stall', () => {
  for (const fault of [
    faults.stall(),
    faults.stall({ afterBytes: 0 }),
    faults.stall({ afterBytes: 4 }),
    faults.stall({ forward: true }),
    faults.timeout(),
    faults.stall({ side: 'server' }),
  ]) {
    it(`${fault.text}: holds what follows, and lets it go when it is taken away`, async () => {
      const feed = new TestFeed(fault)
      await using scenery = await scene(feed)
      const { mitm, client } = scenery
      client.write(REQUEST)
      await expect.poll(() => mitm.exchanges[0]?.faults.length).toBe(1)
      expect(mitm.exchanges[0]?.endReason).toBeUndefined()
      feed.set()
      expect(String((await takeResponse(client)).body)).toBe(BODY)
      await expect.poll(() => mitm.exchanges[0]?.endReason).toBe('complete')
      expect(feed.listeners).toBe(0)
      // The connection is fit for another one.
      client.write(REQUEST)
      expect(String((await takeResponse(client)).body)).toBe(BODY)
    })
  }

  it('ends when the client leaves', async () => {
    const feed = new TestFeed(faults.stall({ afterBytes: 2 }))
    await using scenery = await scene(feed)
    const { mitm, client } = scenery
    client.write(REQUEST)
    await expect.poll(() => mitm.exchanges[0]?.faults.length).toBe(1)
    client.end()
    await expect.poll(() => mitm.exchanges[0]?.endReason).toBe('client-closed')
    expect(feed.listeners).toBe(0)
  })

  it('does not keep the mitm from closing', async () => {
    await using scenery = await scene(new TestFeed(faults.stall()))
    const { mitm, client } = scenery
    client.write(REQUEST)
    await expect.poll(() => mitm.exchanges[0]?.faults.length).toBe(1)
    const before = performance.now()
    await mitm.close()
    expect(performance.now() - before).toBeLessThan(1000)
    expect(mitm.exchanges[0]?.endReason).toBe('mitm-closed')
  })
})

describe('a cut that comes while the exchange runs', () => {
  it('acts at once', async () => {
    const server = await wireServer()
    const feed = new TestFeed()
    await using mitm = await startMitm({ hosts: { 'a.test': server.authority }, middlewares: [injecting(feed)] })
    const client = await tunnelTo(mitm, 'a.test:80')
    client.write(REQUEST)
    const origin = await server.next()
    await origin.until('\r\n\r\n')
    origin.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n12345')
    await client.until('12345')
    feed.set(faults.resetPeer())
    expect(await client.ended).toBe('reset')
    await server[Symbol.asyncDispose]()
  })
})

describe('octets that are not HTTP', () => {
  it('are cut after so many, towards either side', async () => {
    for (const side of ['client', 'server'] as const) {
      await using server = await wireServer()
      const feed = new TestFeed(faults.limitData({ bytes: 6, side }))
      await using mitm = await startMitm({ middlewares: [injecting(feed)] })
      const client = await tunnelTo(mitm, server.authority)
      client.write('\x00client says')
      const origin = await server.next()
      origin.write('\x00server says')
      const cut = side === 'client' ? client : origin
      expect([await cut.rest(), await cut.ended]).toEqual([side === 'client' ? '\x00serve' : '\x00clien', 'fin'])
      expect(mitm.connections[0]?.faults.map(({ name }) => name)).toEqual(['limitData'])
      client.socket.destroy()
    }
  })

  it('come late, and whole', async () => {
    await using server = await wireServer()
    const feed = new TestFeed(faults.latency({ ms: 60 }), faults.latency({ ms: 60, side: 'server' }))
    await using mitm = await startMitm({ middlewares: [injecting(feed)] })
    const client = await tunnelTo(mitm, server.authority)
    const before = performance.now()
    client.write('\x00ping')
    const origin = await server.next()
    expect(String(await origin.take(5))).toBe('\x00ping')
    origin.end('\x00pong')
    expect(await client.rest()).toBe('\x00pong')
    expect(performance.now() - before).toBeGreaterThan(115)
    client.socket.destroy()
  })
})
