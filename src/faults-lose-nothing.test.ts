/** Whatever slows traffic down, however it comes and goes: the octets that arrive are those that were sent. */
import { randomBytes } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'

import fc from 'fast-check'
import { expect, it } from 'vitest'

import type { Side } from './errors.ts'
import type { Fault } from './fault.ts'
import * as faults from './faults/faults.ts'
import { startMitm } from './test-mitm.ts'
import { tunnelTo } from './testing/clients.ts'
import { injecting, TestFeed } from './testing/fault-feed.ts'
import { wireServer } from './testing/servers.ts'
import type { Wire } from './testing/wire.ts'

const RUNS = 60
const SEED = 20_261_123

const side = fc.constantFrom<Side>('client', 'server')
const pace: fc.Arbitrary<Fault> = fc.oneof(
  fc
    .record({ ms: fc.integer({ min: 0, max: 15 }), jitterMs: fc.integer({ min: 0, max: 10 }), side })
    .map((options) => faults.latency(options)),
  fc.record({ kbps: fc.integer({ min: 20_000, max: 100_000 }), side }).map((options) => faults.bandwidth(options)),
  fc
    .record({ averageSize: fc.integer({ min: 500, max: 9000 }), sizeVariation: fc.integer({ min: 0, max: 400 }), side })
    .map((options) => faults.slicer(options)),
  fc
    .record({ chunks: fc.integer({ min: 1, max: 6 }), totalMs: fc.integer({ min: 0, max: 20 }) })
    .map((options) => faults.dribble(options)),
  fc.constant(faults.packetLoss({ rate: 0.1, rtoMs: 5 })),
)

/** What happens between two pieces that are sent: other faults, a moment, or nothing. */
const step = fc.record({
  bytes: fc.integer({ min: 0, max: 30_000 }),
  faults: fc.option(fc.array(pace, { maxLength: 3 })),
  waitMs: fc.constantFrom(0, 0, 1, 6),
})
const steps = fc.array(step, { minLength: 1, maxLength: 8 })
const framing = fc.constantFrom('length', 'chunked', 'close', 'none')

it('any set of paces, any cutting, faults that come and go: every octet arrives, in order, in both directions', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(pace, { maxLength: 3 }), steps, steps, framing, async (first, ups, downs, kind) => {
      const feed = new TestFeed(...first)
      await using server = await wireServer()
      await using mitm = await startMitm({ hosts: { 'a.test': server.authority }, middlewares: [injecting(feed)] })
      const client = await tunnelTo(mitm, 'a.test:80')
      const up = randomBytes(ups.reduce((sum, { bytes }) => sum + bytes, 0))
      const down = randomBytes(downs.reduce((sum, { bytes }) => sum + bytes, 0))
      const isHttp = kind !== 'none'

      const send = async (wire: Wire, body: Buffer, script: typeof ups, isChunked: boolean): Promise<void> => {
        let at = 0
        for (const { bytes, faults: next, waitMs } of script) {
          if (next) feed.set(...next)
          const piece = body.subarray(at, at + bytes)
          at += bytes
          if (isChunked && bytes > 0) wire.write(`${bytes.toString(16)}\r\n`)
          wire.write(piece)
          if (isChunked && bytes > 0) wire.write('\r\n')
          if (waitMs > 0) await setTimeout(waitMs)
        }
        if (isChunked) wire.write('0\r\n\r\n')
      }

      client.write(isHttp ? `POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: ${up.length}\r\n\r\n` : '\x00')
      const sending = send(client, up, ups, false)
      const origin = await server.next()
      if (isHttp) await origin.until('\r\n\r\n')
      else await origin.take(1)
      const received = await origin.take(up.length)
      await sending
      if (isHttp) {
        const length = kind === 'length' ? `Content-Length: ${down.length}\r\n` : ''
        const coding = kind === 'chunked' ? 'Transfer-Encoding: chunked\r\n' : ''
        origin.write(`HTTP/1.1 200 OK\r\n${length}${coding}\r\n`)
      }
      await send(origin, down, downs, kind === 'chunked')
      if (kind === 'close' || kind === 'none') origin.end()

      if (isHttp) await client.until('\r\n\r\n')
      const answered = kind === 'chunked' ? await unchunk(client) : await client.take(down.length)
      expect(received.equals(up)).toBe(true)
      expect(answered.equals(down)).toBe(true)
      if (kind === 'close' || kind === 'none') expect(await client.ended).toBe('fin')
      expect(mitm.errors).toEqual([])
      client.socket.destroy()
    }),
    { numRuns: RUNS, seed: SEED, endOnFailure: true },
  )
}, 60_000)

async function unchunk(wire: Wire): Promise<Buffer> {
  const parts: Buffer[] = []
  for (;;) {
    const size = Number.parseInt(await wire.until('\r\n'), 16)
    parts.push(await wire.take(size))
    await wire.until('\r\n')
    if (size === 0) return Buffer.concat(parts)
  }
}
