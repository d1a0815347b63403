import type { Fault } from '../fault.ts'
import { checkOptions, milliseconds, optional } from './check.ts'
import { CHOICE_CHECKS, messageFault } from './message-choice.ts'
import type { MessageChoice } from './message-choice.ts'

/** The options of {@link delayMessage}. */
export interface DelayMessageOptions extends MessageChoice {
  /** Milliseconds. */
  ms: number
  /** How many milliseconds more or less at most, evenly spread. @defaultValue 0 */
  jitterMs?: number | undefined
}

/**
 * Delays messages of a WebSocket, counted from when they came. None overtakes another, nor does a ping or a close.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function answerLate(mitm: TestMitm): void {
 *   mitm.webSocket('wss://chat.test/live').fault(faults.delayMessage({ ms: 500, jitterMs: 200 }))
 * }
 * ```
 */
export function delayMessage(options: DelayMessageOptions): Fault {
  const {
    ms,
    jitterMs = 0,
    ...choice
  } = checkOptions('delayMessage', options, { ms: milliseconds, jitterMs: optional(milliseconds), ...CHOICE_CHECKS })
  return messageFault('delayMessage', ` by ${ms} ms${jitterMs > 0 ? ` ± ${jitterMs} ms` : ''}`, choice, (random) => ({
    one: (message) => {
      const delayMs = jitterMs > 0 ? Math.max(0, ms + (random() * 2 - 1) * jitterMs) : ms
      return [{ ...message, atMs: message.atMs + delayMs }]
    },
  }))
}
