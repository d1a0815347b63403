import type { Side } from '../errors.ts'
import type { Fault, Pace, TimedOctets } from '../fault.ts'
import { checkOptions, milliseconds, numberIn, optional, sideName } from './check.ts'
import { paceFault } from './pace-fault.ts'

/** The options of {@link packetLoss}. */
export interface PacketLossOptions {
  /** How many of all segments are lost, from 0 to 0.99 (where nothing at all shall pass, there is `stall`). */
  rate: number
  /**
   * How much losses come in bursts, from 0 (each for itself) up to 1: how likely a segment repeats the fate of the one
   * before instead of drawing its own. The rate over time stays what it is.
   *
   * @defaultValue 0
   */
  correlation?: number | undefined
  /** Milliseconds until a lost segment is sent again; doubled when it is lost again. @defaultValue 200 */
  rtoMs?: number | undefined
  /** Towards whom. @defaultValue `'client'` */
  side?: Side | undefined
}

/** Octets of a TCP segment: what an Ethernet frame holds beside the headers of IPv4 and TCP. */
const SEGMENT_BYTES = 1460
/** How often a segment is lost at most, so that every octet comes at last. */
const MAX_LOSSES = 6

/**
 * Loses packets, as they are lost to a TCP connection: no octet is missing, but the lost segment, and all that is behind
 * it, waits until it has been sent again.
 *
 * Segments are of 1460 octets, or of what came at once. Losses follow the two-state model of Gilbert: after a loss the
 * next one is as likely as `rate + correlation * (1 - rate)`, else as `rate * (1 - correlation)`.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 * @see RFC 6298 section 5, on retransmission time-outs: https://www.rfc-editor.org/rfc/rfc6298#section-5
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function useBadWifi(mitm: TestMitm): void {
 *   mitm.when('**').fault(faults.packetLoss({ rate: 0.05, correlation: 0.25 }))
 * }
 * ```
 */
export function packetLoss(options: PacketLossOptions): Fault {
  const {
    rate,
    correlation = 0,
    rtoMs = 200,
    side = 'client',
  } = checkOptions('packetLoss', options, {
    rate: numberIn(0, 0.99),
    correlation: optional(numberIn(0, 1)),
    rtoMs: optional(milliseconds),
    side: optional(sideName),
  })
  const bursts = correlation > 0 ? `, correlated by ${correlation},` : ''
  return paceFault('packetLoss', `of ${Number((rate * 100).toPrecision(6))} %${bursts}`, side, 'message', (random) =>
    packetLossPace(rate, correlation, rtoMs, random),
  )
}

/** A pace that waits for lost segments. The options are taken to be valid. */
function packetLossPace(rate: number, correlation: number, rtoMs: number, random: () => number): Pace {
  let wasLost = false
  let lastMs = Number.NEGATIVE_INFINITY

  const drawWait = (): number => {
    wasLost = random() < (wasLost ? rate + correlation * (1 - rate) : rate * (1 - correlation))
    if (!wasLost) return 0
    let waitMs = rtoMs
    for (let losses = 1; losses < MAX_LOSSES && random() < rate; losses++) waitMs += rtoMs * 2 ** losses
    return waitMs
  }

  return {
    schedule({ octets, atMs }) {
      const pieces: TimedOctets[] = []
      let nowMs = Math.max(atMs, lastMs)
      let from = 0
      for (let at = 0; at < octets.length; at += SEGMENT_BYTES) {
        const waitMs = drawWait()
        if (waitMs === 0) continue
        if (at > from) pieces.push({ octets: octets.subarray(from, at), atMs: nowMs })
        from = at
        nowMs += waitMs
      }
      if (octets.length > from) pieces.push({ octets: octets.subarray(from), atMs: nowMs })
      lastMs = nowMs
      return pieces
    },
  }
}
