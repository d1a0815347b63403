/** One server of HTTP/2, and the ways to it: straight, and through a mitm that relays it or takes it apart. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createSecureServer, createServer } from 'node:http2'
import type { ClientHttp2Session, ClientHttp2Stream, ServerHttp2Session, ServerHttp2Stream } from 'node:http2'
import type { SecureServerOptions, Settings } from 'node:http2'

import { startMitm } from '../test-mitm.ts'
import type { TestMitm, TestMitmOptions } from '../test-mitm.ts'
import { connectTo, secureWire, socksTo, tunnelTo } from './clients.ts'
import { sessionOver } from './http2.ts'
import type { Http2Door } from './http2.ts'
import { identityFor, originAuthority } from './identity.ts'
import { TestServer } from './servers.ts'
import type { Wire } from './wire.ts'

/** The name under which the server is asked for. */
const STAGE_NAME = 'api.test'

/**
 * A way to the server: without a mitm, relayed as octets, taken apart with the server asked first, or taken apart with the
 * server asked when a request needs it.
 */
export type Way = 'direct' | 'relay' | 'bridge' | 'late bridge'

/** Those through a mitm. */
export const WAYS: readonly Way[] = ['relay', 'bridge', 'late bridge']

/** What answers a stream. @param raw - Names and values as they came, with the pseudo-fields */
export type StageHandler = (stream: ServerHttp2Stream, raw: readonly string[], flags: number) => void

/** How a stage is set up. */
export interface StageOptions {
  /** Of the server. */
  readonly settings?: Settings
  /** Whether there is no TLS: the client knows beforehand that the server speaks HTTP/2. */
  readonly isClear?: boolean
  readonly mitm?: TestMitmOptions
}

/** A server, and a mitm before it; `await using` closes both, and all sessions. */
export class Http2Stage implements AsyncDisposable {
  readonly server: TestServer
  readonly mitm: TestMitm
  readonly isClear: boolean
  /** The sessions of the server so far. */
  readonly serverSessions: ServerHttp2Session[]
  /** What answers. */
  handler: StageHandler = (stream) => stream.respond({ ':status': 204 }, { endStream: true })
  readonly #sessions: ClientHttp2Session[] = []
  readonly #authorities: { readonly server: string; readonly mitm: string }

  private constructor(parts: {
    server: TestServer
    mitm: TestMitm
    isClear: boolean
    serverSessions: ServerHttp2Session[]
    authorities: { readonly server: string; readonly mitm: string }
  }) {
    this.server = parts.server
    this.mitm = parts.mitm
    this.isClear = parts.isClear
    this.serverSessions = parts.serverSessions
    this.#authorities = parts.authorities
  }

  /** Starts a server and a mitm. */
  static async open({ settings, isClear = false, mitm: options = {} }: StageOptions = {}): Promise<Http2Stage> {
    const serverSessions: ServerHttp2Session[] = []
    const of: SecureServerOptions = { ...(settings && { settings }), maxSessionMemory: 100, maxHeaderListPairs: 4000 }
    const http2 = isClear ? createServer(of) : createSecureServer({ ...of, ...(await identityFor(STAGE_NAME)) })
    http2.on('session', (session) => {
      serverSessions.push(session)
      session.on('error', () => undefined)
    })
    const server = await new TestServer(http2).listen()
    const { certificate } = await originAuthority()
    const mitm = await startMitm({
      ...options,
      hosts: { [STAGE_NAME]: server.authority, ...options.hosts },
      upstream: { ca: certificate, ...options.upstream },
    })
    const authority = await mitm.certificateAuthority()
    const authorities = { server: certificate, mitm: authority.certificate }
    const stage = new Http2Stage({ server, mitm, isClear, serverSessions, authorities })
    http2.on('stream', (stream: ServerHttp2Stream, _: unknown, flags: number, raw: readonly string[]) => {
      stream.on('error', () => undefined)
      stage.handler(stream, raw, flags)
    })
    return stage
  }

  /** `api.test:443`, or `api.test:80`. */
  get authority(): string {
    return `${STAGE_NAME}:${this.isClear ? 80 : 443}`
  }

  /** Has the mitm do it in this way from now on, and opens what leads to the server: a socket, in TLS if it speaks that. */
  async wire(way: Way, door: Http2Door = 'CONNECT'): Promise<Wire> {
    this.take(way)
    const plain = await this.#plain(way, door)
    plain.socket.allowHalfOpen = false
    if (this.isClear) return plain
    const ca = way === 'direct' ? this.#authorities.server : this.#authorities.mitm
    return await secureWire(plain, { servername: STAGE_NAME, ca, ALPNProtocols: ['h2'] })
  }

