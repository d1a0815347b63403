/** What can be hooked into every connection and exchange. */
import type { Connection } from './connection.ts'
import type { MitmError } from './errors.ts'
import type { Exchange, Field } from './exchange.ts'
import type { FaultFeed, HeadPart } from './fault.ts'
import type { MaybePromise } from './internal/maybe-promise.ts'
import type { Destination } from './protocol.ts'
import type { WebSocketHandler, WebSocketMock } from './web-socket.ts'
import type { WebSocketMessage } from './web-socket-message.ts'

/**
 * Hooks into everything that passes. Implement only those you need, on an object or a class; each may be synchronous or
 * return a promise. Middlewares run in the order they were added.
 *
 * The first seven hooks are about bytes and connections. The others are about HTTP, and are fired by the protocols that
 * speak it. A hook that throws is reported (`MITM_MIDDLEWARE_FAILED`) and never ends the proxy: after an observing hook
 * traffic goes on, after `clientData` and `serverData` that connection is closed.
 *
 * @example
 * ```ts
 * import { Mitm } from 'playwright-mitm/core'
 *
 * const mitm = new Mitm()
 * mitm.use({
 *   serverData(connection, data) {
 *     return Buffer.from(data.toString('latin1').replaceAll('cat', 'dog'), 'latin1')
 *   },
 * })
 * ```
 */
export interface Middleware {
  /** What errors call it. @defaultValue the name of its class */
  readonly name?: string

  /** The listener is up. Called at once for a middleware that is added later. */
  mitmStarted?(host: string, port: number): MaybePromise<void>

  /** A client connected; only `connection.client` is valid yet. Nothing is read before this has settled. */
  clientConnected?(connection: Connection): MaybePromise<void>

  /** The destination is connected: the connection is complete. Nothing is sent before this has settled. */
  serverConnected?(connection: Connection): MaybePromise<void>

  /**
   * Decrypted bytes from the client. CONNECT requests and SOCKS messages pass too; TLS handshakes never do, nor what cannot
   * be decrypted (the option `passthrough`).
   *
   * @returns The bytes to send on instead; an empty buffer sends nothing. Until a promise of it settles, nothing more
   *   is read from the client.
   */
  clientData?(connection: Connection, data: Buffer): MaybePromise<Uint8Array>

  /** The same for decrypted bytes from the server. */
  serverData?(connection: Connection, data: Buffer): MaybePromise<Uint8Array>

  /** The client is gone. Fired once, whoever closed first, also after errors. */
  clientDisconnected?(connection: Connection): MaybePromise<void>

  /** The server is gone. Fired once for each server that `serverConnected` was fired for. */
  serverDisconnected?(connection: Connection): MaybePromise<void>

  /** More is known of a connection: a layer was taken off (`connection.layers`, `clientTls`), or its protocol was found. */
  connectionChanged?(connection: Connection): MaybePromise<void>

  /** Both hosts are done with; `connection.endReason` says why. The last hook of a connection. */
  connectionEnded?(connection: Connection): MaybePromise<void>

  /**
   * Whether a request for this host might be answered without its server. Then the server is not dialled before a
   * request needs it.
   */
  mayAnswer?(destination: Destination): boolean

  /**
   * What clients are offered by ALPN for a host whose server is not asked first, most wanted first. The first middleware
   * that says something is heard. @defaultValue what the server chose the last time, else `h2` and `http/1.1`
   */
  offeredAlpn?(destination: Destination): OfferedAlpn | undefined

  /**
   * Whether `intercept` could return anything for a request to this host. Where no middleware could, it is not called, and
   * HTTP/2 is relayed as octets instead of being taken apart. A middleware with `intercept` that has not this hook could always.
   */
  mayIntercept?(destination: Destination): boolean

  /**
   * Called for each connection before it is done what `stage` says; what is returned goes wrong then. Everything that is
   * undefined goes its usual way.
   */
  interceptConnection?(connection: Connection, moment: ConnectionMoment): ConnectionIntervention | undefined

  /**
   * Called with each request as soon as its head has come. What is returned changes or answers the exchange; what is
   * undefined leaves it untouched, byte for byte. The request is held until a promise settles; its body can be awaited
   * (`exchange.request.whenComplete`).
   */
  intercept?(exchange: Exchange): MaybePromise<Intervention | undefined>

  /**
   * Called for each exchange that is under way and with which nothing goes wrong yet, when faults have been added. What is
   * returned goes wrong with the rest of it.
   */
  lateFaults?(exchange: Exchange): FaultFeed | undefined

  /**
   * Called for each WebSocket that is open, when rules have changed. What is returned is done to the rest of it, beside
   * what is done already.
   */
  lateWebSocket?(exchange: Exchange): readonly WebSocketHandler[] | undefined

  /** A request head has come. */
  requestStarted?(exchange: Exchange): void
  /** The request is complete, with its body and trailers. */
  requestEnded?(exchange: Exchange): void
  /** A final response head has come. */
  responseStarted?(exchange: Exchange): void
  /** The exchange is over, well or not: `exchange.endReason`. */
  exchangeEnded?(exchange: Exchange): void
  /**
   * A message of a WebSocket has come whole, or was sent by a rule. Its content is kept only if somebody has asked for it by
   * `exchange.webSocket.keepMessages(limit)`, in `responseStarted` at the latest.
   */
  messageReceived?(exchange: Exchange, message: WebSocketMessage): void
  /** More is known of a WebSocket (`exchange.webSocket`): what became of a message that was held, a ping, a close. */
  webSocketChanged?(exchange: Exchange): void
}

/** What clients are offered by ALPN. */
export interface OfferedAlpn {
  readonly protocols: readonly string[]
  /** Whether that is so also where it is known what the server chooses. */
  readonly isCertain: boolean
}

