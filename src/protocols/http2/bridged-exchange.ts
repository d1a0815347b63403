/**
 * One exchange of a bridge: its stream at the client, and what is done to it. `BridgedRequest` takes its request to a server,
 * `BridgedResponse` takes a response back; what rules want of it is done in `bridge-intervention.ts`.
 */
import { constants } from 'node:http2'
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'

import { errorText } from '../../errors.ts'
import type { MitmError } from '../../errors.ts'
import { Exchange, HttpRequest } from '../../exchange.ts'
import type { ExchangeEndReason } from '../../exchange.ts'
import type { FaultFeed } from '../../fault.ts'
import { Http2Facts } from '../../http2-facts.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import type { Intervention } from '../../middleware.ts'
import type { Destination } from '../../protocol.ts'
import { ExchangeFaults } from '../http/exchange-faults.ts'
import { fieldsOf, requestPseudo, sensitiveNames, urlOfPseudo } from './bridge-fields.ts'
import { intervene } from './bridge-intervention.ts'
import type { BridgedRequestHead } from './bridge-server.ts'
import type { Bridge } from './bridge.ts'
import { BridgedRequest } from './bridged-request.ts'
import { BridgedResponse } from './bridged-response.ts'
import type { BridgedTunnel } from './bridged-tunnel.ts'
import { FaultyMessage } from './faulty-message.ts'
import { noteSentAgain } from './sent-again.ts'

/** What a client has sent of a request, when its head has come. */
export interface IncomingRequest {
  readonly stream: ServerHttp2Stream
  readonly headers: IncomingHttpHeaders
  /** Names and values, in order. */
  readonly raw: readonly string[]
  /** Where it is for. */
  readonly destination: Destination
  /** Whether a body, or trailers, may follow. */
  readonly hasBody: boolean
}

/** One exchange of a bridge. */
export class BridgedExchange {
  readonly bridge: Bridge
  readonly stream: ServerHttp2Stream
  readonly exchange: Exchange
  /** Where the request is for, as the client said. */
  readonly destination: Destination
  readonly head: BridgedRequestHead
  /** Whether the client sends, or has sent, a body or trailers. */
  readonly hasBody: boolean
  /** Its way to the server. */
  readonly request: BridgedRequest
  /** Its way back. */
  readonly response: BridgedResponse
  /** What is done to it; undefined while nothing is, or nothing is decided yet. */
  plan: Intervention | undefined
  faults: ExchangeFaults | undefined
  /** The ways of its octets, where faults are in them. */
  faulty: FaultyMessage | undefined
  /** What it has become, if it is a tunnel (a WebSocket, or another CONNECT) now. */
  tunnel: BridgedTunnel | undefined
  isOver = false
  #controller: AbortController | undefined

  constructor(bridge: Bridge, { stream, headers, raw, destination, hasBody }: IncomingRequest) {
    const pseudo = requestPseudo(headers)
    const { authority = '', method, path } = pseudo
    const fields = fieldsOf(raw)
    this.bridge = bridge
    this.stream = stream
    this.destination = destination
    this.hasBody = hasBody
    this.head = { ...pseudo, authority, fields, sensitive: sensitiveNames(headers) }
    const url = urlOfPseudo(pseudo, destination)
    const request = new HttpRequest({ method, url, target: path, httpVersion: 'HTTP/2', fields })
    this.exchange = new Exchange(bridge.connection, request)
    this.exchange.http2 = new Http2Facts(stream.id ?? 0)
    this.request = new BridgedRequest(this)
    this.response = new BridgedResponse(this)
    stream.on('error', () => undefined)
    stream.once('close', () => this.#onClose())
  }

  /** Begins: asks the middlewares, and sends the request on. */
  start(): void {
    const { flow } = this.bridge.connection
    const { exchange } = this
    flow.notify('requestStarted', exchange)
    let plan: MaybePromise<Intervention | undefined>
    try {
      plan = flow.isIntercepting ? flow.intercept(exchange) : undefined
    } catch (error) {
      plan = Promise.reject(error instanceof Error ? error : new Error(errorText(error)))
    }
    if (plan !== undefined) exchange.request.keepBody(flow.settings.maxBodyBytes)
    this.request.start()
    // Both report their own errors.
    if (plan === undefined) void this.request.forward()
    else void intervene(this, plan)
  }

  /** Aborts when the exchange is over. */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController()
      if (this.isOver) this.#controller.abort()
    }
    return this.#controller.signal
  }

  /** Puts faults into its ways. @param isUnderWay - Whether the request is with the server already. */
  addFaults(feed: FaultFeed, isUnderWay = false): ExchangeFaults {
    if (this.faults) this.faults.add(feed)
    else {
      this.faulty = new FaultyMessage(this)
      this.faults = new ExchangeFaults(this.faulty, feed, isUnderWay)
    }
    return this.faults
  }

  /** Breaks it off with an error, once a part of the response has been sent. */
  breakOff(error: MitmError): void {
    if (this.isOver) return
    this.exchange.error = error
    this.bridge.connection.report(error)
    this.reset('failed', constants.NGHTTP2_INTERNAL_ERROR)
  }

  /** Ends it, and its streams on both sides. @param code - What the client is told by RST_STREAM. */
  reset(reason: ExchangeEndReason, code: number): void {
    this.end(reason)
    this.request.abort(constants.NGHTTP2_CANCEL)
    if (!this.stream.closed) this.stream.close(code)
  }

  /** The server has reset its stream: so is that of the client, behind what came before. */
  serverReset(code: number): void {
    const { stream } = this
    if (this.exchange.http2) this.exchange.http2.resetCode = code
    this.end('server-reset')
    this.response.afterLeft(() => {
      if (!stream.closed) stream.close(code)
    })
  }

  /** Ends it when request and response are both over. */
  endIfOver(): void {
    if (this.request.isOver && this.response.isOver) this.end(this.tunnel ? 'upgraded' : 'complete')
  }

  /** Ends it. */
  end(reason: ExchangeEndReason): void {
    if (this.isOver) return
    this.isOver = true
    this.#controller?.abort()
    this.request.close()
    this.response.close()
    this.tunnel?.close(reason)
    this.faults?.close()
    const { exchange } = this
    exchange.endReason = reason
    exchange.timings.endMs = exchange.elapsedMs()
    exchange.request.finish(false)
    exchange.serverResponse?.finish(false)
    exchange.response?.finish(false)
    this.bridge.connection.flow.notify('exchangeEnded', exchange)
    this.bridge.ended(this)
  }

  #onClose(): void {
    const { watch } = this.bridge
    const streamId = this.stream.id ?? 0
    const reset = watch.resetOf(streamId)
    watch.forget(streamId)
    if (this.isOver) return
    const code = reset ?? this.stream.rstCode ?? constants.NGHTTP2_CANCEL
    const { bridge } = this
    // So Chromium leaves where a ping of its own is not answered; it asks again elsewhere.
    if (bridge.heldPings > 0 && code === constants.NGHTTP2_PROTOCOL_ERROR) noteSentAgain([this], 'refused')
    if (this.exchange.http2) this.exchange.http2.resetCode = code
    this.request.abort(code)
    this.end('client-reset')
  }
}
