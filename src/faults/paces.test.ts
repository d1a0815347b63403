import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import type { Fault, Pace, TimedOctets } from '../fault.ts'
import { bandwidth, dribble, latency, packetLoss, slicer, slowClose } from './faults.ts'

/** Draws that repeat for a seed. */
function seeded(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

function paceOf(fault: Fault, random: () => number = seeded(1)): Pace {
  const [part] = fault.parts
  if (part?.stage !== 'pace') throw new TypeError(`${fault.name} has no pace`)
  return part.open(random)
}

function scheduleAll(paces: readonly Pace[], pieces: readonly TimedOctets[]): readonly TimedOctets[] {
  return paces.reduce<readonly TimedOctets[]>(
    (passing, pace) => passing.flatMap((piece) => pace.schedule(piece)),
    pieces,
  )
}

const whole = (pieces: readonly TimedOctets[]): Buffer => Buffer.concat(pieces.map(({ octets }) => octets))
const lastOf = (pieces: readonly TimedOctets[]): TimedOctets => {
  const last = pieces.at(-1)
  if (!last) throw new TypeError('Nothing passed')
  return last
}

const piecesArbitrary = fc
  .array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 5000 }), fc.double({ min: 0, max: 500, noNaN: true })), {
    maxLength: 12,
  })
  .map((steps) => {
    let now = 1000
    return steps.map(([octets, gap]): TimedOctets => {
      now += gap
      return { octets: Buffer.from(octets), atMs: now }
    })
  })

const ms = fc.double({ min: 0, max: 1000, noNaN: true })
const faultArbitrary: fc.Arbitrary<Fault> = fc.oneof(
  fc
    .record({
      ms: fc.double({ min: 0.5, max: 1000, noNaN: true }),
      jitterMs: ms,
      distribution: fc.constantFrom('uniform', 'normal', 'lognormal', 'pareto'),
    })
    .map((options) => latency(options)),
  fc.double({ min: 0.001, max: 1e6, noNaN: true }).map((kbps) => bandwidth({ kbps })),
  fc
    .tuple(fc.integer({ min: 1, max: 3000 }), fc.nat(), ms)
    .map(([averageSize, variation, delayMs]) =>
      slicer({ averageSize, sizeVariation: variation % averageSize, delayMs }),
    ),
  fc
    .record({
      rate: fc.double({ min: 0, max: 0.99, noNaN: true }),
      correlation: fc.double({ min: 0, max: 1, noNaN: true }),
      rtoMs: ms,
    })
    .map((options) => packetLoss(options)),
  fc.record({ chunks: fc.integer({ min: 1, max: 50 }), totalMs: ms }).map((options) => dribble(options)),
  ms.map((closeMs) => slowClose({ ms: closeMs })),
)

describe('any chain of paces', () => {
  test('lets all octets out, in order, never before they came, and the same for the same draws', () => {
    fc.assert(
      fc.property(
        fc.array(faultArbitrary, { minLength: 1, maxLength: 4 }),
        piecesArbitrary,
        fc.nat(),
        (faults, pieces, seed) => {
          const run = (): readonly TimedOctets[] => {
            const random = seeded(seed)
            return scheduleAll(
              faults.map((fault) => paceOf(fault, random)),
              pieces,
            )
          }
          const out = run()
          expect(whole(out).equals(whole(pieces))).toBe(true)
          expect(out.every(({ octets }) => octets.length > 0)).toBe(true)
          for (const [index, { atMs }] of out.entries()) {
            expect(atMs).toBeGreaterThanOrEqual(out[index - 1]?.atMs ?? 0)
          }
          expectNoneEarly(pieces, out)
          expect(run()).toEqual(out)
        },
      ),
      { numRuns: 200 },
    )
  })
})

/** Each octet leaves no sooner than it came. */
function expectNoneEarly(pieces: readonly TimedOctets[], out: readonly TimedOctets[]): void {
  let index = 0
  let left = pieces[0]?.octets.length ?? 0
  for (const { octets, atMs } of out) {
    for (let rest = octets.length; rest > 0;) {
      if (left === 0) {
        index++
        left = pieces[index]?.octets.length ?? 0
      }
      expect(atMs).toBeGreaterThanOrEqual(pieces[index]?.atMs ?? Number.POSITIVE_INFINITY)
      const taken = Math.min(rest, left)
      rest -= taken
      left -= taken
    }
  }
}

