import type { Fault } from '../fault.ts'
import { checkOptions } from './check.ts'
import { CHOICE_CHECKS, messageFault } from './message-choice.ts'
import type { MessageChoice } from './message-choice.ts'

/** The options of {@link dropMessage}. */
export type DropMessageOptions = MessageChoice

/**
 * Loses messages of a WebSocket, as a server that forgets to send them does.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function loseTheThirdUpdate(mitm: TestMitm): void {
 *   mitm.webSocket('wss://chat.test/live').fault(faults.dropMessage({ afterMessages: 2, count: 1 }))
 * }
 * ```
 */
export function dropMessage(options: DropMessageOptions = {}): Fault {
  return messageFault('dropMessage', '', checkOptions('dropMessage', options, CHOICE_CHECKS), () => ({ one: () => [] }))
}
