import type { Side } from '../errors.ts'
import type { Fault, Pace } from '../fault.ts'
import { checkOptions, invalidFault, milliseconds, octetCount, optional, sideName, wholeNumber } from './check.ts'
import { paceFault } from './pace-fault.ts'

/** The options of {@link slicer}. */
export interface SlicerOptions {
  /** Octets of a piece, on average. */
  averageSize: number
  /** How many octets more or less; less than `averageSize`. @defaultValue 0 */
  sizeVariation?: number | undefined
  /** Milliseconds behind each piece. @defaultValue 0 */
  delayMs?: number | undefined
  /** Towards whom. @defaultValue `'client'` */
  side?: Side | undefined
}

/**
 * Cuts octets into small pieces. What comes is halved, give or take `sizeVariation`, until no piece is larger than
 * `averageSize + sizeVariation`. Without `delayMs` the system may join pieces again.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function dripTheEvents(mitm: TestMitm): void {
 *   mitm.get('https://chat.test/events').fault(faults.slicer({ averageSize: 8, sizeVariation: 4, delayMs: 20 }))
 * }
 * ```
 */
export function slicer(options: SlicerOptions): Fault {
  const {
    averageSize,
    sizeVariation = 0,
    delayMs = 0,
    side = 'client',
  } = checkOptions('slicer', options, {
    averageSize: wholeNumber(1),
    sizeVariation: optional(octetCount),
    delayMs: optional(milliseconds),
    side: optional(sideName),
  })
  if (sizeVariation >= averageSize) {
    throw invalidFault('slicer', `sizeVariation is ${sizeVariation}, expected less than averageSize (${averageSize})`)
  }
  const variation = sizeVariation > 0 ? ` ± ${sizeVariation}` : ''
  const pause = delayMs > 0 ? `, ${delayMs} ms apart,` : ''
  const text = `into pieces of ${averageSize}${variation} octets${pause}`
  return paceFault('slicer', text, side, 'message', (random) => slicerPace(averageSize, sizeVariation, delayMs, random))
}

/** A pace that cuts into pieces. The options are taken to be valid. */
function slicerPace(averageSize: number, sizeVariation: number, delayMs: number, random: () => number): Pace {
  let freeAtMs = Number.NEGATIVE_INFINITY
  const slice = (octets: Buffer): readonly Buffer[] => {
    if (octets.length <= averageSize + sizeVariation) return [octets]
    const variation = sizeVariation > 0 ? Math.floor((random() * 2 - 1) * sizeVariation) : 0
    const middle = Math.min(octets.length - 1, Math.max(1, Math.floor(octets.length / 2) + variation))
    return [...slice(octets.subarray(0, middle)), ...slice(octets.subarray(middle))]
  }
  return {
    schedule: ({ octets, atMs }) =>
      slice(octets).map((piece) => {
        const pieceAtMs = Math.max(atMs, freeAtMs)
        freeAtMs = pieceAtMs + delayMs
        return { octets: piece, atMs: pieceAtMs }
      }),
  }
}