  /** Has the mitm do it in this way from now on. Every rule that was made before is taken out. */
  take(way: Way): void {
    this.mitm.reset()
    // Neither is ever for a request that is made.
    if (way === 'bridge') this.mitm.get(`**://${STAGE_NAME}/for-nobody`).rewriteRequest({ headers: { a: 'b' } })
    if (way === 'late bridge') this.mitm.get(`**://${STAGE_NAME}/for-nobody`).respond(200)
  }

  /** Opens a session in this way. */
  async session(way: Way, door: Http2Door = 'CONNECT', settings?: Settings): Promise<ClientHttp2Session> {
    const wire = await this.wire(way, door)
    wire.socket.removeAllListeners('data')
    return this.keep(sessionOver(wire.socket, `${this.isClear ? 'http' : 'https'}://${STAGE_NAME}`, settings))
  }

  /** Destroys a session at the end. */
  keep(session: ClientHttp2Session): ClientHttp2Session {
    this.#sessions.push(session)
    return session
  }

  /** The session of the server that was made last. */
  get serverSession(): ServerHttp2Session {
    const session = this.serverSessions.at(-1)
    if (!session) throw new Error('The server has no session')
    return session
  }

  /** Resolves when so many exchanges have ended. @throws when they have not in time */
  async ended(count: number): Promise<void> {
    const isMet = (): true | undefined =>
      this.mitm.exchanges.filter(({ endReason }) => endReason !== undefined).length >= count || undefined
    const { state } = await this.mitm.changes.until(isMet, { timeoutMs: 8000 })
    if (state !== 'met') throw new Error(`Waited for ${count} exchanges to end: ${this.mitm.exchanges.join(', ')}`)
  }

  async #plain(way: Way, door: Http2Door): Promise<Wire> {
    if (way === 'direct') return await connectTo(this.server)
    if (door === 'CONNECT') return await tunnelTo(this.mitm, this.authority)
    return await socksTo(this.mitm, STAGE_NAME, this.isClear ? 80 : 443)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.#sessions) session.destroy()
    await this.mitm.close()
    for (const session of this.serverSessions) session.destroy()
    await this.server[Symbol.asyncDispose]()
  }
}

/** A body, in short: its length, and a hash of it. */
export interface BodyFacts {
  readonly length: number
  readonly hash: string
}

/** What is told of a body. */
export function factsOf(body: Buffer): BodyFacts {
  return { length: body.length, hash: createHash('sha256').update(body).digest('base64') }
}

/** All that a client heard on a stream, or a server of a request, in order. */
export interface Heard {
  /** The kind of each head that came, and its names and values, without `date`. */
  readonly heads: readonly (readonly [string, readonly string[]])[]
  readonly body: BodyFacts
  readonly isWhole: boolean
  /** Of RST_STREAM; 0 is its absence, too. */
  readonly code: number
}

/** Resolves with all that a client hears on a stream, when it is over. Never rejects. */
export function heardOn(stream: ClientHttp2Stream): Promise<Heard> {
  const heads: [string, readonly string[]][] = []
  const note =
    (kind: string) =>
    (_: unknown, __: unknown, raw: readonly string[]): void => {
      heads.push([kind, raw])
    }
  stream.on('headers', note('interim'))
  stream.on('response', note('response'))
  stream.on('trailers', note('trailers'))
  return heardBody(stream, heads)
}

/** Resolves with what a server hears of a request, when the stream is over. Never rejects. */
export function heardBy(stream: ServerHttp2Stream, raw: readonly string[]): Promise<Heard> {
  const heads: [string, readonly string[]][] = [['request', raw]]
  stream.on('trailers', (_: unknown, __: unknown, trailers: readonly string[]) => heads.push(['trailers', trailers]))
  return heardBody(stream, heads)
}

async function heardBody(
  stream: ClientHttp2Stream | ServerHttp2Stream,
  heads: readonly (readonly [string, readonly string[]])[],
): Promise<Heard> {
  const chunks: Buffer[] = []
  let isWhole = false
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  stream.on('end', () => (isWhole = !stream.aborted))
  stream.on('error', () => undefined)
  if (!stream.destroyed) await once(stream, 'close').catch(() => undefined)
  const code = stream.rstCode ?? 0
  return { heads, body: factsOf(Buffer.concat(chunks)), isWhole: isWhole && code === 0, code }
}
