/** The exchanges of one HTTP/2 connection that are under way, and who is told of their moments. Does no I/O. */
import type { Connection } from '../../connection.ts'
import type { MitmError, Side } from '../../errors.ts'
import { Exchange, HttpRequest, HttpResponse } from '../../exchange.ts'
import type { ExchangeEndReason, Field } from '../../exchange.ts'
import { Http2Facts } from '../../http2-facts.ts'
import type { RequestHead, ResponseHead } from '../../exchange.ts'

/** Watches what passes through a stream that became a tunnel, such as a WebSocket. */
export interface TunnelObserver {
  /** Octets have come from a side. */
  data(from: Side, octets: Buffer): void
  /** The stream, or its connection, is over. @param by - Who ended it. */
  ended(by: Side): void
}

/**
 * Makes what watches a tunnel; undefined when nobody does. Called when the server has agreed, before `responseStarted` is
 * told. What was asked for is in `exchange.http2.protocol`.
 */
export type WatchTunnel = (exchange: Exchange, response: HttpResponse) => TunnelObserver | undefined

/** One stream, and the exchange that it carries. */
export interface Stream {
  readonly id: number
  readonly exchange: Exchange
  readonly facts: Http2Facts
  isRequestOver: boolean
  isResponseOver: boolean
  /** Whether it became a tunnel: its DATA are of another protocol. */
  isTunnel: boolean
  tunnel: TunnelObserver | undefined
}

/** Keeps account of the exchanges of one connection. */
export class StreamLedger {
  readonly #connection: Connection
  readonly #watchTunnel: WatchTunnel | undefined
  readonly #open = new Map<number, Stream>()
  #serverAddress: string | undefined

  constructor(connection: Connection, watchTunnel?: WatchTunnel) {
    this.#connection = connection
    this.#watchTunnel = watchTunnel
  }

  /** How many are under way. */
  get count(): number {
    return this.#open.size
  }

  /** Those that are under way. */
  get exchanges(): readonly Exchange[] {
    return Array.from(this.#open.values(), ({ exchange }) => exchange)
  }

  stream(id: number): Stream | undefined {
    return this.#open.get(id)
  }

  /** A request has come; or, of a pushed stream, been promised. */
  begin(id: number, head: RequestHead, protocol: string | undefined, isPushed: boolean): Stream {
    const connection = this.#connection
    const exchange = new Exchange(connection, new HttpRequest(head))
    const facts = new Http2Facts(id, isPushed)
    facts.protocol = protocol
    exchange.http2 = facts
    exchange.serverAddress = this.#serverAddress ??= connection.server.toString()
    const stream: Stream = {
      id,
      exchange,
      facts,
      isRequestOver: false,
      isResponseOver: false,
      isTunnel: false,
      tunnel: undefined,
    }
    this.#open.set(id, stream)
    connection.flow.notify('requestStarted', exchange)
    return stream
  }

  /** Octets of a body, or of a tunnel, have come. */
  data(stream: Stream, from: Side, octets: Buffer): void {
    if (stream.isTunnel) stream.tunnel?.data(from, octets)
    else if (from === 'client') stream.exchange.request.addBody(octets)
    else stream.exchange.response?.addBody(octets)
  }

  /** The head of a response has come. */
  respond(stream: Stream, head: ResponseHead): void {
    const { exchange } = stream
    const response = new HttpResponse(head)
    const { status } = head
    if (status >= 100 && status < 200) {
      response.finish()
      exchange.interim.push(response)
      return
    }
    exchange.response = response
    exchange.answeredBy = 'server'
    exchange.timings.responseStartMs = exchange.elapsedMs()
    const isTunnel = status >= 200 && status < 300 && exchange.request.method === 'CONNECT'
    if (isTunnel) {
      stream.isTunnel = true
      stream.tunnel = this.#watchTunnel?.(exchange, response)
      response.finish()
    }
    this.#connection.flow.notify('responseStarted', exchange)
    // What follows is none of HTTP's.
    if (isTunnel) this.#requestWhole(stream, [])
  }

  /** A side has ended its half of the stream. */
  ended(stream: Stream, side: Side, trailers: readonly Field[] = []): void {
    const { exchange } = stream
    if (side === 'client') {
      stream.isRequestOver = true
      if (!stream.isTunnel) this.#requestWhole(stream, trailers)
    } else {
      stream.isResponseOver = true
      exchange.response?.finish(exchange.response !== undefined, trailers)
    }
    if (!stream.isRequestOver || !stream.isResponseOver) return
    this.end(stream, stream.isTunnel ? 'upgraded' : 'complete', side)
  }

  /** A side has reset the stream. */
  reset(stream: Stream, side: Side, code: number): void {
    stream.facts.resetCode = code
    // Behind a whole response it says that no more of the request is wanted (RFC 9113 section 8.1).
    const isWhole = side === 'server' && stream.isResponseOver
    this.end(stream, stream.isTunnel ? 'upgraded' : isWhole ? 'complete' : `${side}-reset`, side)
  }

  /** The server will not serve streams above the last one (RFC 9113 section 6.8), and may end with the others. */
  goAway(lastStreamId: number, code: number): void {
    for (const stream of this.#open.values()) {
      stream.facts.goAwayCode = code
      if (stream.id > lastStreamId && !stream.facts.isPushed) this.end(stream, 'server-closed', 'server')
    }
  }

  /** An exchange is over. @param by - Who ended it. */
  end(stream: Stream, reason: ExchangeEndReason, by: Side): void {
    if (!this.#open.delete(stream.id)) return
    const { exchange } = stream
    exchange.endReason = reason
    exchange.timings.endMs = exchange.elapsedMs()
    exchange.request.finish(false)
    exchange.response?.finish(false)
    stream.tunnel?.ended(by)
    this.#connection.flow.notify('exchangeEnded', exchange)
  }

  /** All are over. Those that became tunnels have not failed by that. */
  endAll(reason: ExchangeEndReason, details: { by: Side; error?: MitmError | undefined; opaqueReason?: string }): void {
    for (const stream of this.#open.values()) {
      if (details.error) stream.exchange.error ??= details.error
      if (details.opaqueReason !== undefined) stream.exchange.opaqueReason = details.opaqueReason
      this.end(stream, stream.isTunnel ? 'upgraded' : reason, details.by)
    }
  }

  #requestWhole({ exchange }: Stream, trailers: readonly Field[]): void {
    exchange.timings.requestEndMs = exchange.elapsedMs()
    exchange.request.finish(true, trailers)
    this.#connection.flow.notify('requestEnded', exchange)
  }
}
