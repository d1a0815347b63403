/** A pair of hosts that the mitm relays between. */
import { MitmError } from './errors.ts'
import type { Side } from './errors.ts'
import type { Exchange } from './exchange.ts'
import type { Fault, FaultFeed, FaultRecord } from './fault.ts'
import { Host } from './host.ts'
import type { IdleTimer } from './internal/idle-timer.ts'
import type { MaybePromise } from './internal/maybe-promise.ts'
import type { ConnectionIntervention, ConnectionMoment, Intervention } from './middleware.ts'
import type { Destination, Protocol } from './protocol.ts'
import type { WebSocketHandler } from './web-socket.ts'
import type { WebSocketMessage } from './web-socket-message.ts'

/** Why a connection ended. */
export type ConnectionEndReason =
  | 'client-closed'
  | 'server-closed'
  | 'client-reset'
  | 'server-reset'
  | 'idle-timeout'
  | 'handed-over'
  | 'mitm-closed'
  /** On purpose: see `connection.faults`. */
  | 'fault'
  | 'failed'

/**
 * What was agreed in a TLS handshake: the one in which the mitm was the server, or the one in which it was the client. Where
 * TLS is passed through there is only one, of which is told what could be read in it.
 */
export interface TlsFacts {
  /** `TLSv1.3`; `unknown` while, of a handshake that is passed through, the server has not answered. */
  readonly version: string
  /** The name of the cipher suite, as in IANA's registry; `unknown` as `version` is. */
  readonly cipher: string
  /** The protocol chosen by ALPN, if any. Not known of TLS 1.3 that is passed through. */
  readonly alpn: string | undefined
  /** The protocols offered by ALPN, most wanted first: by the client of this handshake. */
  readonly offeredAlpn: readonly string[]
  /** The server name that the client of this handshake asked for (SNI), if any. */
  readonly serverName: string | undefined
  /** The certificate shown by the server of this handshake. Not known of TLS 1.3 that is passed through. */
  readonly certificate: CertificateFacts | undefined
  /**
   * The certificates above it, nearest first, as far as they are known: sent by the server, or trusted. Empty for what the
   * mitm itself showed.
   */
  readonly chain: readonly CertificateFacts[]
  /** The certificate that the client of this handshake presented, if it was asked for one and had one. */
  readonly clientCertificate: CertificateFacts | undefined
  /** Why the server's certificate was not accepted, as Node's error code. */
  readonly authorizationError: string | undefined
}

/** What records tell of a certificate. */
export interface CertificateFacts {
  /** `CN=pay.test, O=Pay`. */
  readonly subject: string
  readonly issuer: string
  /** `DNS:pay.test, IP Address:127.0.0.1`; empty when it names none. */
  readonly subjectAltName: string
  /** As OpenSSL writes it: `Jan 31 00:00:00 2030 GMT`. */
  readonly validFrom: string
  readonly validTo: string
  /** SHA-256 of the certificate, in hexadecimal with colons. */
  readonly fingerprint256: string
  /** In hexadecimal. */
  readonly serialNumber: string
}

/** The moments of an exchange that middlewares are told of. */
export type ExchangeMoment =
  | 'requestStarted'
  | 'requestEnded'
  | 'responseStarted'
  | 'exchangeEnded'
  /** With the message. */
  | 'messageReceived'
  | 'webSocketChanged'

/** What the mitm does for one connection that it accepted; {@link Connection} passes its calls on to it. */
export interface ConnectionFlow {
  readonly settings: ConnectionSettings
  /** Aborts when the mitm is done with the connection. */
  readonly signal: AbortSignal
  clientData(data: Buffer): MaybePromise<Buffer>
  serverData(data: Buffer): MaybePromise<Buffer>
  mayAnswer(destination: Destination): boolean
  /** Whether a middleware intercepts exchanges at all. */
  readonly isIntercepting: boolean
  /** Whether a middleware could intercept a request to this host, as things are now. */
  mayIntercept(destination: Destination): boolean
  intercept(exchange: Exchange): MaybePromise<Intervention | undefined>
  /** What goes wrong with the connection at this moment; undefined: nothing. */
  interceptConnection(moment: ConnectionMoment): ConnectionIntervention | undefined
  /** Notes that a fault acted on the connection, and on the exchange if there is one. */
  noteFault(fault: Fault, exchange?: Exchange): void
  /** Notes that a browser sends an exchange again by itself, so that the next try is known as one. */
  noteResent(exchange: Exchange): void
  notify(moment: ExchangeMoment, exchange: Exchange, message?: WebSocketMessage): void
  dial(destination: Destination): Promise<void>
  /** Does something for which the client waits, silently; if it leaves meanwhile, the connection is over. */
  whileClientWaits<T>(work: () => Promise<T>): Promise<T>
  open(destination: Destination): Promise<void>
  closeServer(): Promise<void>
  /**
   * Connects to a server beside `connection.server`, for protocols in which several are spoken to at once.
   *
   * @param alpnProtocols - What to offer in TLS.
   * @throws {@link MitmError} as `open`.
   */
  openAnother(destination: Destination, alpnProtocols: readonly string[]): Promise<OtherServer>
  reset(side: Side): void
  /** What an end really was: a reset may look like an end at first. */
  trueEnd(side: Side, end: StreamEnd): StreamEnd
  /** Does to the other side what happened to this one; tells whether the connection is over by that. */
  passEnd(side: Side, end: StreamEnd): boolean
  /** Says what to do when something changes that a connection must know of while it lasts. */
  listen(listener: FlowListener): void
  /** What goes wrong with an exchange that is under way, and with which nothing goes wrong yet; undefined: nothing. */
  lateFaults(exchange: Exchange): FaultFeed | undefined
  /** What is done to the rest of a WebSocket that is open already, by rules that came later. */
  lateWebSocket(exchange: Exchange): readonly WebSocketHandler[]
  /** Watches for the time in which nothing passes. */
  watchIdle(onIdle: (error: MitmError) => void): IdleTimer
  unwrap(data: Buffer): Promise<void>
  relay(first?: Buffer): Promise<void>
  report(error: MitmError): void
}

