/** Servers as tests need them: raw ones that a test answers by hand, and HTTP ones. All on a free loopback port. */
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import type { Duplex } from 'node:stream'
import type { TlsOptions } from 'node:tls'

import { Wire } from './wire.ts'

/** A server on a free port; `await using` closes it with all its sockets. */
export class TestServer implements AsyncDisposable {
  /** Connections accepted so far. */
  accepted = 0
  protected readonly server: Server
  readonly #sockets = new Set<Socket>()

  constructor(server: Server) {
    this.server = server
    server.on('connection', (socket: Socket) => {
      this.accepted++
      this.keep(socket)
    })
    server.on('tlsClientError', () => undefined)
  }

  /** Calls back for each request that wants another protocol. */
  onUpgrade(listener: (request: IncomingMessage, socket: Duplex, head: Buffer) => void): void {
    this.server.on('upgrade', listener)
  }

  /** Destroys a socket with the server, if it is not closed before. */
  keep(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on('error', () => undefined)
    socket.once('close', () => this.#sockets.delete(socket))
  }

  get port(): number {
    // Boundary: a server on a port has an AddressInfo.
    return (this.server.address() as AddressInfo).port
  }

  /** `127.0.0.1:PORT`. */
  get authority(): string {
    // Boundary: as above.
    const { address, port } = this.server.address() as AddressInfo
    return `${address.includes(':') ? `[${address}]` : address}:${port}`
  }

  async listen(host = '127.0.0.1', port = 0): Promise<this> {
    this.server.listen(port, host)
    await once(this.server, 'listening')
    return this
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.server, 'close')
    this.server.close()
    for (const socket of this.#sockets) socket.destroy()
    await closed
  }
}

/** A server whose connections are wires. */
export class WireServer extends TestServer {
  readonly #waiting: Wire[] = []
  readonly #takers: ((wire: Wire) => void)[] = []

  constructor(server: Server, event: 'connection' | 'secureConnection') {
    super(server)
    server.on(event, (socket: Socket) => {
      const wire = new Wire(socket)
      const taker = this.#takers.shift()
      if (taker) taker(wire)
      else this.#waiting.push(wire)
    })
  }

  /** The next connection that was not asked for yet; in TLS, after its handshake. */
  next(): Promise<Wire> {
    const wire = this.#waiting.shift()
    return wire ? Promise.resolve(wire) : new Promise((resolve) => this.#takers.push(resolve))
  }
}

/** Listens, and hands every connection out by {@link WireServer.next}. */
export function wireServer(host?: string): Promise<WireServer> {
  return new WireServer(createServer({ allowHalfOpen: true, noDelay: true }), 'connection').listen(host)
}

/** As {@link wireServer}, in TLS. */
export function tlsWireServer(options: TlsOptions): Promise<WireServer> {
  return new WireServer(createTlsServer({ allowHalfOpen: true, ...options }), 'secureConnection').listen()
}

/** What an {@link HttpServer} answers with. */
export type HttpHandler = (request: IncomingMessage, response: ServerResponse) => void

/** An HTTP server that keeps what it was asked. */
export class HttpServer extends TestServer {
  /** `METHOD url` of each request so far. */
  readonly requests: string[]
  readonly #scheme: string

  constructor(handler: HttpHandler, tls?: TlsOptions) {
    const requests: string[] = []
    const listener: HttpHandler = (request, response) => {
      requests.push(`${request.method} ${request.url}`)
      handler(request, response)
    }
    super(tls ? createHttpsServer(tls, listener) : createHttpServer(listener))
    this.requests = requests
    this.#scheme = tls ? 'https' : 'http'
  }

  /** Is given the secrets of each TLS handshake, line by line. */
  onKeyLog(listener: (line: Buffer) => void): void {
    this.server.on('keylog', listener)
  }

  /** `http://127.0.0.1:PORT`, or https. */
  get origin(): string {
    return `${this.#scheme}://${this.authority}`
  }
}

/** An HTTP server; in TLS with `tls`. Without a handler it answers `METHOD url`. */
export function httpServer(handler: HttpHandler = sayRequest, tls?: TlsOptions): Promise<HttpServer> {
  return new HttpServer(handler, tls).listen()
}

function sayRequest(request: IncomingMessage, response: ServerResponse): void {
  response.end(`${request.method} ${request.url}`)
}

/** A port of the loopback interface on which nobody listens. */
export async function closedPort(): Promise<number> {
  const server = await new TestServer(createServer()).listen()
  const { port } = server
  await server[Symbol.asyncDispose]()
  return port
}
