import { types } from 'node:util'

import type { Fault } from '../fault.ts'
import { checkOptions } from './check.ts'
import type { OptionCheck } from './check.ts'
import { PLACE_CHECKS, placeText } from './message-choice.ts'
import type { SocketPlace } from './message-choice.ts'

/** The options of {@link injectMessage}. */
export interface InjectMessageOptions extends SocketPlace {
  /** A text for a text message, octets for a binary one. */
  data: string | Uint8Array
}

const isData: OptionCheck = (value) =>
  typeof value === 'string' || types.isUint8Array(value) ? undefined : 'a text or octets (a Buffer or Uint8Array)'

/**
 * Sends a message on a WebSocket that nobody has sent, once.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function speakInBetween(mitm: TestMitm): void {
 *   mitm.webSocket('wss://chat.test/live').fault(faults.injectMessage({ data: '{"type":"logout"}', afterMessages: 1 }))
 * }
 * ```
 */
export function injectMessage(options: InjectMessageOptions): Fault {
  const { data, ...place } = checkOptions('injectMessage', options, { data: isData, ...PLACE_CHECKS })
  const { afterMessages = 0, side = 'client' } = place
  const octets = Buffer.from(data)
  const message = typeof data === 'string' ? 'text' : 'binary'
  return {
    name: 'injectMessage',
    text: `injectMessage of ${octets.length} ${octets.length === 1 ? 'octet' : 'octets'}${placeText(place)}`,
    isForWebSockets: true,
    parts: [{ stage: 'webSocket', side, afterMessages, action: { kind: 'send', message, octets } }],
  }
}
