import type { Fault, FaultyFrame } from '../fault.ts'
import { checkOptions, oneOf, optional, yesOrNo } from './check.ts'
import { PLACE_CHECKS, placeText } from './message-choice.ts'
import type { SocketPlace } from './message-choice.ts'

/** The options of {@link webSocketDrop}. */
export interface WebSocketDropOptions extends SocketPlace {
  /** Whether by a reset (RST), not by a FIN. @defaultValue `false` */
  reset?: boolean | undefined
  /**
   * Where: between two messages, or in the middle of one of which a first fragment is sent, or of a frame that is longer than
   * what is sent of it. `side` says who sees that.
   *
   * @defaultValue `'messages'`
   */
  within?: 'messages' | 'message' | 'frame' | undefined
}

const BEGINNING = Buffer.from('{"this message":"breaks off')

const FRAMES: { readonly [Within in NonNullable<WebSocketDropOptions['within']>]: readonly FaultyFrame[] } = {
  messages: [],
  message: [{ opcode: 1, payload: BEGINNING, isFinal: false }],
  frame: [{ opcode: 1, payload: BEGINNING, statedLength: 1000n }],
}

/**
 * Ends the connection of a WebSocket without a close frame, as a process that dies or a proxy that has had enough does. Both
 * ends see that.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function loseTheConnection(mitm: TestMitm): void {
 *   mitm.webSocket('wss://chat.test/live').fault(faults.webSocketDrop({ afterMessages: 3, reset: true })).once()
 * }
 * ```
 */
export function webSocketDrop(options: WebSocketDropOptions = {}): Fault {
  const {
    reset = false,
    within = 'messages',
    ...place
  } = checkOptions('webSocketDrop', options, {
    reset: optional(yesOrNo),
    within: optional(oneOf('messages', 'message', 'frame')),
    ...PLACE_CHECKS,
  })
  const { afterMessages = 0, side = 'client' } = place
  const where = within === 'messages' ? '' : ` within a ${within}`
  return {
    name: 'webSocketDrop',
    text: `webSocketDrop${reset ? ' by a reset' : ''}${where}${placeText(place)}`,
    isForWebSockets: true,
    parts: [
      {
        stage: 'webSocket',
        side,
        afterMessages,
        action: { kind: 'end', end: reset ? 'reset' : 'close', frames: FRAMES[within] },
      },
    ],
  }
}
