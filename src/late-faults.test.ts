/** Faults that are added while traffic flows act on what is under way. */
import { setTimeout } from 'node:timers/promises'

import { describe, expect, it } from 'vitest'

import type { Fault } from './fault.ts'
import * as faults from './faults/faults.ts'
import { startMitm } from './test-mitm.ts'
import type { TestMitm } from './test-mitm.ts'
import { tunnelTo } from './testing/clients.ts'
import { wireServer } from './testing/servers.ts'
import type { Wire } from './testing/wire.ts'

/** A response of 100 octets of which 10 have come, or as many octets that are no HTTP; no rule was there yet. */
async function running(kind: 'http' | 'tcp'): Promise<{
  mitm: TestMitm
  client: Wire
  origin: Wire
  [Symbol.asyncDispose](): Promise<void>
}> {
  const server = await wireServer()
  const mitm = await startMitm({ hosts: { 'a.test': server.authority } })
  const client = await tunnelTo(mitm, 'a.test:80')
  client.write(kind === 'http' ? 'GET /long HTTP/1.1\r\nHost: a.test\r\n\r\n' : '\x00hello')
  const origin = await server.next()
  await origin.until(kind === 'http' ? '\r\n\r\n' : 'hello')
  if (kind === 'http') origin.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n')
  origin.write('0123456789')
  await client.until('0123456789')
  return {
    mitm,
    client,
    origin,
    async [Symbol.asyncDispose]() {
      client.socket.destroy()
      await mitm.close()
      await server[Symbol.asyncDispose]()
    },
  }
}

describe.each(['http', 'tcp'] as const)('%s under way', (kind) => {
  it('is cut where a new fault says, counted from its beginning', async () => {
    await using scene = await running(kind)
    const { mitm, client, origin } = scene
    mitm.when({ host: 'a.test' }).fault(faults.limitData({ bytes: 15 }))
    await setTimeout(1)
    origin.write('x'.repeat(90))
    expect([await client.rest(), await client.ended]).toEqual(['xxxxx', 'fin'])
    expect(mitm.connections[0]?.faults.map(({ name }) => name)).toEqual(['limitData'])
  })

  it('is broken off at once by one that needs no more octets', async () => {
    await using scene = await running(kind)
    const { mitm, client } = scene
    mitm.when({ host: 'a.test' }).fault(faults.resetPeer())
    expect(await client.ended).toBe('reset')
  })

  it('is held, and goes on when the rule is removed', async () => {
    await using scene = await running(kind)
    const { mitm, client, origin } = scene
    const rule = mitm.when({ host: 'a.test' }).fault(faults.stall())
    await expect.poll(() => mitm.connections[0]?.faults.length).toBe(1)
    origin.write('y'.repeat(90))
    await setTimeout(20)
    expect(client.buffered).toHaveLength(0)
    rule.remove()
    expect(String(await client.take(90))).toBe('y'.repeat(90))
  })

  it('becomes slow by mitm.slow(), and quick again', async () => {
    await using scene = await running(kind)
    const { mitm, client, origin } = scene
    const rule = mitm.slow({ downKbps: 8, upKbps: 8, rttMs: 0 })
    await setTimeout(1)
    origin.write('z'.repeat(50))
    await setTimeout(20)
    expect(client.buffered.length).toBeLessThan(50)
    rule.remove()
    expect(String(await client.take(50))).toBe('z'.repeat(50))
  })

  it('that is slowed down already is cut by another rule all the same', async () => {
    await using scene = await running(kind)
    const { mitm, client, origin } = scene
    mitm.when({ host: 'a.test' }).fault(faults.latency({ ms: 5 }))
    await setTimeout(1)
    mitm.when({ host: 'a.test' }).fault(faults.limitData({ bytes: 15 }))
    await setTimeout(1)
    origin.write('x'.repeat(90))
    expect([await client.rest(), await client.ended]).toEqual(['xxxxx', 'fin'])
    expect(mitm.rules.map(({ calls }) => calls)).toEqual([1, 1])
  })

  it('is left alone by a rule with a limit, and by one for something else', async () => {
    await using scene = await running(kind)
    const { mitm, client, origin } = scene
    mitm.when({ host: 'a.test' }).fault(faults.resetPeer()).once()
    mitm.when({ host: 'b.test' }).fault(faults.resetPeer())
    await setTimeout(20)
    origin.write('w'.repeat(90))
    expect(String(await client.take(90))).toBe('w'.repeat(90))
    expect(mitm.rules.map(({ calls }) => calls)).toEqual([0, 0])
  })
})

describe('what a rule is answering', () => {
  it.each<[string, Fault, string]>([
    ['is cut by the fault of another rule', faults.limitData({ bytes: 6 }), 'terminated'],
    ['is broken off at once', faults.resetPeer(), 'terminated'],
  ])('%s', async (_, fault, message) => {
    await using mitm = await startMitm()
    mitm.get('https://a.test/').respond(() => new Response(slowly()))
    const response = await mitm.fetch('https://a.test/')
    const rule = mitm.get('https://a.test/').fault(fault)
    await expect(response.text()).rejects.toThrow(message)
    expect(rule.calls).toBe(1)
    expect(mitm.exchanges[0]?.faults.map(({ name }) => name)).toEqual([fault.name])
  })

  it('is broken off while it still waits', async () => {
    await using mitm = await startMitm()
    mitm.get('https://a.test/').respond(200).delay(60_000)
    const response = mitm.fetch('https://a.test/')
    await mitm.waitForRequest('https://a.test/')
    await setTimeout(20)
    mitm.get('https://a.test/').fault(faults.resetPeer())
    await expect(response).rejects.toThrow('fetch failed')
  })
})

/** Ten times ten octets, 20 ms apart. */
function slowly(): ReadableStream<Uint8Array> {
  let left = 10
  return new ReadableStream({
    async pull(controller) {
      await setTimeout(20)
      controller.enqueue(Buffer.from('0123456789'))
      if (--left === 0) controller.close()
    },
  })
}
