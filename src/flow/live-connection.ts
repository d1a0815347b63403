/**
 * One accepted connection while it lives: its sockets, who was told of it, and its end. What a `Connection` offers to
 * protocols is done here.
 */
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'

import type {
  Connection,
  ConnectionFlow,
  ConnectionSettings,
  FlowListener,
  OtherServer,
  StreamEnd,
} from '../connection.ts'
import { MitmError } from '../errors.ts'
import type { Side } from '../errors.ts'
import { Host } from '../host.ts'
import type { IdleTimer } from '../internal/idle-timer.ts'
import { InjectedError } from '../fault-errors.ts'
import { authorityOf, isSameAuthority } from '../protocol.ts'
import type { Destination } from '../protocol.ts'
import type { SecuredServer } from '../tls/secure-server.ts'
import { lateAlpn } from './alpn.ts'
import { codedError } from './coded-error.ts'
import { closeGracefully, hiddenReset, ignore, resetSoon } from './close.ts'
import { ConnectionHooks } from './connection-hooks.ts'
import { unlessItLeaves } from './departure.ts'
import { dial, routeOf } from './dial.ts'
import type { FlowContext } from './flow-context.ts'
import { OtherServers } from './other-servers.ts'
import { passEndOn, relay, watchIdle } from './relay.ts'
import { distrustError, secureDialled } from './secure-dialled.ts'
import { unwrap } from './sniff.ts'
import { Trail } from './trail.ts'

/** The socket to a server, dialled but perhaps not yet shown as connected. */
interface ServerSocket {
  readonly destination: Destination
  readonly raw: Socket
  tls: TLSSocket | undefined
}

/** One accepted connection while it lives. */
export class LiveConnection extends ConnectionHooks implements ConnectionFlow {
  readonly settings: ConnectionSettings
  /** The socket that was accepted, below all layers. */
  readonly clientSocket: Socket
  /** The client's stream above the layers taken off so far. */
  clientStream: Duplex
  readonly #controller = new AbortController()
  readonly #gone = new Map<Host, Promise<void>>()
  #server: ServerSocket | undefined
  #isServerShown = false
  /** Servers that were let go and are still closing. */
  readonly #leaving: { readonly host: Host; readonly raw: Socket; readonly released: Promise<void> }[] = []
  readonly #resets = new Map<Socket, Promise<void>>()
  #closed: (() => void) | undefined
  #isClosing = false
  /** Who relays it at the moment, if it wants to be told of changes. */
  listener: FlowListener = {}
  readonly #others: OtherServers
  readonly #trail: Trail

