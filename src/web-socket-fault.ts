/** What goes wrong on open WebSockets on purpose: the words for it. What makes them is in `faults/`. */
import type { Side } from './errors.ts'
import type { WebSocketMessage } from './web-socket-message.ts'

/** Something goes wrong on an open WebSocket. */
export interface WebSocketPart {
  readonly stage: 'webSocket'
  /** Towards whom. */
  readonly side: Side
  /** How many messages pass to that side before. */
  readonly afterMessages: number
  readonly action: WebSocketAction
}

/** What goes wrong on an open WebSocket. */
export type WebSocketAction =
  | {
      /** A close frame, in the name of the other side. */
      readonly kind: 'close'
      /** Undefined: without a code. */
      readonly code: number | undefined
      readonly reason: string
      /** Whether the connection stays open behind it, with nobody who answers. */
      readonly staysOpen: boolean
    }
  /** Frames that need not be well-formed, in the name of the other side. All else passes as ever. */
  | { readonly kind: 'frames'; readonly frames: readonly FaultyFrame[] }
  /** The connection ends without a close frame; perhaps in the midst of a message, of which this much is sent. */
  | { readonly kind: 'end'; readonly end: 'close' | 'reset'; readonly frames: readonly FaultyFrame[] }
  /** Nothing more passes. */
  | { readonly kind: 'stall' }
  /** A message that nobody has sent. */
  | { readonly kind: 'send'; readonly message: 'text' | 'binary'; readonly octets: Buffer }
  /** Messages are changed, dropped, delayed, sent twice or in another order. */
  | { readonly kind: 'change'; open(random: () => number): MessageChange }

/** A frame that need not be well-formed (RFC 6455 section 5.2). */
export interface FaultyFrame {
  readonly opcode: number
  readonly payload: Buffer
  /** @defaultValue `true` */
  readonly isFinal?: boolean
  /** The reserved bits: 4 for RSV1, 2 for RSV2, 1 for RSV3. @defaultValue 0 */
  readonly reserved?: number
  /** Whether it is masked though it must not be, or not masked though it must. @defaultValue `false` */
  readonly hasWrongMask?: boolean
  /** What it says of its length. @defaultValue what it is */
  readonly statedLength?: bigint
}

/** A message on its way. */
export interface MessageOnItsWay {
  readonly kind: 'text' | 'binary'
  readonly octets: Buffer
  /** When it goes on, on the clock of `performance.now()`. */
  readonly atMs: number
  /** The message as it was recorded; undefined for one that nobody has sent. */
  readonly source: WebSocketMessage | undefined
}

/** Says what becomes of the messages of one direction. */
export interface MessageChange {
  /**
   * What becomes of a message: those that go on now, in this order; it is dropped if it is not among them. `held` keeps it,
   * to be given back with a later one, or by `end`.
   *
   * @param acted - To be called when something goes wrong by that.
   */
  take(message: MessageOnItsWay, acted: () => void): readonly MessageOnItsWay[] | 'held'
  /** No more messages will come, or the fault is gone: gives back what is held. */
  end?(): readonly MessageOnItsWay[]
}