/** What is about to be done for a connection. */
export interface ConnectionMoment {
  /**
   * `tunnel`: CONNECT or SOCKS is answered, and the server dialled; `tls`: the client's TLS hello has come; `relay`: octets
   * that are not HTTP are relayed.
   */
  readonly stage: 'tunnel' | 'tls' | 'relay'
  readonly destination: Destination
  /** For `relay`: whether octets have passed already. @defaultValue false */
  readonly isUnderWay?: boolean
  /** For `tls` and `relay`: whether it is TLS that is passed through, into which nothing can look. @defaultValue false */
  readonly isPassthrough?: boolean
}

/** What is done to a connection. */
export interface ConnectionIntervention {
  /** What goes wrong with it on purpose. */
  readonly faults?: FaultFeed
  /** Refuses it with this error, in place of contacting the server. */
  readonly refuse?: MitmError
}

/** A `1xx` response. */
export interface InterimResponse {
  /** From 100 to 199, not 101. */
  readonly status: number
  readonly fields: readonly Field[]
}

/** Makes other octets of those of a body, as they come. What `octets` throws must come out again. */
export type OctetsTransform = (octets: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>

/** Changes a body while it streams. */
export interface StreamRewrite {
  /**
   * Makes what the body is piped through: its content coding (gzip, deflate, br) is removed before, and not put on again.
   * A function does the same with less ado; what it throws is not blamed on anybody else.
   */
  open(exchange: Exchange): TransformStream<Uint8Array, Uint8Array> | OctetsTransform
  /** The error for what went wrong in it. */
  blame(cause: unknown): MitmError
}

/** What is done to an exchange. The parts of several middlewares are joined, in their order. */
export interface Intervention {
  /** Milliseconds to wait before the request goes on or is answered. */
  readonly delayMs?: number
  /** Sent to the client before the response, at once. */
  readonly interim?: readonly InterimResponse[]
  /** Change the body of the request while it streams to the server, after `rewriteRequest`. */
  readonly requestStreams?: readonly StreamRewrite[]
  /** Change the body of the response while it streams to the client, after `rewriteResponse`. */
  readonly responseStreams?: readonly StreamRewrite[]
  /** Edits of the octets of the response's head; the last thing that is done to it. */
  readonly responseHead?: readonly HeadPart[]
  /** What goes wrong with it on purpose. */
  readonly faults?: FaultFeed
  /** Changes the request before it is sent to the server. */
  readonly rewriteRequest?: readonly Rewrite<RewrittenRequest>[]
  /** Answers in place of the server, which is then not contacted. */
  readonly answer?: Answer
  /** Changes the response, the server's or an answer, before it is sent to the client. */
  readonly rewriteResponse?: readonly Rewrite<RewrittenResponse>[]
  /** Changes the octets of this request on their way to the server. */
  readonly clientData?: readonly DataTransform[]
  /** Changes the octets of this response on their way to the client. */
  readonly serverData?: readonly DataTransform[]
  /** Touch the WebSocket that it becomes, if it does. */
  readonly webSocket?: readonly WebSocketHandler[]
}

/** Changes the octets of one message; what it returns is sent instead. */
export type DataTransform = (data: Buffer, connection: Connection) => MaybePromise<Uint8Array>

/** One change of a message. */
export interface Rewrite<Message> {
  /**
   * Whether the body must have come whole before `apply` is called. Then it is `message.body`, as on the wire; else the
   * body is undefined, streams on untouched, and setting it replaces it.
   */
  readonly needsBody: boolean
  /** Returns the message to send instead. */
  apply(message: Message, exchange: Exchange): MaybePromise<Message>
}

/** A request as it is sent on. The fields about length (`content-length`, `transfer-encoding`) follow the body. */
export interface RewrittenRequest {
  readonly method: string
  /** Absolute. Another host here sends the request there. */
  readonly url: string
  readonly fields: readonly Field[]
  /** As on the wire, content-encoding included. */
  readonly body: Buffer | undefined
  /** Whether the Host field stays what it was though the URL leads elsewhere. */
  readonly keepsHost?: boolean | undefined
}

/** A response as it is sent on. The fields about length (`content-length`, `transfer-encoding`) follow the body. */
export interface RewrittenResponse {
  readonly status: number
  readonly statusText: string
  readonly fields: readonly Field[]
  /** As on the wire, content-encoding included. */
  readonly body: Buffer | undefined
  /** In place of `body`: octets that are sent as they come, as on the wire. It is returned from early when nobody wants more. */
  readonly stream?: AsyncIterable<Uint8Array> | undefined
  /** Sent behind the body, which is chunked for them (RFC 9112 section 7.1.2). */
  readonly trailers?: readonly Field[] | undefined
}

/** What answers a request in place of its server. */
export type Answer =
  | {
      readonly kind: 'respond'
      /** Who is said to have answered (`exchange.answeredBy`). @defaultValue `'rule'` */
      readonly answeredBy?: 'rule' | 'handler' | 'mitm'
      /** Whether the request body must have come whole before `response` is called. */
      readonly needsBody: boolean
      response(exchange: Exchange): MaybePromise<RewrittenResponse>
    }
  | {
      /** Cuts the connection to the client without a response. */
      readonly kind: 'block'
    }
  | {
      /** Opens the WebSocket that is asked for; anything else is answered with 400. */
      readonly kind: 'webSocket'
      readonly mock: WebSocketMock
    }
  | {
      /** Sends octets that need not be HTTP, once the request has come whole. */
      readonly kind: 'raw'
      octets(exchange: Exchange): Buffer
      /** What follows them. */
      readonly end: 'close' | 'reset' | 'stall'
    }
