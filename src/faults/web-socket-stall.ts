import type { Fault } from '../fault.ts'
import { checkOptions, optional } from './check.ts'
import type { OptionCheck } from './check.ts'
import { PLACE_CHECKS, placeText } from './message-choice.ts'
import type { SocketPlace } from './message-choice.ts'
import { demandCloseCode } from './web-socket-close.ts'

/** The options of {@link webSocketStall}. */
export interface WebSocketStallOptions extends SocketPlace {
  /** Sends a close frame with this code first; then nobody answers, and the connection stays open. @defaultValue none */
  close?: number | undefined
}

const isNumber: OptionCheck = (value) => (typeof value === 'number' ? undefined : 'the status code of a close frame')

/**
 * Lets nothing more pass to one side of a WebSocket, pings and closes neither, and holds the connection open. What was held
 * goes on when the fault is removed.
 *
 * With `close` the side is told by a close frame that there is nothing more, and the connection is not closed behind that, as
 * RFC 6455 section 7.1.1 has it: the other side knows nothing of it.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function fallSilent(mitm: TestMitm): void {
 *   mitm.webSocket('wss://chat.test/live').fault(faults.webSocketStall({ afterMessages: 1 }))
 * }
 * ```
 */
export function webSocketStall(options: WebSocketStallOptions = {}): Fault {
  const { close, ...place } = checkOptions('webSocketStall', options, { close: optional(isNumber), ...PLACE_CHECKS })
  demandCloseCode('webSocketStall', close)
  const { afterMessages = 0, side = 'client' } = place
  return {
    name: 'webSocketStall',
    text: `webSocketStall${close === undefined ? '' : ` behind a close ${close}`}${placeText(place)}`,
    isForWebSockets: true,
    parts: [
      {
        stage: 'webSocket',
        side,
        afterMessages,
        action: close === undefined ? { kind: 'stall' } : { kind: 'close', code: close, reason: '', staysOpen: true },
      },
    ],
  }
}
