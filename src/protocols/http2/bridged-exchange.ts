/**
 * One exchange of a bridge: its stream at the client, and what is done to it. `BridgedRequest` takes its request to a server,
 * `BridgedResponse` takes a response back; what rules want of it is done in `bridge-intervention.ts`.
 */
import { errorText } from '../../errors.ts'
import type { MitmError } from '../../errors.ts'
import { Exchange, HttpRequest } from '../../exchange.ts'
import type { ExchangeEndReason, Field } from '../../exchange.ts'
import type { FaultFeed } from '../../fault.ts'
import { Http2Facts } from '../../http2-facts.ts'
import { isPromise } from '../../internal/maybe-promise.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import type { Intervention } from '../../middleware.ts'
import type { Destination } from '../../protocol.ts'
import { ExchangeFaults } from '../http/exchange-faults.ts'
import { codedFailure } from '../http/messages.ts'
import { fieldsOf, requestPseudo, urlOfPseudo } from './bridge-fields.ts'
import { intervene } from './bridge-intervention.ts'
import type { BridgedRequestHead } from './bridge-server.ts'
import type { Bridge } from './bridge.ts'
import { BridgedRequest } from './bridged-request.ts'
import { BridgedResponse } from './bridged-response.ts'
import type { BridgedTunnel } from './bridged-tunnel.ts'
import { FaultyMessage } from './faulty-message.ts'
import { ERROR_CODE } from './frame.ts'
import { noteSentAgain } from './sent-again.ts'
import type { OpenedStream } from './session-options.ts'
import type { Http2Stream, StreamHandlers } from './stream.ts'

/** One exchange of a bridge. */
export class BridgedExchange implements StreamHandlers {
  readonly bridge: Bridge
  readonly stream: Http2Stream
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

  constructor(bridge: Bridge, { stream, section, sensitive, hasBody }: OpenedStream, destination: Destination) {
    const pseudo = requestPseudo(section)
    const { authority = '', method, path } = pseudo
    const fields = fieldsOf(section)
    this.bridge = bridge
    this.stream = stream
    this.destination = destination
    this.hasBody = hasBody
    const { scheme, isByHost, protocol } = pseudo
    this.head = { method, scheme, authority, isByHost, path, protocol, fields, sensitive, isSound: true }
    const url = urlOfPseudo(pseudo, destination)
    const request = new HttpRequest({ method, url, target: path, httpVersion: 'HTTP/2', fields })
    this.exchange = new Exchange(bridge.connection, request)
    this.exchange.http2 = new Http2Facts(stream.id)
    this.exchange.http2.protocol = this.head.protocol
    this.request = new BridgedRequest(this)
    this.response = new BridgedResponse(this)
    stream.handlers = this
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

  /** Takes a step of it. What that fails with breaks it off. */
  guarded(step: () => MaybePromise<void>): MaybePromise<void> {
    const failed = (error: unknown): void => this.breakOff(codedFailure(error))
    try {
      const wait = step()
      return isPromise(wait) ? wait.catch(failed) : wait
    } catch (error) {
      failed(error)
      return undefined
    }
  }

  /** Breaks it off with an error, once a part of the response has been sent. */
  breakOff(error: MitmError): void {
    if (this.isOver) return
    this.exchange.error = error
    this.bridge.connection.report(error)
    this.reset('failed', ERROR_CODE.internalError)
  }

  /** Ends it, and its streams on both sides. @param code - What the client is told by RST_STREAM. */
  reset(reason: ExchangeEndReason, code: number): void {
    this.end(reason)
    this.request.abort(ERROR_CODE.cancel)
    this.stream.close(code)
  }

  /** The server has reset its stream: so is that of the client, behind what came before. */
  serverReset(code: number): void {
    const { stream } = this
    if (this.exchange.http2) this.exchange.http2.resetCode = code
    this.end('server-reset')
    stream.afterSent(() => stream.close(code))
  }

  /** Ends it when request and response are both over. */
  endIfOver(): void {
    if (this.request.isOver && this.response.isOver) this.end(this.tunnel ? 'upgraded' : 'complete')
  }

  /** Ends it. @param cause - Why the connection did, where that is what ends it. */
  end(reason: ExchangeEndReason, cause: ExchangeEndReason = reason): void {
    if (this.isOver) return
    this.isOver = true
    this.#controller?.abort()
    this.request.close()
    this.response.close()
    this.tunnel?.close(cause)
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

  // What the client sends.

  data(octets: Buffer): MaybePromise<void> {
    return this.request.onBody(octets)
  }

  ended(trailers: readonly Field[]): void {
    this.request.onEnd(trailers)
  }

  aborted(code: number): void {
    if (this.isOver) return
    const { bridge } = this
    // So Chromium leaves where a ping of its own is not answered; it asks again elsewhere.
    if (bridge.heldPings > 0 && code === ERROR_CODE.protocolError) noteSentAgain([this], 'refused')
    if (this.exchange.http2) this.exchange.http2.resetCode = code
    this.request.abort(code)
    this.end('client-reset')
  }
}
