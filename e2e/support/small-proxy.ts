/** An HTTP proxy of the tests' own, such as companies have: CONNECT only, with a password if wanted. */
import { createServer } from 'node:http'
import { connect } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

/** A running proxy. */
export interface SmallProxy extends AsyncDisposable {
  readonly port: number
  /** What it was asked to connect to: `app.test:443`. */
  readonly asked: readonly string[]
}

/** How it is started. */
export interface SmallProxyOptions {
  /** Where names really go: it leads all of them to this port of 127.0.0.1. */
  toPort: number
  /** `user:password` that it demands. */
  credentials?: string
}

/** Starts a proxy on a free port of the loopback interface. */
export async function startSmallProxy({ toPort, credentials }: SmallProxyOptions): Promise<SmallProxy> {
  const asked: string[] = []
  const sockets = new Set<Socket>()
  const expected = credentials && `Basic ${Buffer.from(credentials).toString('base64')}`
  const server = createServer((_, response) => void response.writeHead(405).end())
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
  })
  server.on('connect', (request, client, head) => {
    asked.push(request.url ?? '')
    if (expected && request.headers['proxy-authorization'] !== expected) {
      client.end('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n')
      return
    }
    const upstream = connect(toPort, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n')
      upstream.write(head)
      upstream.pipe(client)
      client.pipe(upstream)
    })
    sockets.add(upstream)
    upstream.on('error', () => client.destroy())
    client.on('error', () => upstream.destroy())
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    // A server that listens on a port has an address with one.
    port: (server.address() as AddressInfo).port,
    asked,
    async [Symbol.asyncDispose]() {
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      })
    },
  }
}
