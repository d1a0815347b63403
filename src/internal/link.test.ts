import { PassThrough } from 'node:stream'

import { afterEach, beforeEach, expect, it, vi } from 'vitest'

import { Link } from './link.ts'
import type { Schedule } from './link.ts'
import { Pump } from './pump.ts'

const later = (ms: number): Schedule => ({ schedule: ({ octets, atMs }) => [{ octets, atMs: atMs + ms }] })
/** One octet a millisecond, for all who pass it. */
function line(): Schedule {
  let freeAtMs = 0
  return {
    isShared: true,
    schedule: ({ octets, atMs }) => {
      freeAtMs = Math.max(freeAtMs, atMs) + octets.length
      return [{ octets, atMs: freeAtMs }]
    },
  }
}

/** A link, what has come out of it, and a pump that counts how often it is held. */
function scene(): { link: Link; push: (text: string | Buffer) => void; got: () => string; holds: () => number } {
  const link = new Link()
  const out = new PassThrough({ highWaterMark: 2 ** 30 })
  const pump = new Pump(new PassThrough(), { data: vi.fn(), end: vi.fn(), lost: vi.fn(), failed: vi.fn() })
  let held = 0
  vi.spyOn(pump, 'hold').mockImplementation(() => void held++)
  vi.spyOn(pump, 'release').mockImplementation(() => void held--)
  let got = ''
  return {
    link,
    push: (text) => link.push(Buffer.from(text), out, pump),
    got: () => (got += String(out.read() ?? '')),
    holds: () => held,
  }
}

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }))
afterEach(() => void vi.useRealTimers())

it('writes at once where nothing slows it down', () => {
  const { link, push, got } = scene()
  push('a')
  expect([got(), link.whenEmpty()]).toEqual(['a', undefined])
})

it('keeps octets until their time, in order, though a later one would be due before', () => {
  const { link, push, got } = scene()
  link.schedules = [later(50)]
  push('a')
  link.schedules = [...[later(0)]]
  expect(got()).toBe('a')
  link.schedules = [later(50)]
  push('b')
  vi.advanceTimersByTime(49)
  expect(got()).toBe('a')
  push('c')
  vi.advanceTimersByTime(2)
  expect(got()).toBe('ab')
  vi.advanceTimersByTime(50)
  expect(got()).toBe('abc')
})

it('does not let latency cost bandwidth: many pieces are under way at once', () => {
  const { link, push, got } = scene()
  link.schedules = [later(100)]
  for (let at = 0; at < 10; at++) push('x'.repeat(1000))
  vi.advanceTimersByTime(101)
  expect(got()).toHaveLength(10_000)
})

it('lets what it holds go when a schedule is taken away, and tells when it is empty', async () => {
  const { link, push, got } = scene()
  const slow = later(1e6)
  link.schedules = [slow, later(0)]
  push('held')
  const empty = link.whenEmpty()
  expect(got()).toBe('')
  link.schedules = []
  expect(got()).toBe('held')
  await empty
})

it('leaves what it holds alone when a schedule is added', () => {
  const { link, push, got } = scene()
  const slow = later(40)
  link.schedules = [slow]
  push('held')
  link.schedules = [slow, later(5)]
  expect(got()).toBe('')
  vi.advanceTimersByTime(41)
  expect(got()).toBe('held')
})

it('lets the sender wait while too much is held', () => {
  const { link, push, holds } = scene()
  link.schedules = [later(10)]
  push(Buffer.alloc(16 * 2 ** 20))
  expect(holds()).toBe(0)
  push('x')
  expect(holds()).toBe(1)
  vi.advanceTimersByTime(11)
  expect(holds()).toBe(0)
})

it('lets the sender wait for a line that others use too, but for a tenth of a second of it', () => {
  const { link, push, holds } = scene()
  link.schedules = [line()]
  push('x'.repeat(100))
  expect(holds()).toBe(0)
  push('x'.repeat(50))
  expect(holds()).toBe(1)
  vi.advanceTimersByTime(51)
  expect(holds()).toBe(0)
})

it('forgets everything when it is closed, and keeps nobody waiting', async () => {
  const { link, push, got, holds } = scene()
  link.schedules = [line()]
  push('x'.repeat(1000))
  const empty = link.whenEmpty()
  link.close()
  await empty
  vi.advanceTimersByTime(5000)
  expect([got(), holds()]).toEqual(['', 0])
})
