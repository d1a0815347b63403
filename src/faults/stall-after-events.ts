import type { Fault } from '../fault.ts'
import { checkOptions, wholeNumber } from './check.ts'
import { eventCut } from './event-cut.ts'

/** The options of {@link stallAfterEvents}. */
export interface StallAfterEventsOptions {
  /** How many server-sent events pass. */
  count: number
}

/**
 * Holds a stream of server-sent events behind so many of them, and the connection open. When the fault is removed, what
 * was held goes on. Events are counted in a body without content coding.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function fallSilent(mitm: TestMitm): void {
 *   mitm.get('https://chat.test/events').fault(faults.stallAfterEvents({ count: 3 }))
 * }
 * ```
 */
export function stallAfterEvents(options: StallAfterEventsOptions): Fault {
  const { count } = checkOptions('stallAfterEvents', options, { count: wholeNumber(0) })
  return eventCut('stallAfterEvents', count, 'stall')
}
