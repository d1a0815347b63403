/**
 * A WebSocket between two ends, whatever carries it: HTTP/1.1 behind `101` (RFC 6455), or a stream of HTTP/2 (RFC 8441).
 *
 * Who carries it does four things:
 *
 * 1. calls `beginWebSocket(exchange, headers)` (`observe.ts`) with those of the response, before `responseStarted` is told;
 * 2. makes a {@link WebSocketRelay} when the response has been handed on, with a {@link WebSocketTransport}, by which the
 *    relay sends octets and ends things; then calls `start()`;
 * 3. hands it what comes by `data()`, and waits for what that returns before it reads on. When a side has ended, it waits for
 *    `settled()` before it passes that on: something may still be on its way. `isStalled` says that this may last for ever;
 * 4. calls `ended()` when the connection, or the stream, is over for whatever reason; also when it was the relay that ended it,
 *    by `transport.finish()`. Then nothing of the relay is left.
 *
 * As long as nobody touches the socket, octets pass as they came, in the chunks in which they came. Where that is certain,
 * and octets are relayed anyway, a `WebSocketObserver` (`observe.ts`) alone does for the record.
 */
import type { ConnectionFlow } from '../../connection.ts'
import { isMitmError } from '../../errors.ts'
import type { MitmError, Side } from '../../errors.ts'
import type { Exchange, ExchangeEndReason } from '../../exchange.ts'
import { FaultFeeds } from '../../fault-feeds.ts'
import type { Fault, FaultFeed } from '../../fault.ts'
import { Deferred } from '../../internal/deferred.ts'
import { isPromise } from '../../internal/maybe-promise.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import type { MitmWebSocket, WebSocketHandler, WebSocketMock } from '../../web-socket.ts'
import type { WebSocketMessage } from '../../web-socket-message.ts'
import type { SocketEnder, WebSocketRecord } from '../../web-socket-record.ts'
import { LaneFaults } from './lane-faults.ts'
import type { FaultyClose, LaneHost } from './lane-host.ts'
import { Lane } from './lane.ts'
import { MockEnd } from './mock-end.ts'
import { OPCODE } from './parse.ts'
import { SocketHandle } from './socket-handle.ts'
import { closePayload, writeClose, writeFrame } from './write.ts'

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
  /** Stands in for the server, if there is none. */
  readonly mock?: WebSocketMock | undefined
  /** What rules do to it (`Intervention.webSocket`), the oldest rule first. @defaultValue nothing */
  readonly handlers?: readonly WebSocketHandler[] | undefined
  /** What goes wrong with it on purpose: the parts of the stage `webSocket` of its faults. @defaultValue nothing */
  readonly faults?: FaultFeed | undefined
}

/** What is told to both ends when a function of the user has failed (RFC 6455 section 7.4.1). */
const INTERNAL_ERROR = 1011

/** Relays one WebSocket. */
export class WebSocketRelay implements LaneHost {
  readonly exchange: Exchange
  readonly record: WebSocketRecord
  readonly #flow: ConnectionFlow
  readonly #transport: WebSocketTransport
  readonly #lanes: { readonly [From in Side]: Lane }
  readonly #faults: { readonly [From in Side]: LaneFaults }
  readonly #mock: MockEnd | undefined
  readonly #over = new Deferred<void>()
  /** To whom a close frame was sent that the other side has not sent. */
  readonly #closedHere = { client: false, server: false }
  /** Who is not answered when he closes. */
  #staysOpen = false
  #handlers: readonly WebSocketHandler[] = []
  #feed: FaultFeeds | undefined
  #socket: SocketHandle | undefined
  #isOver = false

