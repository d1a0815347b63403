/** The proxy: listens, accepts, and closes. What happens to a connection in between is in `flow/`. */
import type { Socket } from 'node:net'

import { Connection } from './connection.ts'
import type { Door, DoorOptions } from './door.ts'
import { MitmError } from './errors.ts'
import { speaksUnwanted } from './flow/alpn.ts'
import { LiveConnection } from './flow/live-connection.ts'
import type { FlowContext } from './flow/flow-context.ts'
import { Listener } from './flow/listener.ts'
import { Pipeline } from './flow/pipeline.ts'
import { Resends } from './flow/resends.ts'
import { Host } from './host.ts'
import type { Middleware } from './middleware.ts'
import { demandKnown, resolveOptions } from './options.ts'
import type { MitmOptions, ResolvedOptions } from './options.ts'
import type { Protocol } from './protocol.ts'
import { Http1 } from './protocols/http1/http1.ts'
import { Http2 } from './protocols/http2/http2.ts'
import { Socks } from './protocols/socks/socks.ts'
import { Tcp } from './protocols/tcp/tcp.ts'
import { CertificateAuthority } from './tls/certificate-authority.ts'
import { ClientCertificates } from './tls/client-certificates.ts'
import type { ClientIdentities } from './tls/client-certificates.ts'
import { KeyLog } from './tls/key-log.ts'
import { TlsSelection } from './tls-selection.ts'

/** What takes a middleware out again, by `dispose()`, `using`, or the end of a scope. */
export interface Registration extends Disposable {
  dispose(): void
}

/** What a certificate authority of a mitm must be. `faultyContextFor` is needed by faults of certificates and of TLS. */
export type MitmAuthority = Pick<CertificateAuthority, 'certificate' | 'contextFor' | 'untrustedContextFor'> &
  Partial<Pick<CertificateAuthority, 'faultyContextFor'>>

/**
 * A man-in-the-middle proxy on one port of the loopback interface. Clients may speak HTTP proxying, SOCKS, TLS or plain
 * HTTP to it: the first octets decide.
 *
 * @example
 * ```ts
 * import { Mitm } from 'playwright-mitm/core'
 *
 * const mitm = new Mitm({ hosts: { 'pay.test': '127.0.0.1:4001' } })
 * mitm.use({
 *   clientConnected: (connection) => console.log(`${connection.client} connected`),
 * })
 * await mitm.start()
 * console.log(mitm.url) // http://127.0.0.1:41234
 * await mitm.close()
 * ```
 */
export class Mitm implements AsyncDisposable {
  /** The options with their defaults. */
  readonly options: ResolvedOptions<MitmAuthority>
  /** Which TLS is opened, and which is only relayed. */
  protected readonly tlsSelection: TlsSelection

  readonly #pipeline: Pipeline
  readonly #clientCertificates: ClientCertificates
  readonly #protocols: readonly Protocol[]
  readonly #live = new Set<LiveConnection>()
  readonly #serving = new Set<Promise<void>>()
  readonly #chosenAlpn = new Map<string, string>()
  readonly #trustingDoors = new Set<number>()
  readonly #resends = new Resends()
  #authority: Promise<MitmAuthority> | undefined
  #listener: Listener | undefined
  readonly #doors = new Set<Listener>()
  #keyLog: KeyLog | undefined
  #isTelling = false
  #starting: Promise<void> | undefined
  #closing: Promise<void> | undefined

  /**
   * Does not listen yet: see {@link Mitm.start}.
   *
   * @throws {@link MitmError} `MITM_INVALID_OPTION`, `MITM_INVALID_MIDDLEWARE`.
   */
  constructor(options: MitmOptions<MitmAuthority> = {}) {
    this.options = resolveOptions(options)
    this.tlsSelection = new TlsSelection(this.options)
    this.#clientCertificates = new ClientCertificates(options.upstream?.clientCertificates)
    this.#pipeline = new Pipeline((error) => this.report(error))
    for (const middleware of this.options.middlewares) this.#pipeline.add(middleware)
    const builtin = this.options.builtinProtocols ? [new Http2(), new Http1(), new Socks(), new Tcp()] : []
    this.#protocols = [...this.options.protocols, ...builtin]
    if (this.options.certificateAuthority) this.#authority = Promise.resolve(this.options.certificateAuthority)
  }

