import type { Side } from '../errors.ts'
import type { Fault } from '../fault.ts'
import { checkOptions, milliseconds, optional } from './check.ts'
import { CUT_CHECKS, cutFault } from './cut-options.ts'

/** The options of {@link timeout}. */
export interface TimeoutOptions {
  /** Milliseconds until the connection is closed (FIN); 0: never. @defaultValue 0 */
  ms?: number | undefined
  /** For the response: whether the server gets the request first. @defaultValue `false` */
  forward?: boolean | undefined
  /** Towards whom nothing passes: `'client'` withholds the response, `'server'` the request. @defaultValue `'client'` */
  side?: Side | undefined
}

/**
 * Lets nothing pass in place of a message, and closes the connection after a while: a gateway that gives up, or a server
 * that never answers.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function neverAnswer(mitm: TestMitm): void {
 *   mitm.get('https://shop.test/api/stock').fault(faults.timeout({ ms: 2000 }))
 * }
 * ```
 */
export function timeout(options: TimeoutOptions = {}): Fault {
  const {
    ms = 0,
    forward,
    side,
  } = checkOptions('timeout', options, {
    ms: optional(milliseconds),
    forward: CUT_CHECKS.forward,
    side: CUT_CHECKS.side,
  })
  const tail = ms === 0 ? ', without an end' : `, closed after ${ms} ms`
  return cutFault('timeout', { forward, side }, { end: ms === 0 ? 'stall' : 'close', afterMs: ms, tail })
}
