import type { Fault, FaultyFrame } from '../fault.ts'
import { checkOptions, invalidFault, show } from './check.ts'
import { PLACE_CHECKS, placeText } from './message-choice.ts'
import type { SocketPlace } from './message-choice.ts'
import { nearestWord } from '../internal/nearest-word.ts'

const TEXT = 1
const CLOSE = 8
const PING = 9
const CONTINUATION = 0
const PAYLOAD = Buffer.from('illegal')

/** What can be wrong with a frame of a WebSocket. */
export type WebSocketFrameFlaw =
  | 'mask'
  | 'rsv1'
  | 'rsv2'
  | 'rsv3'
  | 'opcode3'
  | 'opcode11'
  | 'badUtf8'
  | 'longPing'
  | 'fragmentedPing'
  | 'strayContinuation'
  | 'interleavedText'
  | 'hugeLength'
  | 'close1005'
  | 'close1006'
  | 'close1015'
  | 'close2999'
  | 'closeOneByte'
  | 'closeBadUtf8'

/** What is sent, by what is wrong with it. */
const KINDS: { readonly [Flaw in WebSocketFrameFlaw]: readonly FaultyFrame[] } = {
  /** Masked by a server, or not masked by a client (RFC 6455 section 5.1). */
  mask: [{ opcode: TEXT, payload: PAYLOAD, hasWrongMask: true }],
  /** A reserved bit that no extension has a use for (section 5.2); RSV1 with content that nobody can decompress. */
  rsv1: [{ opcode: TEXT, payload: Buffer.from([0xff, 0xff]), reserved: 4 }],
  rsv2: [{ opcode: TEXT, payload: PAYLOAD, reserved: 2 }],
  rsv3: [{ opcode: TEXT, payload: PAYLOAD, reserved: 1 }],
  /** A data frame of a kind that does not exist (section 5.2). */
  opcode3: [{ opcode: 3, payload: PAYLOAD }],
  /** A control frame of a kind that does not exist. */
  opcode11: [{ opcode: 11, payload: PAYLOAD }],
  /** A text message that is no UTF-8 (section 8.1). */
  badUtf8: [{ opcode: TEXT, payload: Buffer.from([0xff, 0xfe, 0xc3]) }],
  /** A ping of 126 octets (section 5.5). */
  longPing: [{ opcode: PING, payload: Buffer.alloc(126, 'x') }],
  /** A ping that says that more of it follows (section 5.5). */
  fragmentedPing: [{ opcode: PING, payload: PAYLOAD, isFinal: false }],
  /** The rest of a message that has not begun (section 5.4). */
  strayContinuation: [{ opcode: CONTINUATION, payload: PAYLOAD }],
  /** A message in the midst of another (section 5.4). */
  interleavedText: [
    { opcode: TEXT, payload: PAYLOAD, isFinal: false },
    { opcode: TEXT, payload: PAYLOAD },
  ],
  /** A length of 2^63 (section 5.2). */
  hugeLength: [{ opcode: TEXT, payload: PAYLOAD, statedLength: 2n ** 63n }],
  /** Status codes that must never be sent (section 7.4.1). */
  close1005: [closeFrame(1005)],
  close1006: [closeFrame(1006)],
  close1015: [closeFrame(1015)],
  /** A status code that nobody has defined (section 7.4.2). */
  close2999: [closeFrame(2999)],
  /** Half of a status code (section 5.5.1). */
  closeOneByte: [{ opcode: CLOSE, payload: Buffer.from([3]) }],
  /** A reason that is no UTF-8 (section 5.5.1). */
  closeBadUtf8: [{ opcode: CLOSE, payload: Buffer.from([0x03, 0xe8, 0xff, 0xfe]) }],
}

/** The options of {@link webSocketIllegalFrame}. */
export type WebSocketIllegalFrameOptions = SocketPlace

/**
 * Sends a frame on a WebSocket that breaks RFC 6455, once. Endpoints fail the connection when they get it; what they do by
 * that passes as ever.
 *
 * @param kind - What is wrong with it.
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function breakTheProtocol(mitm: TestMitm): void {
 *   mitm.webSocket('wss://chat.test/live').fault(faults.webSocketIllegalFrame('badUtf8', { afterMessages: 1 }))
 * }
 * ```
 */
export function webSocketIllegalFrame(kind: WebSocketFrameFlaw, options: WebSocketIllegalFrameOptions = {}): Fault {
  if (typeof kind !== 'string' || !Object.hasOwn(KINDS, kind)) {
    const nearest = typeof kind === 'string' ? nearestWord(kind, Object.keys(KINDS)) : undefined
    throw invalidFault(
      'webSocketIllegalFrame',
      `kind is ${show(kind)}, expected one of ${Object.keys(KINDS).join(', ')}${nearest ? `; did you mean ${nearest}?` : ''}`,
    )
  }
  const place = checkOptions('webSocketIllegalFrame', options, PLACE_CHECKS)
  const { afterMessages = 0, side = 'client' } = place
  return {
    name: 'webSocketIllegalFrame',
    text: `webSocketIllegalFrame ${kind}${placeText(place)}`,
    isForWebSockets: true,
    parts: [{ stage: 'webSocket', side, afterMessages, action: { kind: 'frames', frames: KINDS[kind] } }],
  }
}

function closeFrame(code: number): FaultyFrame {
  const payload = Buffer.alloc(2)
  payload.writeUInt16BE(code)
  return { opcode: CLOSE, payload }
}
