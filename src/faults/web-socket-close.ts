import type { Fault } from '../fault.ts'
import { checkOptions, invalidFault, optional, show } from './check.ts'
import type { OptionCheck } from './check.ts'
import { PLACE_CHECKS, placeText } from './message-choice.ts'
import type { SocketPlace } from './message-choice.ts'

/** The options of {@link webSocketClose}. */
export interface WebSocketCloseOptions extends SocketPlace {
  /** At most 123 octets. @defaultValue none */
  reason?: string | undefined
}

/** RFC 6455 section 5.5: a control frame has at most 125 octets, two of which are the code. */
const MAX_REASON_BYTES = 123

const isReason: OptionCheck = (value) =>
  typeof value === 'string' && Buffer.byteLength(value) <= MAX_REASON_BYTES
    ? undefined
    : `a text of at most ${MAX_REASON_BYTES} octets`

/**
 * Closes a WebSocket by a close frame, as its server does. The server gets what the client answers.
 *
 * @param code - 1000 to 1003, 1007 to 1014, or 3000 to 4999. @defaultValue none: an empty close frame, which is read as 1005
 * @throws {@link MitmError} `MITM_INVALID_FAULT`. Codes that must not be sent are sent by `webSocketIllegalFrame()`.
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function restartTheServer(mitm: TestMitm): void {
 *   mitm.webSocket('wss://chat.test/live').fault(faults.webSocketClose(1012, { reason: 'restarting', afterMessages: 1 }))
 * }
 * ```
 */
export function webSocketClose(code?: number, options: WebSocketCloseOptions = {}): Fault {
  demandCloseCode('webSocketClose', code)
  const { reason = '', ...place } = checkOptions('webSocketClose', options, {
    reason: optional(isReason),
    ...PLACE_CHECKS,
  })
  if (reason !== '' && code === undefined) {
    throw invalidFault('webSocketClose', 'there is a reason and no code, expected both')
  }
  const { afterMessages = 0, side = 'client' } = place
  const why = reason === '' ? '' : ` ${JSON.stringify(reason)}`
  return {
    name: 'webSocketClose',
    text: `webSocketClose${code === undefined ? '' : ` ${code}`}${why}${placeText(place)}`,
    isForWebSockets: true,
    parts: [{ stage: 'webSocket', side, afterMessages, action: { kind: 'close', code, reason, staysOpen: false } }],
  }
}

/** @throws {@link MitmError} `MITM_INVALID_FAULT` when a code must not be sent (RFC 6455 section 7.4) */
export function demandCloseCode(fault: string, code: number | undefined): void {
  if (code === undefined) return
  const isWhole = typeof code === 'number' && Number.isInteger(code)
  if (isWhole && ((code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999))) {
    return
  }
  throw invalidFault(
    fault,
    `code is ${show(code)}, expected 1000 to 1003, 1007 to 1014, or 3000 to 4999; ` +
      "webSocketIllegalFrame('close1005') and others send codes that must not be sent",
  )
}
