import type { Fault } from '../fault.ts'
import { checkOptions, oneOf, optional } from './check.ts'
import { CHOICE_CHECKS, messageFault } from './message-choice.ts'
import type { MessageChoice } from './message-choice.ts'

/** What is wrong with a message that is one all the same. */
export type MessageFlaw = 'truncate' | 'garble' | 'empty'

/** The options of {@link corruptMessage}. */
export interface CorruptMessageOptions extends MessageChoice {
  /**
   * What is wrong: `'truncate'` leaves away the second half, `'garble'` turns the order of its characters, or octets, around,
   * `'empty'` leaves nothing.
   *
   * @defaultValue `'truncate'`
   */
  flaw?: MessageFlaw | undefined
}

/**
 * Changes the content of messages of a WebSocket, so that applications cannot make sense of them. They stay well-formed: a
 * text is a text. What breaks the protocol is made by `webSocketIllegalFrame()`.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function sendHalfOfTheJson(mitm: TestMitm): void {
 *   mitm.webSocket('wss://chat.test/live').fault(faults.corruptMessage({ count: 1 }))
 * }
 * ```
 */
export function corruptMessage(options: CorruptMessageOptions = {}): Fault {
  const { flaw = 'truncate', ...choice } = checkOptions('corruptMessage', options, {
    flaw: optional(oneOf('truncate', 'garble', 'empty')),
    ...CHOICE_CHECKS,
  })
  return messageFault('corruptMessage', ` (${flaw})`, choice, () => ({
    one: (message) => [{ ...message, octets: corrupt(message.kind, message.octets, flaw) }],
  }))
}

function corrupt(kind: 'text' | 'binary', octets: Buffer, flaw: MessageFlaw): Buffer {
  if (flaw === 'empty') return Buffer.alloc(0)
  if (kind === 'binary') {
    return flaw === 'garble' ? Buffer.from(octets.toReversed()) : octets.subarray(0, octets.length >> 1)
  }
  // By characters: a part of one would be no text any more.
  const characters = Array.from(octets.toString('utf8'))
  const kept = flaw === 'garble' ? characters.toReversed() : characters.slice(0, characters.length >> 1)
  return Buffer.from(kept.join(''))
}
