/** What the two directions of a WebSocket have of what relays it. */
import type { MitmError, Side } from '../../errors.ts'
import type { Exchange } from '../../exchange.ts'
import type { WebSocketAction } from '../../fault.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import type { MitmWebSocket, WebSocketHandler } from '../../web-socket.ts'
import type { WebSocketMessage } from '../../web-socket-message.ts'
import type { WebSocketRecord } from '../../web-socket-record.ts'

/** How a fault closes a side. */
export type FaultyClose = Omit<Extract<WebSocketAction, { kind: 'close' }>, 'kind'>

/** What the two directions of a WebSocket have of what relays it. */
export interface LaneHost {
  readonly exchange: Exchange
  readonly record: WebSocketRecord
  /** Whether the connection is over. */
  readonly isOver: boolean
  /** Largest message that is held to be looked at. */
  readonly maxMessageBytes: number
  /** The socket, for handlers. */
  readonly socket: MitmWebSocket
  /** Those that are asked about the messages of a side. */
  handlersOf(from: Side): readonly WebSocketHandler[]
  /** Whether there is no such side: what is sent to it is for a mock, which takes whole messages. */
  isMock(side: Side): boolean
  /** Hands a message to the mock. */
  deliver(message: WebSocketMessage): Promise<void>
  /** The mock does not understand what came: it fails the connection (RFC 6455 section 7.1.7) with this code. */
  mockFails(code: number): void
  /** Sends octets to a side; a promise when the sender has to wait. */
  send(to: Side, octets: Buffer): MaybePromise<void>
  /** A close frame of a side has passed. */
  closed(from: Side, payload: Buffer): void
  /** A ping of a side has come to the mock. */
  pong(payload: Buffer): void
  /** A fault closes a side. */
  closeByFault(to: Side, close: FaultyClose): void
  /** Ends the connection. */
  finish(how: 'close' | 'reset', reason: 'fault' | 'upgraded'): void
  /** A function of the user failed: reports it, and closes both ends. */
  failed(error: MitmError): void
  report(error: MitmError): void
  /** A message has come, or was sent. */
  received(message: WebSocketMessage): void
  /** More is known of what came. */
  changed(): void
}