describe('latency', () => {
  const oneByOne = (options: Parameters<typeof latency>[0], count = 20_000): number[] => {
    const pace = paceOf(latency(options))
    // So far apart that none has to wait for the one before.
    return Array.from({ length: count }, (_, index) => {
      const atMs = index * 100_000
      return lastOf(pace.schedule({ octets: Buffer.of(1), atMs })).atMs - atMs
    })
  }
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length
  const deviation = (values: readonly number[]): number => {
    const middle = mean(values)
    return Math.sqrt(mean(values.map((value) => (value - middle) ** 2)))
  }

  test('delays each piece by the same time, whatever its size and however fast they come', () => {
    const pace = paceOf(latency({ ms: 100 }))
    const out = scheduleAll(
      [pace],
      [0, 1, 2].map((atMs) => ({ octets: Buffer.alloc(100_000), atMs })),
    )
    expect(out.map(({ atMs }) => atMs)).toEqual([100, 101, 102])
  })

  test('uniform jitter stays within jitterMs on both sides', () => {
    const delays = oneByOne({ ms: 100, jitterMs: 30 })
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(70)
    expect(Math.min(...delays)).toBeLessThan(71)
    expect(Math.max(...delays)).toBeLessThan(130)
    expect(Math.max(...delays)).toBeGreaterThan(129)
    expect(mean(delays)).toBeCloseTo(100, 0)
  })

  test.each(['normal', 'lognormal', 'pareto'] as const)(
    '%s jitter has ms as mean and jitterMs as deviation',
    (distribution) => {
      const delays = oneByOne({ ms: 100, jitterMs: 20, distribution })
      expect(mean(delays)).toBeGreaterThan(99)
      expect(mean(delays)).toBeLessThan(101)
      // Pareto's far tail, which is most of its deviation, is cut off.
      expect(deviation(delays)).toBeGreaterThan(distribution === 'pareto' ? 11 : 19)
      expect(deviation(delays)).toBeLessThan(21)
      expect(Math.min(...delays)).toBeGreaterThanOrEqual(20)
      expect(Math.max(...delays)).toBeLessThanOrEqual(180)
    },
  )

  test('is never negative, however large the jitter', () => {
    expect(Math.min(...oneByOne({ ms: 10, jitterMs: 500, distribution: 'normal' }))).toBe(0)
  })
})

describe('bandwidth', () => {
  const FIVE_MIB = 5 * 1024 * 1024

  test('holds its rate over 5 MiB, however the octets are cut', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 50, max: 100_000 }),
        fc.array(fc.integer({ min: 1, max: 200_000 }), { minLength: 1, maxLength: 20 }),
        (kbps, sizes) => {
          const pace = paceOf(bandwidth({ kbps }))
          let endMs = 0
          for (let sent = 0, index = 0; sent < FIVE_MIB; index++) {
            const size = Math.min(FIVE_MIB - sent, (sizes[index % sizes.length] ?? 1) + 500)
            endMs = lastOf(pace.schedule({ octets: Buffer.alloc(size), atMs: 0 })).atMs
            sent += size
          }
          const exactMs = (FIVE_MIB * 8) / kbps
          expect(Math.abs(endMs - exactMs) / exactMs).toBeLessThan(0.01)
        },
      ),
      { numRuns: 30 },
    )
  })

  test('lets out pieces of 100 ms at most, of 16 KiB at most, and of one octet at least', () => {
    const sizes = (kbps: number): number[] =>
      paceOf(bandwidth({ kbps }))
        .schedule({ octets: Buffer.alloc(40_000), atMs: 0 })
        .map(({ octets }) => octets.length)
    expect(sizes(800)).toEqual([10_000, 10_000, 10_000, 10_000])
    expect(sizes(100_000)).toEqual([16_384, 16_384, 7232])
    expect(new Set(sizes(0.01))).toEqual(new Set([1]))
  })

  test('saves nothing up while idle', () => {
    const pace = paceOf(bandwidth({ kbps: 8 }))
    const first = lastOf(pace.schedule({ octets: Buffer.alloc(100), atMs: 0 })).atMs
    const second = lastOf(pace.schedule({ octets: Buffer.alloc(100), atMs: 10_000 })).atMs
    expect([first, second]).toEqual([100, 10_100])
  })

  test('is shared by all exchanges of the rule', () => {
    expect(bandwidth({ kbps: 8 }).parts).toMatchObject([{ stage: 'pace', side: 'client', scope: 'link' }])
  })
})

