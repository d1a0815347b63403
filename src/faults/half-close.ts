import type { Fault } from '../fault.ts'
import { plainCut } from './cut-options.ts'
import type { CutOptions } from './cut-options.ts'

/** The options of {@link halfClose}. */
export type HalfCloseOptions = CutOptions

/**
 * Ends one direction of the connection (FIN) in place of a message or in its middle, and lets the other go on.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function hangUpWhileItUploads(mitm: TestMitm): void {
 *   mitm.post('https://shop.test/photos').fault(faults.halfClose())
 * }
 * ```
 */
export function halfClose(options: HalfCloseOptions = {}): Fault {
  return plainCut('halfClose', options, 'halfClose')
}