  constructor(connection: Connection, clientSocket: Socket, context: FlowContext) {
    super(connection, context)
    this.settings = context.options
    this.#others = new OtherServers(this.settings.idleTimeoutMs, {
      connected: (host) => {
        connection.server = host
        return context.pipeline.observe('serverConnected', connection)
      },
      disconnected: (host) => this.#disconnected('server', host),
    })
    this.clientSocket = clientSocket
    this.#trail = new Trail(context.mitm, clientSocket)
    this.clientStream = clientSocket
    clientSocket.on('error', ignore)
    connection.attachFlow(this)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** The socket dialled for the current destination, secured or not, before or after it is shown as connected. */
  get serverStream(): Socket | undefined {
    return this.#server?.tls ?? this.#server?.raw
  }

  /** Serves the connection to its end. Never rejects. */
  async serve(): Promise<void> {
    const { connection } = this
    const closed = new Promise<void>((resolve) => {
      this.#closed = resolve
    })
    const { client } = connection
    this.clientSocket.once('close', () => void this.#disconnected('client', client))
    try {
      await this.context.pipeline.observe('clientConnected', connection)
      await Promise.race([this.unwrap(Buffer.alloc(0)), closed])
    } catch (error) {
      if (!this.#isClosing) this.#failed(error)
    }
    await this.#finish()
  }

  /** Ends the connection now. Managed hosts are destroyed, the others left alone. */
  close(): void {
    this.connection.end('mitm-closed')
    this.#isClosing = true
    this.#controller.abort()
    if (this.connection.client.mitmManaged) this.clientSocket.destroy()
    if (this.connection.server.mitmManaged) this.#server?.raw.destroy()
    for (const { host, raw } of this.#leaving) if (host.mitmManaged) raw.destroy()
    this.#others.destroy()
    this.#closed?.()
  }

  /** Resets both ends now. */
  breakOff(): void {
    this.connection.end('fault')
    this.reset('client')
    this.reset('server')
    this.#controller.abort()
    this.#closed?.()
  }

  /** Ends the connection, one side of which is gone before there is a relay. */
  abandon(side: Side, isReset: boolean): void {
    this.connection.end(`${side}-${isReset ? 'reset' : 'closed'}`)
    if (isReset) this.reset(side === 'client' ? 'server' : 'client')
    else if (!this.#isServerShown) this.#server?.raw.destroy()
    this.#controller.abort()
    this.#closed?.()
  }

  listen(listener: FlowListener): void {
    this.listener = listener
  }

  unwrap(data: Buffer): Promise<void> {
    return unwrap(this, data)
  }

  relay(first?: Buffer): Promise<void> {
    return relay(this.connection, first)
  }

  whileClientWaits<T>(work: () => Promise<T>): Promise<T> {
    return unlessItLeaves(this, 'client', work)
  }

  /** The client waits for the answer of its protocol meanwhile. */
  dial(destination: Destination): Promise<void> {
    return this.whileClientWaits(() => this.#reach(destination))
  }

  async #reach(destination: Destination): Promise<void> {
    const before = this.#server
    if (before && isSameAuthority(before.destination, destination)) {
      if (!before.raw.destroyed) return
      // It was reset before the client had said anything: another one would hide that.
      if (!this.#isServerShown) {
        this.connection.end('server-reset')
        this.reset('client')
        const authority = authorityOf(destination)
        throw new MitmError('MITM_SERVER_RESET', `The server ${authority} reset the connection before it was used`, {
          side: 'server',
          authority,
          cause: (before.tls ?? before.raw).errored ?? undefined,
        })
      }
    }
    await this.closeServer()
    this.#server = { destination, raw: await this.#dial(destination), tls: undefined }
  }

  async #dial(destination: Destination): Promise<Socket> {
    const { options, onKeyLog } = this.context
    const route = routeOf(destination, options.hosts)
    const raw = await dial(destination, route, { ...options, trail: this.#trail, signal: this.signal, onKeyLog })
    // It may be over since then: nobody would close this one.
    if (this.signal.aborted) raw.destroy()
    return raw
  }

  /** Whether the server of a destination is to be spoken to in TLS, after the `hosts` option. */
  wantsTls(destination: Destination): boolean {
    return routeOf(destination, this.context.options.hosts).tls ?? destination.tls
  }

  /**
   * Does the TLS handshake with the dialled server.
   *
   * @param serverName - The name the client asked for.
   * @param alpnProtocols - What the client offered, as far as it can be relayed.
   */
  async secure(
    destination: Destination,
    serverName: string | undefined,
    alpnProtocols: readonly string[],
  ): Promise<Pick<SecuredServer, 'socket' | 'authorizationError'>> {
    await this.#reach(destination)
    const server = this.#server
    if (!server) throw new MitmError('MITM_NOT_RUNNING', 'Cannot secure a server that is not dialled')
    if (server.tls) return { socket: server.tls, authorizationError: this.connection.serverTls?.authorizationError }
    const secured = await secureDialled(server.raw, destination, serverName, alpnProtocols, this.context)
    server.tls = secured.socket
    this.connection.serverTls = secured.facts
    return secured
  }

  /** Puts the decrypted stream in the client's place. */
  replaceClient(stream: Duplex): void {
    stream.on('error', ignore)
    this.clientStream = stream
    this.connection.client.attach(stream, stream)
  }

  /** Whether a certificate with this fault must be refused. */
  refuses(authorizationError: string | undefined): authorizationError is string {
    return authorizationError !== undefined && this.context.options.upstream.rejectUnauthorized
  }

  /** @param isRelayed - Whether TLS, if any, is the client's own, so that none is added. */
  async open(destination: Destination, isRelayed = false): Promise<void> {
    const { connection } = this
    const wantsTls = !isRelayed && this.wantsTls(destination)
    const isSecure = this.#server?.tls !== undefined
    if (
      this.#isServerShown &&
      this.#server &&
      isSameAuthority(this.#server.destination, destination) &&
      isSecure === wantsTls
    )
      return
    if (this.#isServerShown || (isSecure && !wantsTls)) await this.closeServer()
    await this.#reach(destination)
    if (wantsTls && !this.#server?.tls) await this.#secureLate(destination)
    const stream = this.serverStream
    if (!this.#server || !stream) return
    const host = connection.server
    host.attach(stream, stream)
    this.#isServerShown = true
    this.#server.raw.once('close', () => void this.#disconnected('server', host))
    if (this.context.pipeline.has('serverConnected')) await this.context.pipeline.observe('serverConnected', connection)
  }

  /** The handshake where the client had its own already (or has none), so that a bad certificate cannot be mirrored. */
  async #secureLate(destination: Destination): Promise<void> {
    const { authorizationError } = await this.secure(
      destination,
      this.#serverNameFor(destination),
      lateAlpn(this.connection.clientTls),
    )
    this.#demandTrust(destination, authorizationError)
  }

  /** The name to ask a server for, where the client has had its own handshake. */
  #serverNameFor(destination: Destination): string {
    const { clientTls, destination: own } = this.connection
    return (own?.host === destination.host ? clientTls?.serverName : undefined) ?? destination.host
  }

  #demandTrust(destination: Destination, authorizationError: string | undefined): void {
    if (this.refuses(authorizationError)) throw distrustError(authorityOf(destination), authorizationError)
  }

  async openAnother(destination: Destination, alpnProtocols: readonly string[]): Promise<OtherServer> {
    const raw = await this.#dial(destination)
    if (!this.wantsTls(destination)) return this.#others.add({ raw, tls: undefined })
    const name = this.#serverNameFor(destination)
    const secured = await secureDialled(raw, destination, name, alpnProtocols, this.context)
    try {
      this.#demandTrust(destination, secured.authorizationError)
    } catch (error) {
      secured.socket.destroy()
      throw error
    }
    this.connection.serverTls = secured.facts
    return this.#others.add({ raw, tls: secured.socket })
  }

  async closeServer(): Promise<void> {
    const server = this.#server
    if (!server) return
    const host = this.connection.server
    const wasShown = this.#isServerShown
    this.#server = undefined
    this.#isServerShown = false
    if (!wasShown) {
      server.raw.destroy()
      return
    }
    // Told while `connection.server` is still the one that goes.
    await this.#disconnected('server', host)
    this.connection.server = new Host()
    // In the background: the next server does not wait for this one to close.
    this.#leaving.push({ host, raw: server.raw, released: this.#release(host, server.raw) })
  }

  reset(side: Side): void {
    const host = this.connection[side]
    const raw = this.#rawOf(side)
    if (!host.mitmManaged || !raw || raw.destroyed || this.#resets.has(raw)) return
    this.#resets.set(raw, resetSoon(host.writer, raw))
  }

  /** Whether a side that seems to have ended was reset. */
  hasReset(side: Side): boolean {
    const raw = this.#rawOf(side)
    const stream = side === 'client' ? this.clientStream : this.serverStream
    return raw !== undefined && (Boolean(stream?.errored) || hiddenReset(raw) !== undefined)
  }

  #rawOf(side: Side): Socket | undefined {
    return side === 'client' ? this.clientSocket : this.#server?.raw
  }

  trueEnd(side: Side, end: StreamEnd): StreamEnd {
    const raw = this.#rawOf(side)
    const error = end.kind !== 'error' && raw ? hiddenReset(raw) : undefined
    return error ? { kind: 'error', error } : end
  }

  passEnd(side: Side, end: StreamEnd): boolean {
    const hasReset = (): boolean => !this.signal.aborted && this.hasReset(side)
    return passEndOn(this.connection, side, this.trueEnd(side, end), hasReset)
  }

  watchIdle(onIdle: (error: MitmError) => void): IdleTimer {
    return watchIdle(this.connection, onIdle)
  }

  /** Tells once per host that it is gone. Never rejects. */
  #disconnected(side: Side, host: Host): Promise<void> {
    let told = this.#gone.get(host)
    if (!told) {
      told = this.context.pipeline.observe(
        side === 'client' ? 'clientDisconnected' : 'serverDisconnected',
        this.connection,
      )
      this.#gone.set(host, told)
    }
    return told
  }

  #failed(error: unknown): void {
    const { connection } = this
    const coded = codedError(error, connection)
    if (coded instanceof InjectedError) connection.end('fault')
    else connection.end(coded.code === 'MITM_CLIENT_RESET' ? 'client-reset' : 'failed')
    if (this.signal.aborted) return
    this.report(coded)
    // A clean close could pass for the end of what was being relayed.
    if (!this.#isServerShown) return
    this.reset('client')
    this.reset('server')
  }

  async #finish(): Promise<void> {
    const { connection } = this
    this.#controller.abort()
    const server = this.#server
    const { client, server: serverHost } = connection
    if (!client.mitmManaged || (this.#isServerShown && !serverHost.mitmManaged)) connection.end('handed-over')
    const wasShown = this.#isServerShown
    // Together: neither end waits for the other to close.
    await Promise.all([
      ...this.#leaving.map(({ released }) => released),
      this.#others.close(),
      server && this.#release(serverHost, server.raw, server.tls),
      this.#release(client, this.clientSocket),
    ])
    if (wasShown) await this.#disconnected('server', serverHost)
    await this.#disconnected('client', client)
    connection.end('mitm-closed')
    connection.endedAt = Date.now()
    await this.context.pipeline.observe('connectionEnded', connection)
    if (client.mitmManaged) client.detach()
    if (serverHost.mitmManaged) serverHost.detach()
    connection.attachFlow(undefined)
  }

  /** @param secured - The TLS over `raw`, of a server that was not shown as connected yet. */
  async #release(host: Host, raw: Socket, secured?: TLSSocket): Promise<void> {
    if (!host.mitmManaged) {
      host.reader?.pause()
      return
    }
    const reset = this.#resets.get(raw)
    if (this.#isClosing) raw.destroy()
    else if (reset) await reset
    else await closeGracefully(host.writer ?? secured ?? raw, raw, this.settings.idleTimeoutMs)
  }
}