  /** The port it listens on. @throws {@link MitmError} `MITM_NOT_RUNNING` before `start()` */
  get port(): number {
    if (!this.#listener) {
      throw new MitmError('MITM_NOT_RUNNING', 'Cannot tell the port of a mitm that does not listen: call start() first')
    }
    return this.#listener.port
  }

  /** The proxy as a URL: `http://127.0.0.1:PORT`. @throws {@link MitmError} `MITM_NOT_RUNNING` before `start()` */
  get url(): string {
    const { host } = this.options
    return `http://${host.includes(':') ? `[${host}]` : host}:${this.port}`
  }

  /** Whether it listens. */
  get isRunning(): boolean {
    return this.#listener !== undefined && this.#closing === undefined
  }

  /**
   * Listens. Resolves when it does, and when `mitmStarted` of every middleware has settled. A second call waits for the
   * first.
   *
   * @throws {@link MitmError} `MITM_LISTEN_FAILED` when the address is taken or cannot be had, `MITM_NOT_RUNNING` after
   *   `close()`, `MITM_INVALID_OPTION` when `keyLogFile` cannot be opened.
   */
  start(): Promise<void> {
    if (this.#closing) {
      return Promise.reject(new MitmError('MITM_NOT_RUNNING', 'Cannot start a mitm that was closed: make a new one'))
    }
    this.#starting ??= this.#listen().catch((error: unknown) => {
      this.#starting = undefined
      this.#closeKeyLog()
      throw error
    })
    return this.#starting
  }

  /** Whether the TLS of a server is relayed as it is, by the options `passthrough` and `intercept`. */
  passesThrough(host: string, port: number): boolean {
    return this.tlsSelection.passesThrough([host], port)
  }

  /**
   * Opens a further port, for clients that are to be served in another way: two browser contexts that show different
   * certificates to the same server come by a door each.
   *
   * @param options - What is different for them.
   * @returns The door, open.
   * @throws {@link MitmError} `MITM_NOT_RUNNING` before `start()` and after `close()`, `MITM_INVALID_OPTION`,
   *   `MITM_LISTEN_FAILED`.
   *
   * @example
   * ```ts
   * import type { Mitm } from 'playwright-mitm/core'
   *
   * export async function doorForAdmins(mitm: Mitm): Promise<string> {
   *   const admin = { origin: 'https://pay.test', certPath: 'admin.pem', keyPath: 'admin-key.pem' }
   *   const { url } = await mitm.openDoor({ clientCertificates: [admin] })
   *   return url
   * }
   * ```
   */
  async openDoor(options: DoorOptions = {}): Promise<Door> {
    demandKnown(options, ['clientCertificates'])
    if (!this.isRunning) throw new MitmError('MITM_NOT_RUNNING', 'Cannot open a door of a mitm that does not listen')
    const own = new ClientCertificates(options.clientCertificates, 'clientCertificates')
    const all = this.#clientCertificates
    const listener = await this.#openPort(0, { for: (destination) => own.for(destination) ?? all.for(destination) })
    this.#doors.add(listener)
    const close = (): void => {
      if (this.#doors.delete(listener)) listener.close()
    }
    if (this.#closing) close()
    return { port: listener.port, url: listener.url, close, [Symbol.dispose]: close }
  }

  /**
   * Adds middlewares behind the others, also at run time: they see what passes from now on.
   *
   * @returns What takes them out again.
   * @throws {@link MitmError} `MITM_INVALID_MIDDLEWARE`; then none is added.
   */
  use(...middlewares: readonly Middleware[]): Registration {
    const removals: (() => void)[] = []
    const dispose = (): void => {
      for (const remove of removals.splice(0)) remove()
    }
    try {
      for (const middleware of middlewares) removals.push(this.#pipeline.add(middleware))
    } catch (error) {
      dispose()
      throw error
    }
    this.tellOfInterceptors()
    if (this.isRunning) {
      // Reports its own errors.
      for (const middleware of middlewares) void this.#pipeline.started(this.options.host, this.port, middleware)
    }
    return { dispose, [Symbol.dispose]: dispose }
  }

  /**
   * Stops listening and closes every managed host; those with `mitmManaged = false` are left open. Resolves when the
   * last managed socket is gone and its hooks have settled. May be called again, and before `start()`.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** As {@link Mitm.close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /**
   * Makes clients connect anew: connections on which nothing is under way are closed now, others behind what is. Those that
   * are no HTTP stay.
   *
   * @param filter - Which connections. @defaultValue all
   */
  drain(filter: (connection: Connection) => boolean = () => true): void {
    for (const live of this.#live) if (filter(live.connection)) live.listener.drain?.()
  }

  /** Tells what is under way that there are faults which were not there before. */
  protected tellOfFaults(): void {
    for (const live of this.#live) live.listener.faultsAdded?.()
  }

  /** Tells what is under way that other requests may be intercepted than before. */
  protected tellOfInterceptors(): void {
    // Not at once, and once for all that is said in one breath.
    if (this.#isTelling) return
    this.#isTelling = true
    queueMicrotask(() => {
      this.#isTelling = false
      for (const live of this.#live) {
        if (speaksUnwanted(live)) live.listener.drain?.()
        else live.listener.interceptorsChanged?.()
      }
    })
  }

  /**
   * Resets connections now, whatever is under way on them: as when the network goes away. Hosts that are not managed are
   * left alone.
   *
   * @param filter - Which connections. @defaultValue all
   */
  resetConnections(filter: (connection: Connection) => boolean = () => true): void {
    for (const live of this.#live) if (filter(live.connection)) live.breakOff()
  }

  /** The authority whose certificates clients are shown; made when first asked for. @throws {@link MitmError} `MITM_CA_FAILED` */
  certificateAuthority(): Promise<MitmAuthority> {
    this.#authority ??= CertificateAuthority.shared()
    return this.#authority
  }

  /** Hands an error to `onError`. */
  protected report(error: MitmError): void {
    try {
      this.options.onError?.(error)
    } catch {
      // Somebody who throws while being told of an error cannot be told of that one.
    }
  }

  async #listen(): Promise<void> {
    const { host, port, keyLogFile } = this.options
    if (keyLogFile !== undefined) this.#keyLog = new KeyLog(keyLogFile, (error) => this.report(error))
    this.#listener = await this.#openPort(port, this.#clientCertificates)
    if (this.#closing) this.#listener.close()
    else await this.#pipeline.started(host, this.#listener.port)
  }

  #openPort(port: number, certificates: ClientIdentities): Promise<Listener> {
    return Listener.open({
      host: this.options.host,
      port,
      mitm: this,
      accept: (socket, listener) => this.#accept(socket, listener, certificates),
      report: (error) => this.report(error),
    })
  }

  #closeKeyLog(): void {
    this.#keyLog?.close()
    this.#keyLog = undefined
  }

  #accept(socket: Socket, listening: Listener, clientCertificates: ClientIdentities): void {
    if (this.#closing) {
      socket.destroy()
      return
    }
    const connection = new Connection(new Host({ reader: socket, writer: socket }))
    const live = new LiveConnection(connection, socket, { ...this.#context, listening, clientCertificates })
    this.#live.add(live)
    const serving = live.serve().finally(() => {
      this.#live.delete(live)
      this.#serving.delete(serving)
    })
    this.#serving.add(serving)
  }

  get #context(): Omit<FlowContext, 'listening' | 'clientCertificates'> {
    return {
      mitm: this,
      options: this.options,
      pipeline: this.#pipeline,
      protocols: this.#protocols,
      chosenAlpn: this.#chosenAlpn,
      trustingDoors: this.#trustingDoors,
      resends: this.#resends,
      tlsSelection: this.tlsSelection,
      onKeyLog: this.#keyLog?.write,
      certificates: () => this.certificateAuthority(),
      report: (error) => this.report(error),
    }
  }

  async #close(): Promise<void> {
    await this.#starting?.catch(() => undefined)
    this.#listener?.close()
    for (const door of this.#doors) door.close()
    for (const live of this.#live) live.close()
    await Promise.all(this.#serving)
    this.#closeKeyLog()
  }
}
