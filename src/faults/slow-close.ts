import type { Side } from '../errors.ts'
import type { Fault } from '../fault.ts'
import { checkOptions, milliseconds, optional, sideName } from './check.ts'

/** The options of {@link slowClose}. */
export interface SlowCloseOptions {
  /** Milliseconds. */
  ms: number
  /** Towards whom. @defaultValue `'client'` */
  side?: Side | undefined
}

/**
 * Holds back the end of the connection; octets pass as ever.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function closeLate(mitm: TestMitm): void {
 *   mitm.get('https://old.test/*').fault(faults.slowClose({ ms: 500 }))
 * }
 * ```
 */
export function slowClose(options: SlowCloseOptions): Fault {
  const { ms, side = 'client' } = checkOptions('slowClose', options, { ms: milliseconds, side: optional(sideName) })
  return {
    name: 'slowClose',
    text: `slowClose of ${ms} ms towards the ${side}`,
    parts: [{ stage: 'pace', side, scope: 'link', open: () => ({ schedule: (piece) => [piece] }), closeDelayMs: ms }],
  }
}
