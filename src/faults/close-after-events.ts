import type { Fault } from '../fault.ts'
import { checkOptions, octetCount, oneOf, optional, wholeNumber } from './check.ts'
import { eventCut } from './event-cut.ts'

/** The options of {@link closeAfterEvents}. */
export interface CloseAfterEventsOptions {
  /** How many server-sent events pass. */
  count: number
  /** How the connection ends: by a FIN or by a reset. @defaultValue `'close'` */
  end?: 'close' | 'reset' | undefined
  /** Octets of the next event that pass too, with chunk lines; clients discard such an event. @defaultValue 0 */
  partialBytes?: number | undefined
}

/**
 * Ends the connection behind so many server-sent events: clients connect anew, with `last-event-id`. Events are counted
 * in a body without content coding.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function loseTheStream(mitm: TestMitm): void {
 *   mitm.get('https://chat.test/events').fault(faults.closeAfterEvents({ count: 2, end: 'reset' })).once()
 * }
 * ```
 */
export function closeAfterEvents(options: CloseAfterEventsOptions): Fault {
  const {
    count,
    end = 'close',
    partialBytes,
  } = checkOptions('closeAfterEvents', options, {
    count: wholeNumber(0),
    end: optional(oneOf('close', 'reset')),
    partialBytes: optional(octetCount),
  })
  return eventCut('closeAfterEvents', count, end, partialBytes)
}
