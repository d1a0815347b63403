/** A WebSocket as handlers of MSW have it: the page at one end, and a server that is only there once it is connected to. */
import type { Exchange } from '../exchange.ts'
import { offeredFields, offeredProtocols } from './socket-handshake.ts'
import type { MockedWebSocket } from '../web-socket.ts'
import { webSocketUrl } from '../web-socket-handshake.ts'
import type { WebSocketMessage } from '../web-socket-message.ts'
import type { RealServers, RealSocket } from './real-servers.ts'
import { SendQueue } from './socket-data.ts'
import type { WireData } from './socket-data.ts'
import { SocketCloseEvent, SocketErrorEvent, SocketEvent, SocketMessageEvent, SocketTarget } from './socket-events.ts'

/** Codes that stand for the lack of a code, and are never sent (RFC 6455 section 7.4.1). */
const NO_STATUS = 1005
const ABNORMAL = 1006
const NORMAL = 1000
const INTERNAL_ERROR = 1011

/** What a connection is made of. */
export interface SocketConnectionOptions {
  readonly exchange: Exchange
  readonly servers: RealServers
  /** Is told what a listener threw. */
  readonly onError: (error: unknown) => void
}

/** The connection that all handlers which are for a WebSocket are given. */
export class SocketConnection {
  readonly client: SocketClient
  readonly server: SocketServer
  readonly info: { readonly protocols: string[] }

  constructor({ exchange, servers, onError }: SocketConnectionOptions) {
    const failed = (error: unknown): void => {
      onError(error)
      this.client.close(INTERNAL_ERROR)
    }
    const target = { servers, onError: failed }
    this.info = { protocols: offeredProtocols(exchange) }
    this.client = new SocketClient(this, exchange, target)
    this.server = new SocketServer(this, exchange, target)
  }

  /** Closes the page's end, because a handler failed. */
  fail(): void {
    this.client.close(INTERNAL_ERROR)
  }
}

interface TargetOptions {
  readonly servers: RealServers
  readonly onError: (error: unknown) => void
}

/** The page's end of it. */
export class SocketClient extends SocketTarget {
  readonly id: string
  readonly url: URL
  /** Set by extensions of `ws.link()`. */
  extension: unknown
  readonly #connection: SocketConnection
  readonly #queue: SendQueue
  /** What is to be done when it is open. */
  #waiting: ((socket: MockedWebSocket) => void)[] = []
  #socket: MockedWebSocket | undefined
  #isClosed = false

  constructor(connection: SocketConnection, exchange: Exchange, options: TargetOptions) {
    super(options)
    this.id = exchange.id
    this.url = new URL(webSocketUrl(exchange.request.url))
    this.#connection = connection
    this.#queue = new SendQueue(options.onError)
  }

  /** `0` connecting, `1` open, `3` closed, as of a `WebSocket`. */
  get readyState(): number {
    if (this.#isClosed) return 3
    return this.#socket ? 1 : 0
  }

  /** The client itself: there is no `WebSocket` of the page in this process. */
  get socket(): this {
    return this
  }

  /** Sends a message to the page. One that has gone is passed over in silence: `broadcast()` reaches it as well. */
  send(data: unknown): void {
    this.#queue.push(data, (wire) => this.#whenOpen((socket) => void socket.client.send(wire)))
  }

  /** Closes it behind what was sent. */
  close(code: number = NORMAL, reason: string = ''): void {
    this.#queue.behind(() => {
      if (this.#isClosed) return
      this.#whenOpen((socket) => socket.client.close(code === NO_STATUS ? undefined : code, reason))
      this.#closed(code, reason)
    })
  }

