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
  ExchangeMoment,
  FlowListener,
  StreamEnd,
} from '../connection.ts'
import { MitmError } from '../errors.ts'
import type { Side } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import { Host } from '../host.ts'
import type { IdleTimer } from '../internal/idle-timer.ts'
import type { MaybePromise } from '../internal/maybe-promise.ts'
import { InjectedError } from '../fault-errors.ts'
import { noteFault } from '../fault-record.ts'
import type { Fault, FaultFeed } from '../fault.ts'
import type { ConnectionIntervention, ConnectionMoment, Intervention } from '../middleware.ts'
import { authorityOf, isSameAuthority } from '../protocol.ts'
import type { Destination } from '../protocol.ts'
import type { SecuredServer } from '../tls/secure-server.ts'
import { codedError } from './coded-error.ts'
import { closeGracefully, hiddenReset, resetSoon } from './close.ts'
import { dial, ignore, routeOf } from './dial.ts'
import type { Route } from './dial.ts'
import type { FlowContext } from './flow-context.ts'
import { passEndOn, relay, watchIdle } from './relay.ts'
import { secureDialled } from './secure-dialled.ts'
import { unwrap } from './sniff.ts'

/** The socket to a server, dialled but perhaps not yet shown as connected. */
interface ServerSocket {
  readonly destination: Destination
  readonly route: Route
  readonly raw: Socket
  tls: TLSSocket | undefined
}

/** One accepted connection while it lives. */
export class LiveConnection implements ConnectionFlow {
  readonly connection: Connection
  readonly context: FlowContext
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
  #relayIntervention: ConnectionIntervention | undefined

  constructor(connection: Connection, clientSocket: Socket, context: FlowContext) {
    this.connection = connection
    this.context = context
    this.settings = context.options
    this.clientSocket = clientSocket
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

  get isIntercepting(): boolean {
    return this.context.pipeline.has('intercept')
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

  listen(listener: FlowListener): void {
    this.listener = listener
  }

  lateFaults(exchange: Exchange): FaultFeed | undefined {
    return this.context.pipeline.lateFaults(exchange)
  }

  clientData(data: Buffer): MaybePromise<Buffer> {
    this.connection.bytes.fromClient += data.length
    return this.context.pipeline.transform('clientData', this.connection, data)
  }

  serverData(data: Buffer): MaybePromise<Buffer> {
    this.connection.bytes.fromServer += data.length
    return this.context.pipeline.transform('serverData', this.connection, data)
  }

  mayAnswer(destination: Destination): boolean {
    return this.context.pipeline.mayAnswer(destination)
  }

  intercept(exchange: Exchange): MaybePromise<Intervention | undefined> {
    return this.context.pipeline.intercept(exchange)
  }

  interceptConnection(moment: ConnectionMoment): ConnectionIntervention | undefined {
    if (moment.stage !== 'relay' || moment.isUnderWay)
      return this.context.pipeline.interceptConnection(this.connection, moment)
    // Asked before the server is contacted, and again for what passes: it counts once.
    this.#relayIntervention ??= this.context.pipeline.interceptConnection(this.connection, moment)
    return this.#relayIntervention
  }

  noteFault(fault: Fault, exchange?: Exchange): void {
    noteFault(this.connection, fault, exchange)
    void this.context.pipeline.observe('connectionChanged', this.connection)
  }

  notify(moment: ExchangeMoment, exchange: Exchange): void {
    this.context.pipeline.notify(moment, exchange)
  }

  report(error: MitmError): void {
    // What goes wrong on purpose is among the faults.
    if (error instanceof InjectedError) return
    this.connection.errors.push(error)
    this.context.report(error, this.connection)
  }

  unwrap(data: Buffer): Promise<void> {
    return unwrap(this, data)
  }

  relay(first?: Buffer): Promise<void> {
    return relay(this.connection, first)
  }

  async dial(destination: Destination): Promise<void> {
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
    const { options, listening } = this.context
    const route = routeOf(destination, options.hosts)
    const raw = await dial(destination, route, { ...options, listening, signal: this.signal })
    this.#server = { destination, route, raw, tls: undefined }
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
  ): Promise<SecuredServer> {
    await this.dial(destination)
    const server = this.#server
    if (!server) throw new MitmError('MITM_NOT_RUNNING', 'Cannot secure a server that is not dialled')
    if (server.tls) return { socket: server.tls, authorizationError: this.connection.serverTls?.authorizationError }
    const secured = await secureDialled(server.raw, destination, serverName, alpnProtocols, this.context.options)
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
    return authorizationError !== undefined && this.context.options.upstream.rejectUnauthorized !== false
  }

  async open(destination: Destination): Promise<void> {
    const { connection } = this
    const wantsTls = this.wantsTls(destination)
    const isSecure = this.#server?.tls !== undefined
    if (
      this.#isServerShown &&
      this.#server &&
      isSameAuthority(this.#server.destination, destination) &&
      isSecure === wantsTls
    )
      return
    if (this.#isServerShown || (isSecure && !wantsTls)) await this.closeServer()
    await this.dial(destination)
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
    const { clientTls } = this.connection
    const alpn = clientTls ? clientTls.alpn : 'http/1.1'
    const isOwn = this.connection.destination?.host === destination.host
    const serverName = (isOwn ? clientTls?.serverName : undefined) ?? destination.host
    const { authorizationError } = await this.secure(destination, serverName, alpn ? [alpn] : [])
    if (!this.refuses(authorizationError)) return
    const authority = authorityOf(destination)
    throw new MitmError(
      'MITM_SERVER_CERTIFICATE',
      `Cannot trust the certificate of ${authority}: ${authorizationError}; upstream.ca adds a trusted authority, upstream.rejectUnauthorized: false trusts every one`,
      { side: 'server', authority },
    )
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

  passEnd(side: Side, end: StreamEnd): boolean {
    const raw = this.#rawOf(side)
    const error = end.kind === 'end' && raw ? hiddenReset(raw) : undefined
    return passEndOn(
      this.connection,
      side,
      error ? { kind: 'error', error } : end,
      () => !this.signal.aborted && this.hasReset(side),
    )
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
