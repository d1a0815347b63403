import { STATUS_CODES } from 'node:http'

import type { CutPart, Fault, FaultPart } from '../fault.ts'
import { invalidFault, show, wholeNumber } from './check.ts'
import { appendLines, editText, removeFields } from './head-edit.ts'
import { nearestWord } from '../internal/nearest-word.ts'

/** What can go wrong with the handshake of a WebSocket, beside a status that refuses it. */
export type WebSocketHandshakeFlaw =
  | 'close'
  | 'reset'
  | 'stall'
  | 'badAccept'
  | 'missingAccept'
  | 'subprotocol'
  | 'extension'
  | 'upgrade'

/** By name. */
const FLAWS: { readonly [Flaw in WebSocketHandshakeFlaw]: FaultPart } = {
  /** The connection is closed (FIN) in place of a response. */
  close: cutPart('close'),
  /** The same by a reset (RST). */
  reset: cutPart('reset'),
  /** No response comes, and the connection stays open. */
  stall: cutPart('stall'),
  /** `Sec-WebSocket-Accept` does not fit the key (RFC 6455 section 4.1). */
  badAccept: headPart((head) => withField(head, 'sec-websocket-accept', 'bm90IHRoZSByaWdodCBvbmUhISE=')),
  /** There is no `Sec-WebSocket-Accept`. */
  missingAccept: headPart((head) => removeFields(head, 'sec-websocket-accept')),
  /** A subprotocol is chosen that the client has not asked for. */
  subprotocol: headPart((head) => withField(head, 'sec-websocket-protocol', 'unrequested.playwright-mitm')),
  /** An extension is used that the client has not asked for. */
  extension: headPart((head) => appendLines(head, 'sec-websocket-extensions: x-unrequested\r\n')),
  /** `Upgrade` says another protocol than WebSocket. */
  upgrade: headPart((head) => withField(head, 'upgrade', 'something-else')),
}

const isStatus = wholeNumber(200, 599)

/**
 * Lets the handshake of a WebSocket fail: it never opens.
 *
 * With a status, `'close'`, `'reset'` and `'stall'` the server is not contacted; with the others its response is spoiled, over
 * HTTP/1.1.
 *
 * @param how - A status in place of 101, from 200 to 599, or what goes wrong.
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function refuseTwice(mitm: TestMitm): void {
 *   mitm.webSocket('wss://chat.test/live').fault(faults.webSocketHandshake(503)).times(2)
 * }
 * ```
 */
export function webSocketHandshake(how: number | WebSocketHandshakeFlaw): Fault {
  const parts = [partOf(how)]
  return { name: 'webSocketHandshake', text: `webSocketHandshake ${how}`, isForWebSockets: true, parts }
}

function partOf(how: unknown): FaultPart {
  if (typeof how === 'number' && isStatus(how) === undefined) {
    const response = {
      status: how,
      statusText: STATUS_CODES[how] ?? '',
      fields: [['content-type', 'text/plain; charset=utf-8'] as const],
      body: Buffer.alloc(0),
    }
    return { stage: 'answer', answer: { kind: 'respond', needsBody: false, response: () => response } }
  }
  if (typeof how === 'string' && isFlaw(how)) return FLAWS[how]
  const names = Object.keys(FLAWS)
  const nearest = typeof how === 'string' ? nearestWord(how, names) : undefined
  throw invalidFault(
    'webSocketHandshake',
    `it is ${show(how)}, expected a status from 200 to 599, or one of ${names.join(', ')}${nearest ? `; did you mean ${nearest}?` : ''}`,
  )
}

function isFlaw(name: string): name is WebSocketHandshakeFlaw {
  return Object.hasOwn(FLAWS, name)
}

function cutPart(end: CutPart['end']): CutPart {
  return { stage: 'cut', side: 'client', afterBytes: undefined, countsHead: false, forwards: false, end, afterMs: 0 }
}

function headPart(edit: (head: string) => string): Extract<FaultPart, { stage: 'head' }> {
  return { stage: 'head', closes: false, edit: (head) => editText(head, edit) }
}

function withField(head: string, name: string, value: string): string {
  return appendLines(removeFields(head, name), `${name}: ${value}\r\n`)
}