describe('slicer', () => {
  test('cuts into pieces between half the average less the variation and the average with it', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 2000 }),
        fc.nat(),
        fc.integer({ min: 1, max: 50_000 }),
        fc.nat(),
        (averageSize, variation, size, seed) => {
          const sizeVariation = variation % averageSize
          const pace = paceOf(slicer({ averageSize, sizeVariation }), seeded(seed))
          const sizes = pace.schedule({ octets: Buffer.alloc(size), atMs: 0 }).map(({ octets }) => octets.length)
          expect(Math.max(...sizes)).toBeLessThanOrEqual(averageSize + sizeVariation)
          const least = Math.min(size, Math.max(1, Math.floor((averageSize + sizeVariation) / 2) - sizeVariation))
          expect(Math.min(...sizes)).toBeGreaterThanOrEqual(least)
        },
      ),
    )
  })

  test('waits behind each piece, also for what comes later', () => {
    const pace = paceOf(slicer({ averageSize: 2, delayMs: 10 }))
    const out = scheduleAll(
      [pace],
      [
        { octets: Buffer.from('abcd'), atMs: 0 },
        { octets: Buffer.from('ef'), atMs: 5 },
        { octets: Buffer.from('gh'), atMs: 100 },
      ],
    )
    expect(out.map(({ octets, atMs }) => [octets.toString(), atMs])).toEqual([
      ['ab', 0],
      ['cd', 10],
      ['ef', 20],
      ['gh', 100],
    ])
  })
})

describe('packetLoss', () => {
  /** Whether each of many segments, far apart, had to wait. */
  const losses = (rate: number, correlation: number): boolean[] => {
    const pace = paceOf(packetLoss({ rate, correlation, rtoMs: 1 }), seeded(7))
    return Array.from({ length: 100_000 }, (_, index) => {
      const atMs = index * 1000
      return lastOf(pace.schedule({ octets: Buffer.alloc(1460), atMs })).atMs > atMs
    })
  }
  const share = (values: readonly boolean[]): number => values.filter(Boolean).length / values.length

  test.each([
    [0.1, 0],
    [0.1, 0.5],
    [0.3, 0.9],
  ])('loses %d of all segments, correlated by %d', (rate, correlation) => {
    const lost = losses(rate, correlation)
    expect(Math.abs(share(lost) - rate)).toBeLessThan(0.02)
    const behindLost = lost.filter((_, index) => lost[index - 1] === true)
    expect(Math.abs(share(behindLost) - (rate + correlation * (1 - rate)))).toBeLessThan(0.02)
  })

  test('holds back the lost segment and all behind it, and lets pass what is before', () => {
    const draws = [0.9, 0.9, 0, 0.9, 0.9]
    const pace = paceOf(packetLoss({ rate: 0.5, rtoMs: 200 }), () => draws.shift() ?? 0.9)
    const out = pace.schedule({ octets: Buffer.alloc(1460 * 4), atMs: 10 })
    expect(out.map(({ octets, atMs }) => [octets.length, atMs])).toEqual([
      [1460 * 2, 10],
      [1460 * 2, 210],
    ])
    expect(pace.schedule({ octets: Buffer.alloc(1), atMs: 50 }).map(({ atMs }) => atMs)).toEqual([210])
  })

  test('doubles the time-out for a segment that is lost again, up to six times', () => {
    const pace = paceOf(packetLoss({ rate: 0.5, rtoMs: 100 }), () => 0)
    expect(pace.schedule({ octets: Buffer.alloc(1), atMs: 0 }).map(({ atMs }) => atMs)).toEqual([6300])
  })
})

