/**
 * A WebSocket between two ends, whatever carries it: HTTP/1.1 behind `101` (RFC 6455), or a stream of HTTP/2 (RFC 8441).
 *
 * Who carries it does four things:
 *
 * 1. calls `beginWebSocket(exchange, headers)` with those of the response, before `responseStarted` is told;
 * 2. makes a {@link WebSocketRelay} when the response has been sent on, with a {@link WebSocketTransport}, by which the relay
 *    sends octets and ends things;
 * 3. hands it what comes by `data()`, and waits for what that returns before it reads on. When a side has ended, it waits for
 *    `settled()` before it passes that on: something may still be on its way;
 * 4. calls `ended()` when the connection, or the stream, is over for whatever reason. That may be called by the relay itself,
 *    by way of `transport.finish()`; then nothing of the relay is left.
 *
 * As long as nobody touches the socket, octets pass as they came, in the chunks in which they came. Where that is certain,
 * and octets are relayed anyway, a `WebSocketObserver` (`observe.ts`) alone does for the record.
 */
import type { Side } from '../../errors.ts'
import type { Exchange, ExchangeEndReason } from '../../exchange.ts'
import type { FaultFeed } from '../../fault.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import type { WebSocketHandler } from '../../web-socket.ts'
import { WebSocketObserver } from './observe.ts'

/** What carries a WebSocket. */
export interface WebSocketTransport {
  /** Sends octets to a side, at once. Returns a promise when the sender has to wait for room. */
  send(to: Side, octets: Buffer): MaybePromise<void>
  /** Sends a FIN (of HTTP/2: END_STREAM) to a side, behind what was sent to it. That side may still send. */
  end(to: Side): void
  /**
   * Ends both sides, by a FIN or by a reset (of HTTP/2: RST_STREAM), behind what was sent; and the exchange, for this reason.
   */
  finish(how: 'close' | 'reset', reason: ExchangeEndReason): void
}

/** What a {@link WebSocketRelay} is made of. */
export interface WebSocketRelayOptions {
  /** The exchange of the handshake; its `webSocket` is filled. */
  readonly exchange: Exchange
  readonly transport: WebSocketTransport
  /** Whether there is a server; without one all is answered here. @defaultValue `true` */
  readonly hasServer?: boolean
  /** What rules do to it (`Intervention.webSocket`), the oldest rule first. @defaultValue none */
  readonly handlers?: readonly WebSocketHandler[] | undefined
  /** What goes wrong with it on purpose: the parts of the stage `webSocket` of its faults. @defaultValue nothing */
  readonly faults?: FaultFeed | undefined
}

/** Relays one WebSocket. */
export class WebSocketRelay {
  readonly #transport: WebSocketTransport
  readonly #observer: WebSocketObserver
  #isOver = false

  constructor({ exchange, transport }: WebSocketRelayOptions) {
    this.#transport = transport
    this.#observer = new WebSocketObserver(exchange)
  }

  /** Takes octets that have come from a side; a promise when the sender has to wait. */
  data(from: Side, octets: Buffer): MaybePromise<void> {
    if (this.#isOver) return undefined
    const wait = this.#transport.send(from === 'client' ? 'server' : 'client', octets)
    this.#observer.data(from, octets)
    return wait
  }

  /** Resolves when all that has come from a side has been passed on; undefined when it has. */
  settled(_from: Side): Promise<void> | undefined {
    return undefined
  }

  /** Whether a fault or a rule holds what has come, so that it does not come to an end by itself. */
  get isStalled(): boolean {
    return false
  }

  /** Lets faults act on the rest of it. */
  addFaults(_feed: FaultFeed): void {
    // Filled in with the faults.
  }

  /** Lets rules that came later touch the rest of it. */
  addHandlers(_handlers: readonly WebSocketHandler[]): void {
    // Filled in with the rules.
  }

  /** The connection is over: lets go of everything. @param by - Who ended it. */
  ended(by: Side | 'rule'): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#observer.ended(by)
  }
}
