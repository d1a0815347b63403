import type { Fault } from '../fault.ts'
import { checkOptions, optional, wholeNumber } from './check.ts'
import { eventFault } from './event-fault.ts'

/** The options of {@link duplicateEvent}. */
export interface DuplicateEventOptions {
  /** Which server-sent event, counted from 0. @defaultValue 0 */
  index?: number | undefined
}

/**
 * Sends a server-sent event twice, with the same `id`. All else of the stream passes as it comes; what has a content
 * coding is sent without it.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function tellTwice(mitm: TestMitm): void {
 *   mitm.get('https://chat.test/events').fault(faults.duplicateEvent({ index: 2 }))
 * }
 * ```
 */
export function duplicateEvent(options: DuplicateEventOptions = {}): Fault {
  const { index = 0 } = checkOptions('duplicateEvent', options, { index: optional(wholeNumber(0)) })
  return eventFault('duplicateEvent', `duplicateEvent ${index}`, index, (event) => Buffer.concat([event, event]))
}