describe('dribble', () => {
  const shape = (out: readonly TimedOctets[]): unknown => out.map(({ octets, atMs }) => [octets.toString(), atMs])

  test('lets the head out at once, and a body of known length in equal pieces', () => {
    const pace = paceOf(dribble({ chunks: 4, totalMs: 400 }))
    pace.begin?.({ headBytes: 4, bodyBytes: 8 })
    expect(shape(pace.schedule({ octets: Buffer.from('HEADabcdefgh'), atMs: 1000 }))).toEqual([
      ['HEAD', 1000],
      ['ab', 1100],
      ['cd', 1200],
      ['ef', 1300],
      ['gh', 1400],
    ])
  })

  test('keeps to its pieces when the body comes in others, and never waits for more', () => {
    const pace = paceOf(dribble({ chunks: 2, totalMs: 100 }))
    pace.begin?.({ headBytes: 2, bodyBytes: 6 })
    const out = scheduleAll(
      [pace],
      [
        { octets: Buffer.from('H'), atMs: 0 },
        { octets: Buffer.from('Hab'), atMs: 10 },
        { octets: Buffer.from('cd'), atMs: 20 },
        { octets: Buffer.from('ef'), atMs: 500 },
      ],
    )
    expect(shape(out)).toEqual([
      ['H', 0],
      ['H', 10],
      ['ab', 60],
      ['c', 60],
      ['d', 110],
      ['ef', 500],
    ])
  })

  test('of a body without a length, lets out what comes first in pieces, and the rest at the end', () => {
    const pace = paceOf(dribble({ chunks: 2, totalMs: 100 }))
    pace.begin?.({ headBytes: 0, bodyBytes: undefined })
    const out = scheduleAll(
      [pace],
      [
        { octets: Buffer.from('abcd'), atMs: 0 },
        { octets: Buffer.from('ef'), atMs: 10 },
        { octets: Buffer.from('gh'), atMs: 300 },
      ],
    )
    expect(shape(out)).toEqual([
      ['ab', 50],
      ['cd', 100],
      ['ef', 100],
      ['gh', 300],
    ])
  })

  test('begins anew with each message', () => {
    const pace = paceOf(dribble({ chunks: 2, totalMs: 100 }))
    for (const atMs of [0, 1000]) {
      pace.begin?.({ headBytes: 1, bodyBytes: 2 })
      expect(shape(pace.schedule({ octets: Buffer.from('Hab'), atMs }))).toEqual([
        ['H', atMs],
        ['a', atMs + 50],
        ['b', atMs + 100],
      ])
    }
  })

  test('lets every octet out in order, also of a body whose length is not what was said', () => {
    fc.assert(
      fc.property(
        piecesArbitrary,
        fc.integer({ min: 1, max: 60 }),
        ms,
        fc.nat(50),
        fc.option(fc.nat(20_000), { nil: undefined }),
        (pieces, chunks, totalMs, headBytes, bodyBytes) => {
          const pace = paceOf(dribble({ chunks, totalMs }))
          pace.begin?.({ headBytes, bodyBytes })
          const out = scheduleAll([pace], pieces)
          expect(whole(out).equals(whole(pieces))).toBe(true)
          expectNoneEarly(pieces, out)
          for (const [index, { atMs }] of out.entries()) {
            expect(atMs).toBeGreaterThanOrEqual(out[index - 1]?.atMs ?? 0)
          }
          const [first] = pieces
          const last = pieces.at(-1)
          if (!first || !last) return
          expect(lastOf(out).atMs).toBeLessThanOrEqual(last.atMs + totalMs + 1e-6)
        },
      ),
    )
  })
})

test('slowClose passes octets as they are, and holds back the end', () => {
  const fault = slowClose({ ms: 300, side: 'server' })
  const piece = { octets: Buffer.from('abc'), atMs: 5 }
  expect(paceOf(fault).schedule(piece)).toEqual([piece])
  expect(fault.parts).toMatchObject([{ stage: 'pace', side: 'server', closeDelayMs: 300 }])
})
