import type { Fault } from '../fault.ts'
import { checkOptions, oneOf, optional, wholeNumber } from './check.ts'
import { eventFault } from './event-fault.ts'

/** What is wrong with an event. See {@link MalformedEventOptions}. */
export type EventFlaw = 'data' | 'utf8' | 'field'

/** The options of {@link malformedEvent}. */
export interface MalformedEventOptions {
  /** Which server-sent event, counted from 0. @defaultValue 0 */
  index?: number | undefined
  /**
   * `'data'`: its data is the beginning of some JSON. `'utf8'`: its data is no UTF-8; clients put U+FFFD there. `'field'`: its
   * fields have names that no client knows, so that it is not dispatched.
   *
   * @defaultValue `'data'`
   */
  flaw?: EventFlaw | undefined
}

const CHANGES: Readonly<Record<EventFlaw, (event: string) => string>> = {
  data: (event) => withData(event, '{"malformed":'),
  utf8: (event) => withData(event, '\xff\xfe\xc3'),
  field: (event) => event.replace(/^(?=[^:\r\n])/gm, 'malformed-'),
}

/**
 * Sends a server-sent event that is not what the application expects. All else of the stream passes as it comes; what
 * has a content coding is sent without it.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function garbleTheSecondEvent(mitm: TestMitm): void {
 *   mitm.get('https://chat.test/events').fault(faults.malformedEvent({ index: 1 }))
 * }
 * ```
 */
export function malformedEvent(options: MalformedEventOptions = {}): Fault {
  const { index = 0, flaw = 'data' } = checkOptions('malformedEvent', options, {
    index: optional(wholeNumber(0)),
    flaw: optional(oneOf('data', 'utf8', 'field')),
  })
  return eventFault('malformedEvent', `malformedEvent ${index} (${flaw})`, index, (event) =>
    Buffer.from(CHANGES[flaw](event.toString('latin1')), 'latin1'),
  )
}

/** The first line of data says something else, and there is no other. */
function withData(event: string, data: string): string {
  let isFirst = true
  return event.replace(/(?<=^|[\r\n]|^\xef\xbb\xbf)data(?::[^\r\n]*)?(\r\n|\r|\n)/g, (_line, end: string) => {
    const line = isFirst ? `data: ${data}${end}` : ''
    isFirst = false
    return line
  })
}