/** A server beside the one of a connection. The mitm closes it with the connection, if nobody has before. */
export interface OtherServer {
  /** Its streams; decrypted ones, in TLS. */
  readonly host: Host
  /** What was chosen by ALPN, if anything was. */
  readonly alpn: string | undefined
  /** Sends what was written, and closes it. */
  close(): void
  /** Ends it with a TCP reset. */
  reset(): void
}

/** What a protocol does while a connection lasts. */
export interface FlowListener {
  /** Connections are to be made anew: one without anything under way ends now, another one behind that. */
  drain?(): void
  /** Rules have faults, or touch WebSockets, as they did not: some may be for what is under way. */
  faultsAdded?(): void
  /** Other requests may be intercepted than before: see {@link ConnectionFlow.mayIntercept}. */
  interceptorsChanged?(): void
}

/** How a stream ended: by the other side's FIN, by an error (a reset), or closed from this side. */
export type StreamEnd =
  | { readonly kind: 'end' }
  | { readonly kind: 'error'; readonly error: Error }
  | { readonly kind: 'closed' }

/** Limits that hold for each connection. */
export interface ConnectionSettings {
  /** Largest head of a message. */
  readonly maxHeadBytes: number
  /** Largest body that is held to be looked at or rewritten. */
  readonly maxBodyBytes: number
  /** How long the first octets in a tunnel are waited for. */
  readonly firstBytesWaitMs: number
  /** Longest time without a byte in either direction. */
  readonly idleTimeoutMs: number
  /** Longest time from the end of a request to the head of its response, interim ones included; undefined: no limit. */
  readonly responseTimeoutMs: number | undefined
}

let lastId = 0

/**
 * A pair of hosts that the mitm relays between: the client, which connected to it, and the server, to which it connects
 * on the client's behalf. The server is an empty host until the destination is known.
 *
 * @example
 * ```ts
 * import type { Connection, Middleware } from 'playwright-mitm/core'
 *
 * export const printer: Middleware = {
 *   serverConnected(connection: Connection) {
 *     console.log(`${connection.client} -> ${connection.server}`)
 *   },
 * }
 * ```
 */
export class Connection {
  /** Unique in this process. */
  readonly id: string
  readonly client: Host
  /** Empty until connected. One connection has several, one after the other, when an HTTP proxy client changes host. */
  server: Host
  /** The protocol that relays this connection, once one has been found. */
  protocol: Protocol | undefined

  /** Where the client wants to go, as it said (CONNECT, SOCKS, `Host`), before `hosts` maps it. */
  destination: Destination | undefined
  /** The layers found so far, outermost first, such as `['socks5', 'tls', 'http/1.1']` or `['connect', 'tls-passthrough']`. */
  readonly layers: string[] = []
  /** What was agreed in the TLS handshake with the client. */
  clientTls: TlsFacts | undefined
  /** What was agreed in the TLS handshake with the server. */
  serverTls: TlsFacts | undefined
  /** Milliseconds since 1970 at which the client connected. */
  readonly startedAt: number = Date.now()
  /** Milliseconds since 1970 at which the mitm was done with both hosts. */
  endedAt: number | undefined
  /** Why it ended; the first reason found. */
  endReason: ConnectionEndReason | undefined
  /** What went wrong, first thing first. */
  readonly errors: MitmError[] = []
  /** The faults that acted on it or on its exchanges, first thing first. */
  readonly faults: FaultRecord[] = []
  /** Whether its TLS hello has values that mean nothing (GREASE, RFC 8701), as Chromium's has; false before it has come. */
  isGreased = false
  /** Whether the test itself made it (`mitm.fetch`). */
  isFromTest = false
  /** Whether a handler of MSW made it, to reach the real server. */
  isFromHandler = false
  /** Octets so far, as they came from each end: decrypted ones, but where TLS is passed through. */
  readonly bytes: { fromClient: number; fromServer: number } = { fromClient: 0, fromServer: 0 }
  /** Exchanges begun on this connection. */
  exchangeCount = 0

