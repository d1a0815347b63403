/** HTTP/2 clients and servers as tests need them: those of Node, through the doors of a mitm. */
import { connect as connectHttp2, createServer } from 'node:http2'
import type {
  ClientHttp2Session,
  ClientHttp2Stream,
  IncomingHttpHeaders,
  OutgoingHttpHeaders,
  ServerHttp2Stream,
  ServerOptions,
  Settings,
} from 'node:http2'
import type { Duplex } from 'node:stream'

import { socksTo, tunnelTo } from './clients.ts'
import type { ProxyAddress } from './clients.ts'
import { TestServer } from './servers.ts'

/** What answers the streams of a server. */
export type StreamHandler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number) => void

/** Listens in cleartext. Errors of streams and sessions, which come of clients that go away, are of no interest. */
export function http2Server(handler: StreamHandler, options: ServerOptions = {}): Promise<TestServer> {
  const server = createServer({ maxSessionMemory: 100, ...options })
  server.on('session', (session) => session.on('error', () => undefined))
  server.on('stream', (stream, headers, flags) => {
    stream.on('error', () => undefined)
    handler(stream, headers, flags)
  })
  return new TestServer(server).listen()
}

/** A way into a mitm. */
export type Http2Door = 'CONNECT' | 'SOCKS5'

/** Opens a session through a mitm, in cleartext. */
export async function http2Through(
  mitm: ProxyAddress,
  authority: string,
  door: Http2Door = 'CONNECT',
): Promise<ClientHttp2Session> {
  const [host = '', port] = authority.split(':')
  const wire = door === 'SOCKS5' ? await socksTo(mitm, host, Number(port)) : await tunnelTo(mitm, authority)
  wire.socket.removeAllListeners('data')
  // As sockets are that Node makes itself: its sessions wait for the end of both halves.
  wire.socket.allowHalfOpen = false
  return sessionOver(wire.socket, `http://${authority}`)
}

/** A session over a stream. Its errors are told by its streams, and by its end. */
export function sessionOver(stream: Duplex, origin: string, settings?: Settings): ClientHttp2Session {
  const session = connectHttp2(origin, {
    createConnection: () => stream,
    maxSessionMemory: 100,
    maxHeaderListPairs: 4000,
    ...(settings && { settings }),
  })
  session.on('error', () => undefined)
  return session
}

/** What a client got of a response. */
export interface Http2Response {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly trailers: IncomingHttpHeaders
  /** Statuses of `1xx` before it. */
  readonly interim: readonly number[]
}

/** Sends a request, and resolves with its response. @throws the error of the stream, such as one with the code of a reset */
export function request(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  body?: string | Buffer,
): Promise<Http2Response> {
  const stream = session.request(headers, { endStream: body === undefined })
  if (body !== undefined) stream.end(body)
  return responseOf(stream)
}

/** Resolves with the response to a request that was sent. @throws as {@link request} */
export function responseOf(stream: ClientHttp2Stream): Promise<Http2Response> {
  return new Promise((resolve, reject) => {
    let headers: IncomingHttpHeaders = {}
    let trailers: IncomingHttpHeaders = {}
    const interim: number[] = []
    const chunks: Buffer[] = []
    let hasEnded = false
    stream.on('headers', (each: IncomingHttpHeaders & { ':status'?: number }) => interim.push(Number(each[':status'])))
    stream.on('response', (each) => (headers = each))
    stream.on('trailers', (each) => (trailers = each))
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('end', () => (hasEnded = true))
    stream.on('error', reject)
    stream.on('close', () => {
      const body = Buffer.concat(chunks).toString('latin1')
      if (hasEnded && stream.rstCode === 0) {
        resolve({ status: Number(headers[':status']), headers, body, trailers, interim })
      } else reject(new Error(`The stream was closed with code ${stream.rstCode}`))
    })
  })
}