  constructor({ exchange, transport, mock, handlers = [], faults }: WebSocketRelayOptions) {
    const { webSocket } = exchange
    if (!webSocket) throw new TypeError('The exchange is no WebSocket: beginWebSocket() was not called')
    this.exchange = exchange
    this.record = webSocket
    this.#flow = exchange.connection.flow
    this.#transport = transport
    this.#mock = mock && new MockEnd(mock, this)
    const note = (fault: Fault): void => this.#flow.noteFault(fault, exchange)
    this.#faults = { client: new LaneFaults('server', note), server: new LaneFaults('client', note) }
    this.#lanes = {
      client: new Lane('client', this, this.#faults.client),
      server: new Lane('server', this, this.#faults.server),
    }
    this.#handlers = handlers
    if (faults) this.#takeFaults(faults)
  }

  /** The socket is open from now on: tells handlers and the mock, and lets faults act that need nothing more. */
  start(): void {
    this.#update()
    this.#open(this.#handlers)
    this.#mock?.start()
  }

  /** Takes octets that have come from a side; a promise when the sender has to wait. */
  data(from: Side, octets: Buffer): MaybePromise<void> {
    return this.#isOver ? undefined : this.#lanes[from].data(octets)
  }

  /** Resolves when all that has come from a side has been passed on; undefined when it has. */
  settled(from: Side): Promise<void> | undefined {
    return this.#isOver ? undefined : this.#lanes[from].settled()
  }

  /** Whether a fault holds what has come, so that it does not come to an end by itself. */
  get isStalled(): boolean {
    return this.#lanes.client.isStalled || this.#lanes.server.isStalled
  }

  /** Lets faults act on the rest of it. */
  addFaults(feed: FaultFeed): void {
    this.#takeFaults(feed)
    this.#update()
  }

  /** Lets rules that came later touch the rest of it. */
  addHandlers(handlers: readonly WebSocketHandler[]): void {
    if (handlers.length === 0 || this.#isOver) return
    this.#handlers = [...this.#handlers, ...handlers]
    this.#update()
    this.#open(handlers)
  }

  /** The connection is over: lets go of everything. @param by - Who ended it. */
  ended(by: SocketEnder): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#feed?.close()
    for (const lane of Object.values(this.#lanes)) lane.ended()
    this.record.ended(by)
    this.#over.resolve()
    this.#mock?.ended()
    const { socket } = this
    for (const handler of this.#handlers) this.#guard('be told of the end', handler, () => handler.closed?.(socket))
    this.changed()
  }

  // What the lanes have of it.

  get isOver(): boolean {
    return this.#isOver
  }

  get whenOver(): Promise<void> {
    return this.#over.promise
  }

  get maxMessageBytes(): number {
    return this.#flow.settings.maxBodyBytes
  }

  get socket(): MitmWebSocket {
    return this.handle
  }

  /** The socket, as handlers and mocks have it. */
  get handle(): SocketHandle {
    return (this.#socket ??= new SocketHandle(this, this.#lanes))
  }

  handlersOf(side: Side): readonly WebSocketHandler[] {
    return this.#handlers.filter(({ from, isRemoved }) => !isRemoved && (from === undefined || from === side))
  }

  isMock(side: Side): boolean {
    return side === 'server' && this.#mock !== undefined
  }

  deliver(message: WebSocketMessage): Promise<void> {
    return this.#mock?.take(message) ?? Promise.resolve()
  }

  mockFails(code: number): void {
    this.closeSide('client', code, '')
  }

  send(to: Side, octets: Buffer): MaybePromise<void> {
    return this.#isOver || this.isMock(to) ? undefined : this.#transport.send(to, octets)
  }

  pong(payload: Buffer): void {
    this.#lanes.server.insert(writeFrame({ opcode: OPCODE.pong, payload, isMasked: false }), 'frames')
  }

  closed(from: Side, payload: Buffer): void {
    const to = from === 'client' ? 'server' : 'client'
    if (this.#staysOpen) return
    if (this.isMock(to)) this.#mockClosed(payload)
    else if (this.isMock(from)) this.#closedHere.client = true
    else if (this.#closedHere[from]) {
      // Its answer. Where the other side was closed from here as well, both have answered by now.
      if (this.#closedHere[to] && this.record.wasClean) this.finish('close', 'upgraded')
      else this.#transport.end(from)
    }
  }

  /** The client closes a mock: it is answered, unless that was the answer. */
  #mockClosed(payload: Buffer): void {
    const code = payload.length >= 2 ? payload.readUInt16BE(0) : 1005
    this.#mock?.closed(code, payload.toString('utf8', 2))
    if (!this.#closedHere.client && !this.#lanes.server.isClosing) {
      this.#lanes.server.closing()
      this.#lanes.server.messages?.pushControl(OPCODE.close, payload)
    }
    void this.#finishMock()
  }

  /** Ends the connection of a mock when all has been sent that it has sent. Never rejects. */
  async #finishMock(): Promise<void> {
    await this.#lanes.server.settled()
    if (!this.#isOver) this.finish('close', 'upgraded')
  }

  closeByFault(to: Side, { code, reason, staysOpen }: FaultyClose): void {
    this.#staysOpen ||= staysOpen
    this.closeSide(to, code, reason)
    if (staysOpen) this.#lanes[to].shut()
  }

  /**
   * Closes a side, as a rule or a mock wants it.
   *
   * @returns Whether it is closed by that.
   */
  closePeer(to: Side, code: number | undefined, reason: string): boolean {
    const lane = this.#lanes[to === 'client' ? 'server' : 'client']
    if (!this.isMock(lane.from) || !lane.messages) return this.closeSide(to, code, reason)
    if (this.#isOver || lane.isClosing) return false
    // What a mock has sent before goes first.
    lane.closing()
    lane.messages.pushControl(OPCODE.close, closePayload(code, reason))
    return true
  }

  /** Sends a close frame to a side that the other one has not sent. @returns Whether it will be sent */
  closeSide(to: Side, code: number | undefined, reason: string): boolean {
    const from = to === 'client' ? 'server' : 'client'
    const lane = this.#lanes[from]
    if (this.#isOver || lane.isClosing || this.isMock(to)) return false
    lane.close(writeClose(from, code, reason), () => {
      this.#closedHere[to] = true
      const octets = closePayload(code, reason)
      this.record.addControl({ from, kind: 'close', at: Date.now(), octets, isSentByRule: true })
      this.changed()
    })
    return true
  }

  finish(how: 'close' | 'reset', reason: 'fault' | 'upgraded'): void {
    if (this.#isOver) return
    if (reason === 'fault') this.record.ended('rule')
    this.#transport.finish(how, reason)
  }

  failed(error: MitmError): void {
    if (this.#isOver) return
    this.exchange.error ??= error
    this.report(error)
    for (const side of ['client', 'server'] as const) this.closeSide(side, INTERNAL_ERROR, '')
  }

  report(error: MitmError): void {
    this.#flow.report(error)
  }

  received(message: WebSocketMessage): void {
    this.record.addMessage(message)
    this.#flow.notify('messageReceived', this.exchange, message)
  }

  changed(): void {
    this.#flow.notify('webSocketChanged', this.exchange)
  }

  #takeFaults(feed: FaultFeed): void {
    if (this.#feed) {
      this.#feed.add(feed)
      return
    }
    this.#feed = new FaultFeeds(feed)
    this.#feed.subscribe(() => this.#update())
    for (const faults of Object.values(this.#faults)) faults.feed = this.#feed
  }

  #update(): void {
    for (const lane of Object.values(this.#lanes)) lane.update()
  }

  #open(handlers: readonly WebSocketHandler[]): void {
    for (const handler of handlers) this.#guard('handle a WebSocket', handler, () => handler.opened?.(this.socket))
  }

  /** Calls a function of the user; what it fails with closes the socket. */
  #guard(what: string, { blame }: Pick<WebSocketHandler, 'blame'>, call: () => unknown): void {
    const onError = (error: unknown): void => {
      const coded = isMitmError(error) ? error : blame(what, error)
      if (this.#isOver) this.report(coded)
      else this.failed(coded)
    }
    try {
      const done = call()
      if (isPromise(done)) done.catch(onError)
    } catch (error) {
      onError(error)
    }
  }
}
