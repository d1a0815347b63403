/** A server that speaks HTTP/1.1 in TLS, and a mitm before it by which its clients have HTTP/2. */
import type { ClientHttp2Session, OutgoingHttpHeaders } from 'node:http2'

import type { Field } from '../exchange.ts'
import { startMitm } from '../test-mitm.ts'
import type { TestMitm, TestMitmOptions } from '../test-mitm.ts'
import { secureWire, tunnelTo } from './clients.ts'
import { FramePeer } from './frame-peer.ts'
import { request, sessionOver } from './http2.ts'
import type { Http2Response } from './http2.ts'
import { identityFor, originAuthority } from './identity.ts'
import { tlsWireServer } from './servers.ts'
import type { WireServer } from './servers.ts'
import type { Wire } from './wire.ts'

/** The name under which the server is asked for. */
export const HTTP1_NAME = 'api.test'

/** The pseudo-fields of a request, as it is sent in frames. */
export const HTTP1_GET: readonly Field[] = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':authority', HTTP1_NAME],
  [':path', '/'],
]

/** A request that its server has got. */
export interface AtServer {
  readonly head: string
  readonly server: Wire
  /** Rejects when the stream breaks. */
  readonly response: Promise<Http2Response>
}

/** A server, and a mitm before it; `await using` closes both, and all clients. */
export class Http1BehindHttp2 implements AsyncDisposable {
  readonly origin: WireServer
  readonly mitm: TestMitm
  readonly #clients: (() => void)[] = []

  private constructor(origin: WireServer, mitm: TestMitm) {
    this.origin = origin
    this.mitm = mitm
  }

  static async open(options: TestMitmOptions = {}): Promise<Http1BehindHttp2> {
    const origin = await tlsWireServer({ ...(await identityFor(HTTP1_NAME)), ALPNProtocols: ['http/1.1'] })
    const { certificate: ca } = await originAuthority()
    const mitm = await startMitm({ hosts: { [HTTP1_NAME]: origin.authority }, upstream: { ca }, ...options })
    // Whose server might not be asked at all has HTTP/2. It is for nobody.
    mitm.get(`https://${HTTP1_NAME}/for-nobody`).respond(200)
    return new Http1BehindHttp2(origin, mitm)
  }

  /** A client of Node. */
  async session(): Promise<ClientHttp2Session> {
    const { socket } = await this.#secured()
    socket.removeAllListeners('data')
    const session = sessionOver(socket, `https://${HTTP1_NAME}`)
    this.#clients.push(() => session.destroy())
    return session
  }

  /** A client that speaks in frames, and can say what it should not. */
  async frames(): Promise<FramePeer> {
    const wire = await this.#secured()
    this.#clients.push(() => wire.socket.destroy())
    return new FramePeer(wire, 'client').greet()
  }

  /** Asks for something on a connection that the server did not have before, and takes the head that it gets. */
  async ask(session: ClientHttp2Session, headers: OutgoingHttpHeaders = {}): Promise<AtServer> {
    const response = request(session, { ':authority': HTTP1_NAME, ':path': '/', ...headers })
    response.catch(() => undefined)
    const server = await this.origin.next()
    return { head: await server.until('\r\n\r\n'), server, response }
  }

  /** What a client gets of what the server sends. @throws when the stream breaks */
  async get(octets: string, headers?: OutgoingHttpHeaders): Promise<Http2Response> {
    const { server, response } = await this.ask(await this.session(), headers)
    server.write(octets)
    return await response
  }

  /** The codes of what went wrong. */
  get errors(): readonly string[] {
    return this.mitm.errors.map(({ code }) => code)
  }

  async #secured(): Promise<Wire> {
    const { certificate: ca } = await this.mitm.certificateAuthority()
    const plain = await tunnelTo(this.mitm, `${HTTP1_NAME}:443`)
    plain.socket.allowHalfOpen = false
    const wire = await secureWire(plain, { servername: HTTP1_NAME, ca, ALPNProtocols: ['h2', 'http/1.1'] })
    if (wire.socket.alpnProtocol !== 'h2') throw new Error(`The client speaks ${wire.socket.alpnProtocol}`)
    return wire
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const close of this.#clients) close()
    await this.mitm.close()
    await this.origin[Symbol.asyncDispose]()
  }
}