  /** The page has got its `101`. */
  opened(socket: MockedWebSocket): void {
    this.#socket = socket
    socket.onMessage((message) => this.#received(message))
    socket.onClose((code, reason) => this.#closed(code, reason))
    for (const act of this.#waiting.splice(0)) act(socket)
    this.dispatchEvent(new SocketEvent('open'))
  }

  /** There will be no connection, or none any more. */
  gone(): void {
    this.#waiting = []
    this.#closed(ABNORMAL, '')
  }

  #whenOpen(act: (socket: MockedWebSocket) => void): void {
    if (this.#isClosed) return
    if (this.#socket) act(this.#socket)
    else this.#waiting.push(act)
  }

  #received(message: WebSocketMessage): void {
    const data = message.kind === 'text' ? message.text() : new Uint8Array(message.octets)
    const isForwarded = this.dispatchEvent(new SocketMessageEvent(data, this.url.origin))
    if (isForwarded) this.#connection.server.forward(data)
  }

  #closed(code: number, reason: string): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.dispatchEvent(new SocketCloseEvent(code, reason))
    this.#connection.server.clientClosed(code, reason)
  }
}

/** The real server's end of it. */
export class SocketServer extends SocketTarget {
  /** Set by extensions of `ws.link()`. */
  extension: unknown
  readonly #connection: SocketConnection
  readonly #exchange: Exchange
  readonly #servers: RealServers
  readonly #queue: SendQueue
  /** What is to be sent when it is open. */
  #waiting: WireData[] = []
  #socket: RealSocket | undefined
  #state: 'idle' | 'connecting' | 'open' | 'closed' = 'idle'

  constructor(connection: SocketConnection, exchange: Exchange, options: TargetOptions) {
    super(options)
    this.#connection = connection
    this.#exchange = exchange
    this.#servers = options.servers
    this.#queue = new SendQueue(options.onError)
  }

  /** `0` connecting, `1` open, `3` closed or not connected to, as of a `WebSocket`. */
  get readyState(): number {
    return { idle: 3, connecting: 0, open: 1, closed: 3 }[this.#state]
  }

  /** The server itself: what it is connected by is no `WebSocket` of a page. */
  get socket(): this {
    return this
  }

  /** Connects to the real server. From then on messages pass both ways, unless a listener prevents it. */
  connect(): void {
    if (this.#state !== 'idle') return
    this.#state = 'connecting'
    const { client, info } = this.#connection
    this.#socket = this.#servers.openWebSocket(client.url.href, {
      protocols: info.protocols,
      fields: offeredFields(this.#exchange),
      opened: () => this.#opened(),
      message: (data) => this.#received(data),
      closed: (code, reason) => this.#closed(code, reason),
      failed: (error) => this.#failed(error),
    })
  }

  /** Sends a message to the real server. @throws Error when it was not connected to */
  send(data: unknown): void {
    if (this.#state === 'idle') {
      throw new Error('Cannot send to the server of a WebSocket that is not connected to: call server.connect() first')
    }
    this.#queue.push(data, (wire) => this.#send(wire))
  }

  /** Closes the connection to the real server; that to the page stays. */
  close(code?: number, reason?: string): void {
    if (this.#state === 'idle') {
      throw new Error('Cannot close the server of a WebSocket that is not connected to: call server.connect() first')
    }
    this.#queue.behind(() => {
      if (!this.#end(code, reason)) return
      this.dispatchEvent(new SocketCloseEvent(code ?? NORMAL, reason ?? ''))
    })
  }

  /** Passes on what the page sent, if there is a server. */
  forward(data: WireData): void {
    if (this.#state !== 'idle') this.#queue.push(data, (wire) => this.#send(wire))
  }

  /** The page has closed its end. */
  clientClosed(code: number, reason: string): void {
    const isSendable = code === NORMAL || (code >= 3000 && code <= 4999)
    this.#queue.behind(() => void this.#end(isSendable ? code : undefined, isSendable ? reason : undefined))
  }

  #send(data: WireData): void {
    if (this.#state === 'connecting') this.#waiting.push(data)
    else if (this.#state === 'open') this.#socket?.send(data)
  }

  /** @returns Whether it was there */
  #end(code: number | undefined, reason: string | undefined): boolean {
    const wasThere = this.#state === 'connecting' || this.#state === 'open'
    if (this.#state !== 'idle') this.#state = 'closed'
    if (wasThere) this.#socket?.close(code, reason)
    return wasThere
  }

  #opened(): void {
    if (this.#state !== 'connecting') return
    this.#state = 'open'
    this.dispatchEvent(new SocketEvent('open'))
    for (const data of this.#waiting.splice(0)) this.#socket?.send(data)
  }

  #received(data: WireData): void {
    const { client } = this.#connection
    if (this.#state !== 'open') return
    if (this.dispatchEvent(new SocketMessageEvent(data, client.url.origin))) client.send(data)
  }

  #closed(code: number, reason: string): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    if (!this.dispatchEvent(new SocketCloseEvent(code, reason))) return
    // A connection that broke off can only be told of as what it is for the page.
    this.#connection.client.close(code === ABNORMAL ? INTERNAL_ERROR : code, reason)
  }

  #failed(error: Error): void {
    if (this.#state === 'closed') return
    const isTold = this.dispatchEvent(new SocketErrorEvent(error))
    if (!isTold) this.#state = 'closed'
    else this.#closed(ABNORMAL, '')
  }
}
