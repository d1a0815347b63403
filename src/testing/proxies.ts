/** Proxies as companies have them: they connect to where they are asked to, over HTTP, over TLS, or by SOCKS5. */
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { connect, createServer } from 'node:net'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TlsOptions, TLSSocket } from 'node:tls'

import { readChunk } from '../internal/read-chunk.ts'
import { parseGreeting, parseRequest, parseUserPassword } from '../protocols/socks/parse.ts'
import type { ParseResult } from '../protocols/socks/parse.ts'
import { greetingReply, reply, userPasswordReply } from '../protocols/socks/write.ts'
import { TestServer } from './servers.ts'

/** How a proxy is started. */
export interface TestProxyOptions {
  /** `user:password` that it demands. @defaultValue none */
  readonly credentials?: string
  /** TLS towards its clients; for the HTTP one. */
  readonly tls?: TlsOptions
  /** Where names really are: `name:port` to `host:port`. Others are looked up. */
  readonly hosts?: Readonly<Record<string, string>>
}

/** A running proxy; `await using` closes it with all its sockets. */
export class TestProxy extends TestServer {
  /** What it was asked to connect to: `app.test:443`. */
  readonly asked: string[] = []
  /** How many requests have come, refused ones too. */
  requests = 0
  /** The names that its clients asked for in TLS. */
  readonly serverNames: (string | false | null)[] = []
  readonly #hosts: Readonly<Record<string, string>>

  constructor(server: ConstructorParameters<typeof TestServer>[0], { hosts = {} }: TestProxyOptions) {
    super(server)
    this.#hosts = hosts
  }

  /** Connects, and relays until either side is done. */
  async relay(client: Duplex, authority: string, established: Buffer, first: Buffer): Promise<boolean> {
    this.asked.push(authority)
    const target = this.#hosts[authority] ?? authority
    const at = target.lastIndexOf(':')
    const host = target.slice(0, at).replace(/^\[|\]$/g, '')
    const server = connect({ host, port: Number(target.slice(at + 1)), allowHalfOpen: true })
    this.keep(server)
    const failed = await once(server, 'connect').then(
      () => false,
      () => true,
    )
    if (failed) return false
    client.write(established)
    server.write(first)
    relayEnds(client, server)
    return true
  }
}

function relayEnds(client: Duplex, server: Socket): void {
  client.pipe(server)
  server.pipe(client)
  client.on('error', () => server.resetAndDestroy())
  server.on('error', () => client.destroy())
}

/** An HTTP proxy: CONNECT only. With `tls` an HTTPS one. */
export function httpProxy(options: TestProxyOptions = {}): Promise<TestProxy> {
  const { credentials, tls } = options
  const expected = credentials && `Basic ${Buffer.from(credentials).toString('base64')}`
  // As the other one has it by itself.
  const halfOpen = { allowHalfOpen: true }
  const server = tls ? createHttpsServer({ ...tls, ...halfOpen }) : createHttpServer()
  const proxy = new TestProxy(server, options)
  server.on('secureConnection', ({ servername }: TLSSocket) => proxy.serverNames.push(servername))
  server.on('request', (_, response) => void response.writeHead(405).end())
  const onConnect = async (request: IncomingMessage, client: Duplex, head: Buffer): Promise<void> => {
    proxy.requests++
    client.on('error', () => undefined)
    if (expected && request.headers['proxy-authorization'] !== expected) {
      client.end('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n')
      return
    }
    const isOpen = await proxy.relay(client, request.url ?? '', Buffer.from('HTTP/1.1 200 OK\r\n\r\n'), head)
    if (!isOpen) client.end('HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n')
  }
  // Fails by itself in no case: all that it does to the sockets is told by their events.
  server.on('connect', (request, client, head) => void onConnect(request, client, head))
  return proxy.listen()
}

/** A SOCKS5 proxy. */
export function socksProxy(options: TestProxyOptions = {}): Promise<TestProxy> {
  const server = createServer({ allowHalfOpen: true })
  const proxy = new TestProxy(server, options)
  server.on('connection', (client: Socket) => {
    client.on('error', () => undefined)
    serveSocks(proxy, client, options.credentials).catch(() => client.destroy())
  })
  return proxy.listen()
}

async function serveSocks(proxy: TestProxy, client: Socket, credentials: string | undefined): Promise<void> {
  let octets: Buffer = Buffer.alloc(0)
  const take = async <T>(parse: (octets: Buffer) => ParseResult<T>): Promise<T> => {
    for (;;) {
      const result = parse(octets)
      if (result !== 'incomplete') {
        octets = octets.subarray(result.length)
        return result.value
      }
      const chunk = await readChunk(client)
      if (typeof chunk === 'string') throw new Error('The client left')
      octets = Buffer.concat([octets, chunk])
    }
  }
  await take(parseGreeting)
  client.write(greetingReply(credentials === undefined ? 0 : 2))
  if (credentials !== undefined) {
    const { user, password } = await take(parseUserPassword)
    const isKnown = `${user}:${password}` === credentials
    client.write(userPasswordReply(isKnown))
    if (!isKnown) {
      client.end()
      return
    }
  }
  const { host, port } = await take(parseRequest)
  const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`
  if (!(await proxy.relay(client, authority, reply(0), octets))) client.end(reply(5))
}
