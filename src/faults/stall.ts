import type { Fault } from '../fault.ts'
import { plainCut } from './cut-options.ts'
import type { CutOptions } from './cut-options.ts'

/** The options of {@link stall}. */
export type StallOptions = CutOptions

/**
 * Stops in place of a message or in its middle, and holds the connection open. When the fault is removed, what was held
 * goes on unharmed.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function stallTheVideo(mitm: TestMitm): void {
 *   mitm.get('https://shop.test/tour.mp4').fault(faults.stall({ afterBytes: 64 * 1024 }))
 * }
 * ```
 */
export function stall(options: StallOptions = {}): Fault {
  return plainCut('stall', options, 'stall')
}
