/** A stream that has become a tunnel by CONNECT: a WebSocket (RFC 8441), or octets (RFC 9113 section 8.5). */
import type { Side } from '../../errors.ts'
import { HttpResponse } from '../../exchange.ts'
import type { ExchangeEndReason, Field } from '../../exchange.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import type { WebSocketMock } from '../../web-socket.ts'
import { endedBy, offeredSubprotocols } from '../websocket/handshake.ts'
import { beginWebSocket } from '../websocket/observe.ts'
import { WebSocketRelay } from '../websocket/relay.ts'
import type { WebSocketTransport } from '../websocket/relay.ts'
import type { BridgedExchange } from './bridged-exchange.ts'
import { ERROR_CODE } from './frame.ts'

/** Octets both ways on one stream. */
export class BridgedTunnel implements WebSocketTransport {
  readonly #of: BridgedExchange
  readonly #isWebSocket: boolean
  readonly #mock: WebSocketMock | undefined
  #relay: WebSocketRelay | undefined

  private constructor(of: BridgedExchange, isWebSocket: boolean, mock?: WebSocketMock) {
    this.#of = of
    this.#isWebSocket = isWebSocket
    this.#mock = mock
  }

  /** Opens a WebSocket in place of a server. The client must have asked for one. */
  static openMock(of: BridgedExchange, mock: WebSocketMock): void {
    const subprotocol = mock.subprotocol(offeredSubprotocols(of.exchange.request))
    const fields: Field[] = subprotocol === undefined ? [] : [['sec-websocket-protocol', subprotocol]]
    const response = new HttpResponse({ status: 200, statusText: '', httpVersion: 'HTTP/2', fields })
    beginWebSocket(of.exchange, response.headers)
    of.tunnel = new BridgedTunnel(of, true, mock)
    of.response.respond(response, mock.answeredBy ?? 'rule', { isWhole: false })
    of.tunnel.open()
    for (const octets of of.request.takeHeld()) void of.tunnel.data('client', octets)
  }

  /** What an exchange becomes by its response; undefined when that opens no tunnel. */
  static of(of: BridgedExchange, response: HttpResponse): BridgedTunnel | undefined {
    const { method, protocol } = of.head
    if (method !== 'CONNECT' || response.status < 200 || response.status > 299) return undefined
    const isWebSocket = protocol?.toLowerCase() === 'websocket'
    if (isWebSocket) beginWebSocket(of.exchange, response.headers)
    return new BridgedTunnel(of, isWebSocket)
  }

  /** The response has been sent on: octets pass from now on. */
  open(): void {
    const { exchange, plan } = this.#of
    if (!this.#isWebSocket) return
    this.#relay = new WebSocketRelay({
      exchange,
      transport: this,
      mock: this.#mock,
      handlers: plan?.webSocket,
      faults: plan?.faults,
    })
    this.#relay.start()
  }

  /** What relays it, if it is a WebSocket. */
  get webSocket(): WebSocketRelay | undefined {
    return this.#relay
  }

  /** Takes octets of a side. */
  data(from: Side, octets: Buffer): MaybePromise<void> {
    return this.#relay ? this.#relay.data(from, octets) : this.send(from === 'client' ? 'server' : 'client', octets)
  }

  send(to: Side, octets: Buffer): MaybePromise<void> {
    return to === 'client' ? this.#of.response.send(octets) : this.#of.request.send(octets)
  }

  /** A side has ended. Resolves when that has been passed on. */
  async ended(from: Side): Promise<void> {
    await this.#relay?.settled(from)
    this.end(from === 'client' ? 'server' : 'client')
  }

  end(to: Side): void {
    if (to === 'server') this.#of.request.end([])
    else this.#of.response.endStream()
  }

  finish(how: 'close' | 'reset', reason: ExchangeEndReason): void {
    if (how === 'reset') {
      this.#of.reset(reason, ERROR_CODE.cancel)
      return
    }
    this.#of.end(reason)
    this.end('client')
    this.end('server')
  }

  /** The stream is over, for this reason. */
  close(reason: ExchangeEndReason): void {
    this.#relay?.ended(endedBy(reason))
  }
}
