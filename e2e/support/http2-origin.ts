/** A server of the tests' own that speaks HTTP/2, and HTTP/1.1 to those who want that. */
import { createSecureServer } from 'node:http2'
import type { IncomingHttpHeaders, ServerHttp2Stream, Settings } from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import type { CertificateAuthority } from 'playwright-mitm/core'

/** What a path is answered with: a body, or by a function. */
export type StreamAnswer = string | ((stream: ServerHttp2Stream, headers: IncomingHttpHeaders, body: string) => void)

/** A running server. */
export interface Http2Origin extends AsyncDisposable {
  readonly port: number
  /** `METHOD path` of each request that has come whole, in their order. */
  readonly arrivals: readonly string[]
  /** How many connections were made to it. */
  readonly connectionCount: number
}

/** Starts a server on a free port of the loopback interface. */
export async function startHttp2Origin(
  answers: Readonly<Record<string, StreamAnswer>>,
  authority: Pick<CertificateAuthority, 'contextFor'>,
  settings: Settings = {},
): Promise<Http2Origin> {
  const arrivals: string[] = []
  const sockets = new Set<Socket>()
  let connectionCount = 0
  const server = createSecureServer({
    settings,
    SNICallback: (name, done) => {
      const answer = async (): Promise<void> => done(null, await authority.contextFor(name))
      void answer()
    },
  })
  server.on('connection', (socket: Socket) => {
    connectionCount++
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.on('sessionError', () => undefined)
  server.on('tlsClientError', () => undefined)
  server.on('stream', (stream, headers) => {
    stream.on('error', () => undefined)
    const path = headers[':path'] ?? ''
    const answer = answers[path.replace(/\?.*/s, '')]
    const respond = (body: string): void => {
      arrivals.push(`${headers[':method']} ${path}`)
      if (typeof answer === 'function') return answer(stream, headers, body)
      stream.respond({ ':status': answer === undefined ? 404 : 200, 'content-type': typeOf(path, answer ?? '') })
      stream.end(answer ?? 'not here')
    }
    // A tunnel does not end before it is answered.
    if (headers[':method'] === 'CONNECT') return respond('')
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('end', () => respond(Buffer.concat(chunks).toString()))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    // A server that listens on a port has an address with one.
    port: (server.address() as AddressInfo).port,
    arrivals,
    get connectionCount() {
      return connectionCount
    },
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      })
    },
  }
}

function typeOf(path: string, body: string): string {
  if (path.endsWith('.js')) return 'text/javascript'
  return body.startsWith('<') ? 'text/html; charset=utf-8' : 'text/plain'
}
