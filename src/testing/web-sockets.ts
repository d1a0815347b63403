/** WebSocket clients and servers as tests need them: those of the package ws, through the doors of a mitm. */
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { WebSocket, WebSocketServer } from 'ws'
import type { ClientOptions, ServerOptions } from 'ws'

import { connectTo, secureWire, socksTo, tunnelTo } from './clients.ts'
import type { ProxyAddress } from './clients.ts'
import { httpServer } from './servers.ts'
import type { HttpServer } from './servers.ts'
import type { TlsOptions } from 'node:tls'

/** A way into a mitm. */
export type SocketDoor = 'CONNECT' | 'SOCKS5' | 'absolute-form'

/** What is special of a client. */
export interface SocketClientOptions extends ClientOptions {
  readonly door?: SocketDoor
  /** Trusts this authority, for `wss:`. */
  readonly ca?: string
  readonly protocols?: readonly string[]
}

/** Connects a client through a mitm; resolves at once, before it is open. */
export async function webSocketThrough(
  mitm: ProxyAddress,
  url: string,
  { door = 'CONNECT', ca, protocols = [], ...options }: SocketClientOptions = {},
): Promise<TestWebSocket> {
  const { hostname, port: ownPort, protocol } = new URL(url)
  const port = Number(ownPort) || (protocol === 'wss:' ? 443 : 80)
  if (door === 'absolute-form') {
    const wire = await connectTo(mitm)
    wire.socket.removeAllListeners('data')
    return new TestWebSocket(url, protocols, {
      ...options,
      createConnection: () => wire.socket,
      finishRequest: (request) => {
        request.path = url
        request.end()
      },
    })
  }
  const raw = door === 'SOCKS5' ? await socksTo(mitm, hostname, port) : await tunnelTo(mitm, `${hostname}:${port}`)
  const wire = ca === undefined ? raw : await secureWire(raw, { ca, servername: hostname })
  wire.socket.removeAllListeners('data')
  return new TestWebSocket(url, protocols, { ...options, createConnection: () => wire.socket })
}

/** What a client or a server end has come to, in short words. */
export type SocketEvent = string

/** A client that notes what happens to it. */
export class TestWebSocket extends WebSocket implements AsyncDisposable {
  /** Messages, `error CODE`, `close CODE reason`, `ping x`, `pong x`, in order. */
  readonly seen: SocketEvent[] = []
  readonly #wakers: (() => void)[] = []

  constructor(url: string, protocols: readonly string[], options: ClientOptions) {
    super(url, [...protocols], options)
    noteEvents(this, (event) => this.#note(event))
  }

  /** Resolves when it is open. @throws what it failed with */
  async opened(): Promise<this> {
    if (this.readyState === WebSocket.CONNECTING) await once(this, 'open')
    return this
  }

  /** Resolves with all that was seen, when it is so much, or when this was seen. */
  async until(wanted: number | SocketEvent): Promise<readonly SocketEvent[]> {
    const isMet = (): boolean =>
      typeof wanted === 'number' ? this.seen.length >= wanted : this.seen.some((event) => event === wanted)
    const deadline = performance.now() + 8000
    while (!isMet()) {
      const left = deadline - performance.now()
      if (left <= 0) throw new Error(`Waited for ${wanted}, saw ${JSON.stringify(this.seen)}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#wakers.push(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
    return this.seen
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.readyState === WebSocket.CLOSED) return
    const closed = once(this, 'close')
    this.terminate()
    await closed
  }

  #note(event: SocketEvent): void {
    this.seen.push(event)
    for (const wake of this.#wakers.splice(0)) wake()
  }
}

/** Notes what happens to a socket. */
function noteEvents(socket: WebSocket, note: (event: SocketEvent) => void): void {
  socket.on('message', (data, isBinary) => {
    // A boundary: with the binary type that these tests leave alone it is a Buffer.
    const octets = data as Buffer
    note(isBinary ? `<${octets.toString('hex')}>` : octets.toString())
  })
  socket.on('ping', (data) => note(`ping ${data.toString()}`))
  socket.on('pong', (data) => note(`pong ${data.toString()}`))
  socket.on('error', (error) => note(`error ${'code' in error ? String(error.code) : error.message}`))
  socket.on('close', (code, reason) => note(`close ${code}${reason.length > 0 ? ` ${reason.toString()}` : ''}`))
}

/** A server of WebSockets. */
export interface SocketServer extends AsyncDisposable {
  readonly http: HttpServer
  readonly port: number
  /** `127.0.0.1:PORT`. */
  readonly authority: string
  /** What each connection has seen, in the order in which they came. */
  readonly seen: SocketEvent[][]
  /** The connections. */
  readonly sockets: WebSocket[]
  /** The next connection that was not asked for yet. */
  next(): Promise<WebSocket>
}

/** Starts a server of WebSockets; it echoes unless `onSocket` says what it does. */
export async function webSocketServer(
  options: ServerOptions & { readonly tls?: TlsOptions } = {},
  onSocket: (socket: WebSocket, request: IncomingMessage) => void = echo,
): Promise<SocketServer> {
  const { tls, ...rest } = options
  const http = await httpServer(undefined, tls)
  const server = new WebSocketServer({ noServer: true, ...rest })
  const seen: SocketEvent[][] = []
  const sockets: WebSocket[] = []
  const takers: ((socket: WebSocket) => void)[] = []
  let taken = 0
  http.onUpgrade((request, socket, head) => {
    server.handleUpgrade(request, socket, head, (webSocket) => {
      const events: SocketEvent[] = []
      seen.push(events)
      sockets.push(webSocket)
      noteEvents(webSocket, (event) => events.push(event))
      onSocket(webSocket, request)
      takers.shift()?.(webSocket)
    })
  })
  return {
    http,
    port: http.port,
    authority: http.authority,
    seen,
    sockets,
    next() {
      const socket = sockets[taken++]
      return socket ? Promise.resolve(socket) : new Promise((resolve) => takers.push(resolve))
    },
    async [Symbol.asyncDispose]() {
      for (const socket of server.clients) socket.terminate()
      server.close()
      await http[Symbol.asyncDispose]()
    },
  }
}

function echo(socket: WebSocket): void {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
}
