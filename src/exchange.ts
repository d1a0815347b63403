/** One HTTP request with its response, or the reason there was none: the same words for every version of HTTP. */
import type { Connection } from './connection.ts'
import type { MitmError } from './errors.ts'
import { ExchangeTimings } from './exchange-timings.ts'
import type { FaultRecord } from './fault.ts'
import type { HttpRequest, HttpResponse } from './http-message.ts'
import type { Http2Facts } from './http2-facts.ts'
import { isByBrowserDoor, isWrittenByNode } from './source.ts'
import type { TrafficSource } from './source.ts'
import type { WebSocketMessage } from './web-socket-message.ts'
import type { WebSocketRecord } from './web-socket-record.ts'

export { HttpMessage, HttpRequest, HttpResponse } from './http-message.ts'
export type { Field, HeadParser, RequestHead, ResponseHead } from './http-message.ts'

/** Why an exchange ended. */
export type ExchangeEndReason =
  /** Request and response are whole. */
  | 'complete'
  /** It became another protocol, by `101` or a `2xx` to CONNECT. */
  | 'upgraded'
  /** It could not be framed, and went on as octets. */
  | 'opaque'
  | 'client-closed'
  | 'client-reset'
  | 'server-closed'
  | 'server-reset'
  /** A rule cut it. */
  | 'blocked'
  | 'idle-timeout'
  | 'mitm-closed'
  /** A fault broke it: see `exchange.faults`. */
  | 'fault'
  /** See `exchange.error`. */
  | 'failed'

/** A handler of MSW that decided about an exchange. */
export interface HandlerRecord {
  /** What it is for, in its own words (`info.header`): `GET https://api.test/user/:id`. */
  readonly header: string
  /** `file:line` at which it was made, as far as MSW noted it. */
  readonly where: string | undefined
}

/**
 * One HTTP request with its response, or the reason there was none. It fills while the exchange runs; `endReason` is
 * set when it is over.
 */
export class Exchange {
  readonly connection: Connection
  readonly request: HttpRequest
  /** The final response as the client got it, once its head is known. */
  response: HttpResponse | undefined
  /** The request as it was sent to the server, where a rule changed it. */
  sentRequest: HttpRequest | undefined
  /** The response as the server sent it, where a rule changes it. */
  serverResponse: HttpResponse | undefined
  readonly timings: ExchangeTimings = new ExchangeTimings()
  /** Set when the exchange is over. */
  endReason: ExchangeEndReason | undefined
  /** Why it went on as octets, where it could not be framed. */
  opaqueReason: string | undefined
  /** What went wrong, where something did. */
  error: MitmError | undefined
  /** Who wrote the response: the server, a rule, a handler of MSW, or the mitm itself (to report an error). */
  answeredBy: 'server' | 'rule' | 'handler' | 'mitm' | undefined
  /** The handler of MSW that decided about it. */
  handler: HandlerRecord | undefined
  /** The address of the server that the request was sent to. */
  serverAddress: string | undefined
  /** Its stream, where the client speaks HTTP/2. */
  http2: Http2Facts | undefined
  /**
   * Whether a browser sends it again by itself: a rule broke a connection that was kept from an earlier request before an
   * octet of the response, or refused the stream (HTTP/2). The page never hears of it, so matchers do not count it.
   */
  isResent = false
  /** The earlier try of which this one is the repetition, where a browser sent it again by itself. */
  resentFrom: Exchange | undefined
  /** Whether a fault holds it, so that it may not come to an end by itself. */
  isStalled = false
  /**
   * Whether a handler is being asked, which may never say anything: a client that ends its side meanwhile has left.
   *
   * @internal
   */
  isAwaitingHandler = false
  /** What passed on it once it had become a WebSocket; undefined when it is none. */
  webSocket: WebSocketRecord | undefined

  readonly #startMs = performance.now()
  readonly #number: number
  // Made when somebody looks: most exchanges have neither, and every exchange is kept.
  #interim: HttpResponse[] | undefined
  #rules: string[] | undefined
  #faults: FaultRecord[] | undefined

  constructor(connection: Connection, request: HttpRequest) {
    this.#number = ++connection.exchangeCount
    this.connection = connection
    this.request = request
  }

  /** Unique in this process: the connection's id and a number. */
  get id(): string {
    return `${this.connection.id}.${this.#number}`
  }

  /** Who made it. */
  get source(): TrafficSource {
    if (this.connection.isFromTest) return 'node'
    if (this.connection.isFromHandler) return 'handler'
    if (!isByBrowserDoor(this.connection)) return 'server'
    // Playwright's `request` speaks HTTP/1 only.
    if (this.http2) return 'page'
    return isWrittenByNode(this.request.fields) ? 'request' : 'page'
  }

  /** Milliseconds since 1970 at which the head of the request had come. */
  get startedAt(): number {
    return Math.round(performance.timeOrigin + this.#startMs)
  }

  /** Heads of `1xx` responses that came before it. */
  get interim(): HttpResponse[] {
    return (this.#interim ??= [])
  }

  /** The faults that acted on it, and on earlier tries of the same (`resentFrom`), first thing first. */
  get faults(): FaultRecord[] {
    return (this.#faults ??= [])
  }

  /** The rules that touched it, in their own words, and what they did. */
  get rules(): string[] {
    return (this.#rules ??= [])
  }

  /** The messages of its WebSocket, in the order in which they came; none when it is none. */
  get messages(): readonly WebSocketMessage[] {
    return this.webSocket?.messages ?? []
  }

  /** Milliseconds since the start of the exchange. */
  elapsedMs(): number {
    return performance.now() - this.#startMs
  }

  /** `POST https://pay.test/charge -> 201`. */
  toString(): string {
    return `${this.request.method} ${this.request.url} -> ${this.response?.status ?? this.endReason ?? 'pending'}`
  }
}
