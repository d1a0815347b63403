import type { Side } from '../errors.ts'
import type { Fault, Pace } from '../fault.ts'
import { checkOptions, invalidFault, milliseconds, oneOf, optional, sideName } from './check.ts'
import { paceFault } from './pace-fault.ts'

/** How delays are spread. */
export type LatencyDistribution = 'uniform' | 'normal' | 'lognormal' | 'pareto'

/** The options of {@link latency}. */
export interface LatencyOptions {
  /** Milliseconds; with `jitterMs` the mean. */
  ms: number
  /** Milliseconds: for `'uniform'` how much more or less at most, for the others the standard deviation. @defaultValue 0 */
  jitterMs?: number | undefined
  /**
   * How delays are spread around the mean. `'lognormal'` and `'pareto'` (of shape 3) have a long tail. None but
   * `'uniform'` has an end, so they are cut off at four standard deviations from the mean, as netem's tables are. No
   * effect without `jitterMs`.
   *
   * @defaultValue `'uniform'`
   */
  distribution?: LatencyDistribution | undefined
  /** Towards whom. @defaultValue `'client'` */
  side?: Side | undefined
}

/**
 * Delays octets, counted from when they came: a large message is late by as much as a small one, and its bandwidth is
 * what it was. What came later never overtakes, so with jitter a delay may be longer than drawn.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function answerFromAfar(mitm: TestMitm): void {
 *   mitm.when('https://api.test/**').fault(faults.latency({ ms: 300, jitterMs: 50, distribution: 'normal' }))
 * }
 * ```
 */
export function latency(options: LatencyOptions): Fault {
  const {
    ms,
    jitterMs = 0,
    distribution = 'uniform',
    side = 'client',
  } = checkOptions('latency', options, {
    ms: milliseconds,
    jitterMs: optional(milliseconds),
    distribution: optional(oneOf('uniform', 'normal', 'lognormal', 'pareto')),
    side: optional(sideName),
  })
  if (distribution === 'lognormal' && ms === 0 && jitterMs > 0) {
    throw invalidFault('latency', 'ms is 0, expected more than 0 for lognormal delays with jitter')
  }
  const text = `of ${ms} ms${jitterMs > 0 ? ` ± ${jitterMs} ms (${distribution})` : ''}`
  return paceFault('latency', text, side, 'message', (random) => latencyPace(ms, jitterMs, distribution, random))
}

/** A pace that delays. The options are taken to be valid. */
function latencyPace(ms: number, jitterMs: number, distribution: LatencyDistribution, random: () => number): Pace {
  let lastMs = Number.NEGATIVE_INFINITY
  return {
    schedule({ octets, atMs }) {
      lastMs = Math.max(lastMs, atMs + drawDelay(ms, jitterMs, distribution, random))
      return [{ octets, atMs: lastMs }]
    },
  }
}

const MAX_DEVIATIONS = 4
/** Mean and standard deviation of a Pareto distribution of shape 3 whose least value is 1. */
const PARETO_MEAN = 1.5
const PARETO_DEVIATION = Math.sqrt(3) / 2

function drawDelay(ms: number, jitterMs: number, distribution: LatencyDistribution, random: () => number): number {
  if (jitterMs === 0) return ms
  switch (distribution) {
    case 'uniform':
      return Math.max(0, ms + (random() * 2 - 1) * jitterMs)
    case 'normal':
      return bounded(ms + drawNormal(random) * jitterMs, ms, jitterMs)
    case 'lognormal': {
      const variance = Math.log(1 + (jitterMs / ms) ** 2)
      const delay = Math.exp(Math.log(ms) - variance / 2 + drawNormal(random) * Math.sqrt(variance))
      return bounded(delay, ms, jitterMs)
    }
    case 'pareto': {
      const deviations = ((1 - random()) ** (-1 / 3) - PARETO_MEAN) / PARETO_DEVIATION
      return bounded(ms + deviations * jitterMs, ms, jitterMs)
    }
  }
}

/** Of mean 0 and standard deviation 1, by the method of Box and Muller. */
function drawNormal(random: () => number): number {
  const radius = Math.sqrt(-2 * Math.log(1 - random()))
  return radius * Math.cos(2 * Math.PI * random())
}

function bounded(delay: number, ms: number, jitterMs: number): number {
  return Math.min(ms + MAX_DEVIATIONS * jitterMs, Math.max(0, ms - MAX_DEVIATIONS * jitterMs, delay))
}
