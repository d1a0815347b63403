import type { Fault } from '../fault.ts'
import { plainCut } from './cut-options.ts'
import type { CutOptions } from './cut-options.ts'

/** The options of {@link resetPeer}. */
export type ResetPeerOptions = CutOptions

/**
 * Breaks the connection with a TCP reset (RST), as a process that dies or a firewall does.
 *
 * Without options the reset comes in place of the response, when the request has come whole, and the server is not
 * contacted; with `forward: true` the server does its work and only the response is lost.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function loseTheReceipt(mitm: TestMitm): void {
 *   mitm.post('https://pay.test/charge').fault(faults.resetPeer({ forward: true })).once()
 * }
 * ```
 */
export function resetPeer(options: ResetPeerOptions = {}): Fault {
  return plainCut('resetPeer', options, 'reset')
}
