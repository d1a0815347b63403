import type { Side } from '../errors.ts'
import type { Fault, Pace, TimedOctets } from '../fault.ts'
import { checkOptions, numberIn, optional, sideName } from './check.ts'
import { paceFault } from './pace-fault.ts'

/** The options of {@link bandwidth}. */
export interface BandwidthOptions {
  /** Kilobits (1000 bits) a second. */
  kbps: number
  /** Towards whom. @defaultValue `'client'` */
  side?: Side | undefined
}

/** Milliseconds of the rate that go in one piece at most. */
const MAX_PIECE_MS = 100
const MAX_PIECE_BYTES = 16 * 1024

/**
 * Limits how fast octets pass. All exchanges of the rule share the rate, as they share a line. A line that is idle saves
 * nothing up: no burst follows.
 *
 * Heads count, TLS records and TCP headers do not.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function downloadSlowly(mitm: TestMitm): void {
 *   mitm.when('https://cdn.test/**').fault(faults.bandwidth({ kbps: 400 }))
 * }
 * ```
 */
export function bandwidth(options: BandwidthOptions): Fault {
  const { kbps, side = 'client' } = checkOptions('bandwidth', options, {
    kbps: numberIn(0.001, 1e9, 'kilobits a second'),
    side: optional(sideName),
  })
  return paceFault('bandwidth', `of ${kbps} kbit/s`, side, 'link', () => bandwidthPace(kbps))
}

/** A pace that holds a rate: octets are there when the last of them would have come over the line. */
function bandwidthPace(kbps: number): Pace {
  const mostBytes = Math.max(1, Math.min(MAX_PIECE_BYTES, Math.floor((kbps * MAX_PIECE_MS) / 8)))
  let freeAtMs = Number.NEGATIVE_INFINITY
  return {
    schedule({ octets, atMs }) {
      const startMs = Math.max(atMs, freeAtMs)
      const pieces: TimedOctets[] = []
      for (let at = 0; at < octets.length; at += mostBytes) {
        const piece = octets.subarray(at, at + mostBytes)
        // Bits divided by kilobits a second are milliseconds. From the start each time, so that errors do not add up.
        freeAtMs = startMs + ((at + piece.length) * 8) / kbps
        pieces.push({ octets: piece, atMs: freeAtMs })
      }
      return pieces
    },
  }
}
