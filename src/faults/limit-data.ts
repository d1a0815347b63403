import type { Side } from '../errors.ts'
import type { Fault } from '../fault.ts'
import { checkOptions, octetCount } from './check.ts'
import { CUT_CHECKS, cutFault } from './cut-options.ts'

/** The options of {@link limitData}. */
export interface LimitDataOptions {
  /** Octets that pass. 0: the head, and nothing behind it; with `of: 'message'` nothing at all. */
  bytes: number
  /** What `bytes` counts: octets behind the head, or from the first of the head on. @defaultValue `'body'` */
  of?: 'body' | 'message' | undefined
  /** Towards whom: `'client'` cuts the response, `'server'` the request. @defaultValue `'client'` */
  side?: Side | undefined
}

/**
 * Ends the connection (FIN) in the middle of a message. Octets of the body are counted as they are on the wire, with
 * chunk lines and content coding.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function breakTheDownload(mitm: TestMitm): void {
 *   mitm.get('https://shop.test/invoice.pdf').fault(faults.limitData({ bytes: 1000 })).once()
 * }
 * ```
 */
export function limitData(options: LimitDataOptions): Fault {
  const { bytes, of, side } = checkOptions('limitData', options, {
    bytes: octetCount,
    of: CUT_CHECKS.of,
    side: CUT_CHECKS.side,
  })
  return cutFault('limitData', { afterBytes: bytes, of, side }, { end: 'close', afterMs: 0 })
}
