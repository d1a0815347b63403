/** WebSockets while they are open: what may be done to them, and with them. */
import type { MitmError, Side } from './errors.ts'
import type { Exchange } from './exchange.ts'
import type { MaybePromise } from './internal/maybe-promise.ts'
import type { WebSocketMessage } from './web-socket-message.ts'

/** What can be sent: a text as a text message, octets as a binary one. */
export type WebSocketData = string | Uint8Array | ArrayBuffer

/** One end of an open WebSocket. */
export interface WebSocketPeer {
  /**
   * Sends it a message, in the name of the other end, behind what is on its way to it. Rules and faults do not touch it.
   *
   * @returns Whether it is sent: not when the socket is closing, or has closed.
   * @throws {@link MitmError} `MITM_INVALID_RULE` when that is no data.
   */
  send(data: WebSocketData): boolean
  /**
   * Sends it a ping.
   *
   * @param data - At most 125 octets. @defaultValue none
   */
  ping(data?: string | Uint8Array): boolean
  /**
   * Begins the closing handshake with it, in the name of the other end. What it answers goes on to the other end.
   *
   * @param code - 1000 to 1003, 1007 to 1014, or 3000 to 4999. @defaultValue none, which is read as 1005
   * @param reason - At most 123 octets. @defaultValue none
   * @returns Whether it is closed by that: not when it is closing already.
   * @throws {@link MitmError} `MITM_INVALID_RULE`
   */
  close(code?: number, reason?: string): boolean
}

/** An open WebSocket that passes through a mitm, or ends at it (a mock). */
export interface MitmWebSocket {
  /** The exchange of its handshake, with all that is recorded of it. */
  readonly exchange: Exchange
  /** `wss://chat.test/live`. */
  readonly url: string
  /** The subprotocol that was agreed; empty for none. */
  readonly subprotocol: string
  /** Whether messages can still be sent both ways: no close frame has passed, and the connection is there. */
  readonly isOpen: boolean
  /** The end that opened it: the page. */
  readonly client: WebSocketPeer
  /** The other end. Of a mock there is none: what is sent to it goes nowhere. */
  readonly server: WebSocketPeer
  /** As `client.send`. */
  send(data: WebSocketData): boolean
  /** Closes both ends. */
  close(code?: number, reason?: string): boolean
  /** Resolves when its connection is over. */
  whenClosed(): Promise<void>
}

/** What a mock has of its socket: it stands in for the server. */
export interface MockedWebSocket extends MitmWebSocket {
  /**
   * Says what is done with the messages of the client. What it returns is sent to the client, if that is data. Messages that
   * came before this was called are not lost: they wait until the mock's function has settled.
   */
  onMessage(listener: (message: WebSocketMessage) => MaybePromise<WebSocketData | null | undefined | void>): void
  /**
   * Says what is done when the client has sent a close frame, or its connection has ended without one (code 1006). A close
   * frame is answered by itself.
   */
  onClose(listener: (code: number, reason: string) => void): void
}

/** What becomes of a message: nothing (undefined), so that it passes; null, so that it is dropped; or what is sent instead. */
export type MessageVerdict =
  | undefined
  | null
  | WebSocketData
  | WebSocketMessage
  | readonly (WebSocketData | WebSocketMessage)[]

/**
 * What is done to a WebSocket; one of several, each given what the one before has made. When one of its functions throws, that
 * is reported as `blame` says, and both ends are closed with the code 1011.
 */
export interface WebSocketHandler {
  /** The socket is open. What it returns is of no interest, but for an error. */
  opened?(socket: MitmWebSocket): unknown
  /** Whose messages `message` is asked about. @defaultValue of both */
  readonly from?: Side | undefined
  /** Says what becomes of a message. Those behind it wait until it is decided. */
  message?(message: WebSocketMessage, socket: MitmWebSocket): MaybePromise<MessageVerdict | void>
  /** The connection of the socket is over. */
  closed?(socket: MitmWebSocket): void
  /** Whether it has been taken back: then it is not asked any more. */
  readonly isRemoved?: boolean
  /** The error for what one of these threw. */
  blame(what: string, cause: unknown): MitmError
}

/** Stands in for the server of a WebSocket. */
export interface WebSocketMock {
  /** Who is said to have answered (`exchange.answeredBy`). @defaultValue `'rule'` */
  readonly answeredBy?: 'rule' | 'handler' | undefined
  /**
   * The subprotocol that is chosen; undefined for none.
   *
   * @param offered - By the client.
   */
  subprotocol(offered: readonly string[]): string | undefined
  /** The socket is open. Messages wait until a promise of it has settled. */
  serve(socket: MockedWebSocket): unknown
  /** The error for what one of its functions threw. */
  blame(what: string, cause: unknown): MitmError
}
