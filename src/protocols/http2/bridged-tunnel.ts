/** A stream that has become a tunnel by CONNECT: a WebSocket (RFC 8441), or octets (RFC 9113 section 8.5). */
import { constants } from 'node:http2'

import type { Side } from '../../errors.ts'
import type { ExchangeEndReason, HttpResponse } from '../../exchange.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import { beginWebSocket } from '../websocket/observe.ts'
import { WebSocketRelay } from '../websocket/relay.ts'
import type { WebSocketTransport } from '../websocket/relay.ts'
import type { BridgedExchange } from './bridged-exchange.ts'

/** Octets both ways on one stream. */
export class BridgedTunnel implements WebSocketTransport {
  readonly #of: BridgedExchange
  readonly #isWebSocket: boolean
  #relay: WebSocketRelay | undefined
  #endedBy: Side | undefined

  private constructor(of: BridgedExchange, isWebSocket: boolean) {
    this.#of = of
    this.#isWebSocket = isWebSocket
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
    this.#relay = new WebSocketRelay({ exchange, transport: this, handlers: plan?.webSocket, faults: plan?.faults })
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
    this.#endedBy ??= from
    await this.#relay?.settled(from)
    this.end(from === 'client' ? 'server' : 'client')
  }

  end(to: Side): void {
    if (to === 'server') this.#of.request.end([])
    else this.#of.response.endStream()
  }

  finish(how: 'close' | 'reset', reason: ExchangeEndReason): void {
    if (how === 'reset') {
      this.#of.reset(reason, constants.NGHTTP2_CANCEL)
      return
    }
    this.#of.end(reason)
    this.end('client')
    this.end('server')
  }

  /** The stream is over. */
  close(): void {
    this.#relay?.ended(this.#endedBy ?? 'client')
  }
}
