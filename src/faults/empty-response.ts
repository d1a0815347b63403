import type { Fault } from '../fault.ts'
import { checkOptions } from './check.ts'
import { CUT_CHECKS, cutFault } from './cut-options.ts'

/** The options of {@link emptyResponse}. */
export interface EmptyResponseOptions {
  /** Whether the server gets the request first. @defaultValue `false` */
  forward?: boolean | undefined
}

/**
 * Ends the connection (FIN) in place of the response, when the request has come whole.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function hangUpOnTheSearch(mitm: TestMitm): void {
 *   mitm.get('https://shop.test/search*').fault(faults.emptyResponse())
 * }
 * ```
 */
export function emptyResponse(options: EmptyResponseOptions = {}): Fault {
  const { forward } = checkOptions('emptyResponse', options, { forward: CUT_CHECKS.forward })
  return cutFault('emptyResponse', { forward }, { end: 'close', afterMs: 0 })
}
