/**
 * The server behind the proxies, as a process: one port for small requests, which answers every blank line, one for large
 * bodies, one for HTTP/2, and one for WebSockets.
 */
import { createSecureServer as createHttp2Server } from 'node:http2'
import { createServer as createHttpsServer } from 'node:https'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo, Server } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import type { TlsOptions } from 'node:tls'
import { callbackify } from 'node:util'

import { CertificateAuthority } from '../src/index.ts'
import { answer } from './child.ts'
import { CHUNKS_TYPE, chunksOf, sendChunks } from './chunks.ts'
import {
  BULK_HOST,
  HTTP2_HOST,
  HTTP2_RESPONSE,
  SMALL_BODY,
  SMALL_HOST,
  SMALL_RESPONSE,
  SOCKET_ECHO,
  SOCKET_HOST,
  SOCKET_MESSAGE,
  SOCKET_RESPONSE,
} from './messages.ts'

/** What the origin has. */
export interface OriginFacts {
  /** The authority that signs everything here, in PEM. */
  readonly ca: string
  readonly caKey: string
  readonly smallPort: number
  readonly bulkPort: number
  readonly http2Port: number
  readonly socketPort: number
}

export type OriginCalls = {
  start: { input: null; output: OriginFacts }
  /** Makes the certificates of these names now, so that it costs nothing later. */
  prepare: { input: readonly string[]; output: null }
}

/** How long a stream of HTTP/2 is thought about. */
const MAX_ANSWER_MS = 5
const BLANK_LINE = Buffer.from('\r\n\r\n')
const CHUNK = Buffer.alloc(65_536, 'x')

function startSmall(options: TlsOptions): Promise<number> {
  const server = createTlsServer({ ...options, noDelay: true, ALPNProtocols: ['http/1.1'] }, (socket) => {
    let rest: Buffer = Buffer.alloc(0)
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk: Buffer) => {
      const octets = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk
      let from = 0
      for (let at = octets.indexOf(BLANK_LINE); at !== -1; at = octets.indexOf(BLANK_LINE, from)) {
        from = at + BLANK_LINE.length
        socket.write(SMALL_RESPONSE)
      }
      rest = octets.subarray(from)
    })
  })
  return listen(server)
}

/** `GET /chunks/COUNT` is answered with as many chunks, `GET /SIZE` with as many octets, `POST` with the number of octets that came. */
async function onBulk(request: IncomingMessage, response: ServerResponse): Promise<void> {
  let received = 0
  for await (const chunk of request) received += (chunk as Buffer).length
  if (request.method === 'POST') {
    response.end(String(received))
    return
  }
  const url = request.url ?? ''
  const chunkCount = chunksOf(url)
  if (chunkCount !== undefined) {
    response.writeHead(200, { 'content-type': CHUNKS_TYPE })
    return sendChunks(response, chunkCount)
  }
  let left = Number(url.slice(1))
  response.setHeader('content-length', left)
  response.setHeader('content-type', 'application/octet-stream')
  const writeMore = (): void => {
    while (left > 0) {
      const chunk = left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK
      left -= chunk.length
      if (!response.write(chunk)) break
    }
    if (left === 0) response.end()
    else response.once('drain', writeMore)
  }
  writeMore()
}

/** Takes the handshake of a WebSocket, and answers each message. */
function startSockets(options: TlsOptions): Promise<number> {
  const server = createTlsServer({ ...options, noDelay: true, ALPNProtocols: ['http/1.1'] }, (socket) => {
    let rest: Buffer = Buffer.alloc(0)
    let isOpen = false
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk: Buffer) => {
      let octets = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk
      if (!isOpen) {
        const at = octets.indexOf(BLANK_LINE)
        if (at === -1) {
          rest = octets
          return
        }
        isOpen = true
        octets = octets.subarray(at + BLANK_LINE.length)
        socket.write(SOCKET_RESPONSE)
      }
      for (; octets.length >= SOCKET_MESSAGE.length; octets = octets.subarray(SOCKET_MESSAGE.length)) {
        socket.write(SOCKET_ECHO)
      }
      rest = octets
    })
  })
  return listen(server)
}

function startBulk(options: TlsOptions): Promise<number> {
  const server = createHttpsServer(options, (request, response) => {
    // A client that went away is no news here: the load tells what it has got.
    onBulk(request, response).catch(() => response.destroy())
  })
  return listen(server)
}

function startHttp2(options: TlsOptions): Promise<number> {
  const server = createHttp2Server({ ...options, settings: { maxConcurrentStreams: 1000 } })
  server.on('sessionError', () => undefined)
  server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined)
    const chunkCount = chunksOf(headers[':path'] ?? '')
    if (chunkCount !== undefined) {
      stream.respond({ ':status': 200, 'content-type': CHUNKS_TYPE })
      sendChunks(stream, chunkCount).catch(() => stream.destroy())
      return
    }
    // Each at a time of its own: answered all at once, a hundred requests and responses would go in one chunk each way.
    setTimeout(() => {
      if (stream.destroyed) return
      stream.respond(HTTP2_RESPONSE)
      stream.end(SMALL_BODY)
    }, Math.random() * MAX_ANSWER_MS)
  })
  return listen(server)
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve) => {
    // A server that listens on a port has an address of this kind.
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port))
  })
}

const authority = await CertificateAuthority.create()

answer<OriginCalls>({
  start: async () => {
    const SNICallback = callbackify((name: string) => authority.contextFor(name))
    await Promise.all([SMALL_HOST, BULK_HOST, HTTP2_HOST, SOCKET_HOST].map((name) => authority.contextFor(name)))
    return {
      ca: authority.certificate,
      caKey: authority.privateKey,
      smallPort: await startSmall({ SNICallback }),
      bulkPort: await startBulk({ SNICallback }),
      http2Port: await startHttp2({ SNICallback }),
      socketPort: await startSockets({ SNICallback }),
    }
  },
  prepare: async (names) => {
    await Promise.all(names.map((name) => authority.contextFor(name)))
    return null
  },
})
