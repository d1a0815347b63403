/** Servers of the tests' own, that note what reached them. */
import { createServer as createHttpServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createSecureServer as createHttp2Server } from 'node:http2'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo, Server, Socket } from 'node:net'
import type { SecureContext } from 'node:tls'
import type { CertificateAuthority } from 'playwright-mitm/core'

/** A request that reached a server. */
export interface Arrival {
  readonly method: string
  readonly url: string
  readonly rawHeaders: readonly string[]
  readonly body: string
}

/** A running server. */
export interface Origin extends AsyncDisposable {
  readonly port: number
  /** The requests that have come whole, in their order. */
  readonly arrivals: readonly Arrival[]
  /** How many connections were made to it. */
  readonly connectionCount: number
  readonly server: Server
  close(): Promise<void>
}

/** What a path is answered with: a body (its type is guessed), or by a function. */
export type Answer = string | ((request: IncomingMessage, response: ServerResponse, body: string) => void)

/** How a server is started. */
export interface OriginOptions {
  /** By path, without the query. Everything else is answered with 404. */
  answers: Readonly<Record<string, Answer>>
  /** Who signs for the names that clients ask for; plain HTTP without one. */
  authority?: Pick<CertificateAuthority, 'contextFor'>
  /** Whether it speaks HTTP/2 as well, with clients that ask for it in the TLS handshake. @defaultValue false */
  http2?: boolean
}

/** Starts a server on a free port of the loopback interface. */
export async function startOrigin({ answers, authority, http2 = false }: OriginOptions): Promise<Origin> {
  const arrivals: Arrival[] = []
  const sockets = new Set<Socket>()
  let connectionCount = 0
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { method = '', url = '', rawHeaders } = request
      const body = Buffer.concat(chunks).toString()
      arrivals.push({ method, url, rawHeaders, body })
      reply(answers[url.replace(/\?.*/s, '')], request, response, body)
    })
  }
  const server = authority ? startSecure(authority, listener, http2) : createHttpServer(listener)
  server.on('connection', (socket: Socket) => {
    connectionCount++
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const close = async (): Promise<void> => {
    await new Promise<void>((resolve) => {
      server.close(() => resolve())
      for (const socket of sockets) socket.destroy()
    })
  }
  return {
    // A server that listens on a port has an address with one.
    port: (server.address() as AddressInfo).port,
    arrivals,
    get connectionCount() {
      return connectionCount
    },
    server,
    close,
    [Symbol.asyncDispose]: close,
  }
}

type Listener = (request: IncomingMessage, response: ServerResponse) => void

function startSecure(authority: Pick<CertificateAuthority, 'contextFor'>, listener: Listener, http2: boolean): Server {
  const options = {
    SNICallback: (name: string, done: Parameters<typeof contextOf>[2]) => void contextOf(authority, name, done),
  }
  if (!http2) return createHttpsServer(options, listener)
  // Boundary: Node's requests and responses of HTTP/2 are made to be used like those of HTTP/1.
  return createHttp2Server({ ...options, allowHTTP1: true }, listener as never)
}

async function contextOf(
  authority: Pick<CertificateAuthority, 'contextFor'>,
  name: string,
  done: (error: Error | null, context?: SecureContext) => void,
): Promise<void> {
  try {
    done(null, await authority.contextFor(name))
  } catch (error) {
    done(error instanceof Error ? error : new Error(String(error)))
  }
}

function reply(answer: Answer | undefined, request: IncomingMessage, response: ServerResponse, body: string): void {
  if (typeof answer === 'function') return answer(request, response, body)
  if (answer === undefined) return void response.writeHead(404, { 'content-type': 'text/plain' }).end('not here')
  response.writeHead(200, { 'content-type': typeOf(request.url ?? '', answer) }).end(answer)
}

function typeOf(url: string, body: string): string {
  if (/\.m?js(?:\?|$)/.test(url)) return 'text/javascript'
  if (body.startsWith('<')) return 'text/html; charset=utf-8'
  return body.startsWith('{') || body.startsWith('[') ? 'application/json' : 'text/plain'
}
