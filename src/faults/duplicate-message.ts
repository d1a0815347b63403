import type { Fault } from '../fault.ts'
import { checkOptions } from './check.ts'
import { CHOICE_CHECKS, messageFault } from './message-choice.ts'
import type { MessageChoice } from './message-choice.ts'

/** The options of {@link duplicateMessage}. */
export type DuplicateMessageOptions = MessageChoice

/**
 * Sends messages of a WebSocket twice, as a server does that is not sure whether it has sent them.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function orderTwice(mitm: TestMitm): void {
 *   mitm.webSocket('wss://shop.test/live').fault(faults.duplicateMessage({ side: 'server', count: 1 }))
 * }
 * ```
 */
export function duplicateMessage(options: DuplicateMessageOptions = {}): Fault {
  const choice = checkOptions('duplicateMessage', options, CHOICE_CHECKS)
  return messageFault('duplicateMessage', '', choice, () => ({ one: (message) => [message, message] }))
}
