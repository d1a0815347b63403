/** The same rules before the same server, in each version of HTTP that client and server may speak. */
import { once } from 'node:events'
import { Agent, request as requestHttp1 } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { createSecureServer } from 'node:http2'
import type { ClientHttp2Session, Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'

import { startMitm } from '../test-mitm.ts'
import type { TestMitm, TestMitmOptions } from '../test-mitm.ts'
import { secureWire, tunnelTo } from './clients.ts'
import { responseOf, sessionOver } from './http2.ts'
import { identityFor, originAuthority } from './identity.ts'
import { TestServer } from './servers.ts'

/** Who speaks which version. */
export interface Versions {
  readonly name: string
  readonly client: 'http/1.1' | 'h2'
  readonly server: 'http/1.1' | 'h2'
}

/** All that there are. */
export const VERSIONS: readonly Versions[] = [
  { name: 'HTTP/1.1', client: 'http/1.1', server: 'http/1.1' },
  { name: 'HTTP/2', client: 'h2', server: 'h2' },
  { name: 'HTTP/2 to a server of HTTP/1.1', client: 'h2', server: 'http/1.1' },
  { name: 'HTTP/1.1 to a server of HTTP/2', client: 'http/1.1', server: 'h2' },
]

/** What a client sends, beside the path. */
export interface Asking {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string | string[]>>
  readonly body?: string | Buffer
}

/** What a client gets, in words that all versions have. Names are in lower case. */
export interface Got {
  readonly status: number
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body: Buffer
  readonly trailers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly interim: readonly number[]
}

/** What answers at a server, whichever version it speaks. */
export type VersionHandler = (
  request: IncomingMessage | Http2ServerRequest,
  response: Pick<Http2ServerResponse, 'statusCode' | 'setHeader' | 'write' | 'end' | 'addTrailers' | 'stream'>,
  body: Buffer,
) => void

/** How a scene is set up. */
export interface SceneOptions {
  /** Of every server. @defaultValue says what it was asked: `GET /path body` */
  readonly handler?: VersionHandler
  readonly mitm?: TestMitmOptions
}

const NAMES = ['a.test', 'b.test'] as const

/** Two servers, `a.test` and `b.test`, and a mitm before them; `await using` closes all, and the clients. */
export class Scene implements AsyncDisposable {
  readonly mitm: TestMitm
  /** `a.test GET /path` of each request that a server has got. */
  readonly requests: string[] = []
  readonly #versions: Versions
  readonly #ca: string
  readonly #servers: readonly TestServer[]
  readonly #sockets: TLSSocket[] = []
  readonly #agents: Agent[] = []
  #session: ClientHttp2Session | undefined

  private constructor(parts: {
    readonly versions: Versions
    readonly mitm: TestMitm
    readonly ca: string
    readonly servers: readonly TestServer[]
    readonly requests: string[]
  }) {
    this.#versions = parts.versions
    this.mitm = parts.mitm
    this.#ca = parts.ca
    this.#servers = parts.servers
    this.requests = parts.requests
  }

  static async open(
    versions: Versions,
    { handler = sayRequest, mitm: options = {} }: SceneOptions = {},
  ): Promise<Scene> {
    const requests: string[] = []
    const servers = await Promise.all(NAMES.map((name) => serverOf(versions, name, handler, requests)))
    const { certificate } = await originAuthority()
    const hosts = Object.fromEntries(NAMES.map((name, at) => [name, servers[at]?.authority ?? '']))
    const mitm = await startMitm({ hosts, upstream: { ca: certificate }, ...options })
    // A client has the version of its server, unless the server might not be asked at all. It is for nobody.
    if (versions.client !== versions.server) mitm.get('https://a.test/for-nobody').respond(200)
    const { certificate: ca } = await mitm.certificateAuthority()
    return new Scene({ versions, mitm, ca, servers, requests })
  }

  /** Connections that the server `a.test` has accepted. */
  get accepted(): number {
    return this.#servers[0]?.accepted ?? 0
  }

  /** Asks `a.test` for something, on the connection that there is. @throws when the response breaks off */
  async ask(path: string, asking: Asking = {}): Promise<Got> {
    return await (this.#versions.client === 'h2' ? this.#ask2(path, asking) : this.#ask1(path, asking))
  }

  async #ask2(path: string, { method = 'GET', headers = {}, body }: Asking): Promise<Got> {
    if (!this.#session || this.#session.destroyed || this.#session.closed) {
      this.#session = sessionOver(await this.#secured(), 'https://a.test')
    }
    // A boundary: the types know no field that comes twice, such as Cookie.
    const given = headers as Readonly<Record<string, string>>
    const all = { ':authority': 'a.test', ':path': path, ':method': method, ...given }
    const stream = this.#session.request(all, { endStream: body === undefined })
    const response = responseOf(stream)
    if (body !== undefined) stream.end(body)
    const { status, headers: got, body: text, trailers, interim } = await response
    return { status, headers: got, body: Buffer.from(text, 'latin1'), trailers, interim }
  }

  async #ask1(path: string, { method = 'GET', headers = {}, body }: Asking): Promise<Got> {
    const agent = await this.#agent()
    const request = requestHttp1({ agent, path, method, headers: { host: 'a.test', ...headers } })
    const interim: number[] = []
    // One behind the head of the response is told by that as well.
    request.on('error', () => undefined)
    request.on('information', ({ statusCode }) => interim.push(statusCode))
    request.end(body)
    // A boundary: the event has this argument.
    const [response] = (await once(request, 'response')) as [IncomingMessage]
    const chunks: Buffer[] = []
    for await (const chunk of response) chunks.push(chunk as Buffer)
    const { statusCode = 0, headers: got, trailers } = response
    return { status: statusCode, headers: got, body: Buffer.concat(chunks), trailers, interim }
  }

  async #agent(): Promise<Agent> {
    const last = this.#agents.at(-1)
    if (last && !this.#sockets.at(-1)?.destroyed) return last
    const socket = await this.#secured()
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    Object.assign(agent, { createConnection: (): Duplex => socket })
    this.#agents.push(agent)
    return agent
  }

  async #secured(): Promise<TLSSocket> {
    const wire = await tunnelTo(this.mitm, 'a.test:443')
    wire.socket.allowHalfOpen = false
    const { client } = this.#versions
    const { socket } = await secureWire(wire, { servername: 'a.test', ca: this.#ca, ALPNProtocols: [client] })
    if (socket.alpnProtocol !== client) throw new Error(`The client speaks ${socket.alpnProtocol}`)
    socket.removeAllListeners('data')
    this.#sockets.push(socket)
    return socket
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#session?.destroy()
    for (const agent of this.#agents) agent.destroy()
    for (const socket of this.#sockets) socket.destroy()
    await this.mitm.close()
    for (const server of this.#servers) await server[Symbol.asyncDispose]()
  }
}

async function serverOf(
  { server }: Versions,
  name: string,
  handler: VersionHandler,
  requests: string[],
): Promise<TestServer> {
  const http = createSecureServer({
    ...(await identityFor(name)),
    allowHTTP1: server === 'http/1.1',
    ALPNProtocols: [server],
  })
  http.on('session', (session) => session.on('error', () => undefined))
  http.on('request', (request: Http2ServerRequest, response: Http2ServerResponse) => {
    requests.push(`${name} ${request.method} ${request.url}`)
    const chunks: Buffer[] = []
    request.on('error', () => undefined)
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => handler(request, response, Buffer.concat(chunks)))
  })
  return await new TestServer(http).listen()
}

const sayRequest: VersionHandler = ({ method, url }, response, body) => {
  response.end(`${method} ${url}${body.length > 0 ? ` ${body}` : ''}`)
}
