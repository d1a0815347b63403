import type { Fault, MessageOnItsWay } from '../fault.ts'
import { checkOptions } from './check.ts'
import { CHOICE_CHECKS, messageFault } from './message-choice.ts'
import type { MessageChoice } from './message-choice.ts'

/** The options of {@link reorderMessages}. `count` and `probability` are about pairs. */
export type ReorderMessagesOptions = MessageChoice

/**
 * Swaps each message of a WebSocket with the one behind it: of five, the second comes first, the fourth third. A message that
 * no other follows is sent before the close frame, and when the fault is removed.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function mixUpTheFirstTwo(mitm: TestMitm): void {
 *   mitm.webSocket('wss://chat.test/live').fault(faults.reorderMessages({ count: 1 }))
 * }
 * ```
 */
export function reorderMessages(options: ReorderMessagesOptions = {}): Fault {
  const choice = checkOptions('reorderMessages', options, CHOICE_CHECKS)
  return messageFault('reorderMessages', '', choice, () => {
    let first: MessageOnItsWay | undefined
    const takeFirst = (): MessageOnItsWay | undefined => {
      const taken = first
      first = undefined
      return taken
    }
    return {
      before: (message) => {
        const held = takeFirst()
        return held && [message, { ...held, atMs: Math.max(held.atMs, message.atMs) }]
      },
      one: (message) => {
        first = message
        return 'held'
      },
      end: () => {
        const held = takeFirst()
        return held ? [held] : []
      },
    }
  })
}