  #flow: ConnectionFlow | undefined
  #signal: AbortSignal | undefined

  constructor(client: Host = new Host(), server: Host = new Host(), protocol?: Protocol) {
    this.id = `c${++lastId}`
    this.client = client
    this.server = server
    this.protocol = protocol
  }

  /** Passes bytes from the client through the `clientData` of every middleware, in order. */
  clientData(data: Buffer): MaybePromise<Buffer> {
    return this.flow.clientData(data)
  }

  /** Passes bytes from the server through the `serverData` of every middleware, in order. */
  serverData(data: Buffer): MaybePromise<Buffer> {
    return this.flow.serverData(data)
  }

  /**
   * Connects the socket to the server early, so that a failure can be told to the client in the words of its protocol.
   * The server host counts as connected only after {@link Connection.open}.
   *
   * @throws {@link MitmError} `MITM_DIAL_FAILED`, `MITM_DIAL_TIMEOUT`, `MITM_DNS_FAILED`, `MITM_DNS_TIMEOUT`, `MITM_LOOP`,
   *   `MITM_UPSTREAM_PROXY_FAILED`, `MITM_UPSTREAM_PROXY_TIMEOUT`.
   */
  dial(destination: Destination): Promise<void> {
    return this.flow.dial(destination)
  }

  /**
   * Connects the server host, in TLS if the destination says so, and fires `serverConnected`. A socket dialled before
   * for the same destination is used; a server host connected elsewhere is let go first.
   *
   * @throws {@link MitmError} as `dial`, and `MITM_SERVER_TLS_FAILED`, `MITM_SERVER_TLS_TIMEOUT`, `MITM_SERVER_CERTIFICATE`.
   */
  open(destination: Destination): Promise<void> {
    return this.flow.open(destination)
  }

  /** Whether a middleware could answer for this host, so that it must not be dialled before a request needs it. */
  mayAnswer(destination: Destination): boolean {
    return this.flow.mayAnswer(destination)
  }

  /**
   * Takes one layer off: what follows on the client's stream is sniffed anew, from `data` on, and relayed to the end.
   *
   * @param data - Bytes of the inner layer that have been read already and have not passed `clientData`.
   */
  unwrap(data: Buffer = Buffer.alloc(0)): Promise<void> {
    return this.flow.unwrap(data)
  }

  /** Whether an outer layer (CONNECT, SOCKS) has said where all of this connection goes. */
  get isTunnelled(): boolean {
    return this.layers.some((layer) => layer === 'connect' || layer.startsWith('socks'))
  }

  /** Aborts when the mitm is done with this connection: what a protocol waits for should end then. */
  get signal(): AbortSignal {
    return this.#signal ?? this.flow.signal
  }

  /** Ends one side as if the network had: with a TCP reset. */
  reset(side: Side): void {
    this.flow.reset(side)
  }

  /**
   * Passes bytes both ways through the middlewares until both sides are done.
   *
   * @param first - Bytes from the client that go to the server before all others, and have passed `clientData` already.
   */
  relay(first?: Buffer): Promise<void> {
    return this.flow.relay(first)
  }

  /** Notes an error on this connection and hands it to `onError`; the connection goes on. */
  report(error: MitmError): void {
    this.flow.report(error)
  }

  /** Notes why this connection ended, unless a reason is known already. */
  end(reason: ConnectionEndReason): void {
    this.endReason ??= reason
  }

  /**
   * The services behind this connection, for protocols that speak HTTP.
   *
   * @throws {@link MitmError} `MITM_NOT_RUNNING` when no mitm accepted this connection.
   */
  get flow(): ConnectionFlow {
    if (!this.#flow) {
      throw new MitmError(
        'MITM_NOT_RUNNING',
        `Cannot use connection ${this.id}: it has ended or was made by hand, expected a live one that a Mitm accepted`,
      )
    }
    return this.#flow
  }

  /**
   * Sets the services behind this connection; without any, once it has ended, so that records do not keep sockets.
   *
   * @internal
   */
  attachFlow(flow: ConnectionFlow | undefined): void {
    this.#flow = flow
    if (flow) this.#signal = flow.signal
  }

  /** `client -> server`. */
  toString(): string {
    return `${this.client} -> ${this.server}`
  }
}
