/**
 * HTTP/2 taken apart and put together again: a session with the client, others with servers, and between
 * them one exchange after the other, which rules may change, answer and break. Here is what they share: the session with the
 * client, and how all of it ends.
 */
import type { Connection, ConnectionEndReason, StreamEnd } from '../../connection.ts'
import { errorText, isMitmError, MitmError } from '../../errors.ts'
import type { ExchangeEndReason, Field } from '../../exchange.ts'
import type { IdleTimer } from '../../internal/idle-timer.ts'
import type { Destination } from '../../protocol.ts'
import { SlowClosing } from '../http/slow-closing.ts'
import { parseAuthority } from '../http1/head.ts'
import { BridgeServers } from './bridge-servers.ts'
import { BridgedExchange } from './bridged-exchange.ts'
import { CLIENT_LEAVES_MS } from './drain.ts'
import { ERROR_CODE, FRAME, MAX_STREAM_ID, PREFACE } from './frame.ts'
import type { FrameOutput } from './frame-output.ts'
import { writeGoAway } from './frame-write.ts'
import type { GoAway } from './go-away.ts'
import { injectHttp2Faults } from './http2-faults.ts'
import { requestPseudo } from './bridge-fields.ts'
import { Session } from './session.ts'
import type { OpenedStream } from './session-options.ts'
import type { Http2Settings } from './settings.ts'
import type { Http2Stream } from './stream.ts'
import { SettingsFaults } from './settings-faults.ts'
import { settingsForClient, settingsOf } from './first-settings.ts'

/** How long a server's SETTINGS are waited for, before the client gets some without them. */
const SETTINGS_WAIT_MS = 2000

/** The ends of exchanges behind which something may still be on its way to the client. */
const LEAVING: ReadonlySet<ExchangeEndReason> = new Set<ExchangeEndReason>(['complete', 'upgraded', 'server-reset'])

/** Bridges one connection; see {@link Bridge.run}. */
export class Bridge {
  readonly connection: Connection
  readonly bufferSize: number
  readonly servers: BridgeServers = new BridgeServers(this)
  readonly closing: SlowClosing = new SlowClosing()
  /** Whether the client speaks in clear, so that it knew beforehand that HTTP/2 is understood. */
  readonly isClear: boolean
  /** What the client said first of itself. */
  clientSettings: Http2Settings = {}
  /** SETTINGS that faults have sent. */
  settings: SettingsFaults | undefined
  /** Answers to pings of the client that a fault holds. */
  heldPings = 0
  /** Whether the client was sent what must be an error to it. */
  isFaulty = false
  isOver = false
  readonly #open = new Set<BridgedExchange>()
  /** Streams of exchanges that are over, while the last of their octets are on their way. */
  readonly #leaving = new Set<Http2Stream>()
  /** Called when there are none of those. */
  #onLeft: (() => void) | undefined
  #session: Session | undefined
  /** The last stream that was opened before the head of any response has left. */
  #lastUnproven = Number.POSITIVE_INFINITY
  /** The last stream of which the client was told that it is answered. */
  #lastAllowed = Number.POSITIVE_INFINITY
  /** Why it ends when nothing is under way any more. */
  #drainReason: ConnectionEndReason | undefined
  /** Runs while a client that was told to go is expected to. */
  #farewell: NodeJS.Timeout | undefined
  #idle: IdleTimer | undefined
  #settle: ((error?: unknown) => void) | undefined

  constructor(connection: Connection, bufferSize: number) {
    this.connection = connection
    this.bufferSize = bufferSize
    this.isClear = connection.clientTls === undefined
  }

  /** The exchanges that are under way. */
  get open(): ReadonlySet<BridgedExchange> {
    return this.#open
  }

  /** What leaves for the client. */
  get output(): FrameOutput {
    if (!this.#session) throw new TypeError('The bridge has not begun')
    return this.#session.output
  }

  /** Resolves when the client has read what was sent so far, or has had so much time for it. */
  async heard(timeoutMs: number): Promise<void> {
    await this.#session?.pings.heard(timeoutMs)
  }

  get #lastStreamId(): number {
    return this.#session?.lastOpened ?? 0
  }

  /**
   * Bridges until the client or its server is done.
   *
   * @param first - The first octets from the client, which have passed `clientData`.
   * @throws {@link MitmError} `MITM_IDLE_TIMEOUT`, or what a middleware failed with.
   */
  run(first: Buffer): Promise<void> {
    const { signal, flow } = this.connection
    return new Promise((resolve, reject) => {
      const onAbort = (): void => this.fail()
      this.#settle = (error) => {
        signal.removeEventListener('abort', onAbort)
        if (error === undefined) resolve()
        else reject(error instanceof Error ? error : new Error(errorText(error)))
      }
      signal.addEventListener('abort', onAbort)
      this.#idle = flow.watchIdle((error) => this.fail(error))
      flow.listen({
        drain: () => this.goAway(ERROR_CODE.noError),
        faultsAdded: () => this.#adoptFaults(),
      })
      if (signal.aborted) onAbort()
      else void this.#begin(first).catch((error: unknown) => this.fail(error))
    })
  }

  async #begin(first: Buffer): Promise<void> {
    const { destination, flow, isTunnelled, client } = this.connection
    this.clientSettings = settingsOf(first) ?? {}
    let settings: Http2Settings | undefined
    if (isTunnelled && destination && !flow.mayAnswer(destination)) {
      // A failure is told to the client in answer to its requests, which try again.
      settings = await this.servers.mirror(destination, SETTINGS_WAIT_MS).catch(() => undefined)
    }
    if (this.isOver || !client.reader || !client.writer) return
    const told = settingsForClient(settings, flow.settings.maxHeadBytes)
    const session = new Session({
      reader: client.reader,
      writer: client.writer,
      from: 'client',
      bufferSize: this.bufferSize,
      settings: told,
      maxListBytes: told.maxHeaderListSize ?? Infinity,
      hook: (octets) => this.connection.clientData(octets),
      touched: () => this.touch(),
      opened: (opened) => this.#onStream(opened),
      settingsCame: () => undefined,
      goAway: (goAway) => this.#onGoAway(goAway),
      ended: (end) => this.#clientEnded(end),
      broken: (error, code) => this.#clientBroken(error, code),
      failed: (error) => this.fail(error),
    })
    this.#session = session
    this.settings = new SettingsFaults(session, told)
    const forget = session.output.filter((type) => {
      if (type === FRAME.headers) {
        forget()
        this.#lastUnproven = this.#lastStreamId
      }
      return 'pass'
    })
    session.start(first.subarray(PREFACE.length))
  }

  #onStream(opened: OpenedStream): void {
    this.touch()
    const { stream, section } = opened
    const { id } = stream
    const destination = this.#destinationOf(section)
    if (this.isOver || !destination || id > this.#lastAllowed) {
      // The client has been told, or is about to be: it opens it again elsewhere.
      if (id > this.#lastAllowed) this.output.silence(id)
      stream.close(ERROR_CODE.refusedStream)
      return
    }
    const exchange = new BridgedExchange(this, opened, destination)
    this.#open.add(exchange)
    exchange.start()
  }

  /** A tunnel has one destination; without one, each request says where it is for. */
  #destinationOf(section: readonly Field[]): Destination | undefined {
    const { destination, isTunnelled } = this.connection
    if (isTunnelled && destination) return destination
    const tls = !this.isClear
    const named = parseAuthority(requestPseudo(section).authority ?? '', tls ? 443 : 80)
    return named ? { ...named, tls } : destination
  }

  /** An exchange is over. */
  ended(exchange: BridgedExchange): void {
    this.#open.delete(exchange)
    const { stream, exchange: record } = exchange
    const isToLeave = record.endReason !== undefined && LEAVING.has(record.endReason) && !stream.isClosed
    if (isToLeave) {
      this.#leaving.add(stream)
      stream.on('close', () => this.#left(stream))
    }
    if (this.#drainReason) setImmediate(() => this.#drained())
  }

  #left(stream: Http2Stream): void {
    this.#leaving.delete(stream)
    // What the session has just said leaves first.
    if (this.#leaving.size === 0) setImmediate(() => this.#onLeft?.())
    if (this.#drainReason) setImmediate(() => this.#drained())
  }

  /** Octets have passed. */
  touch(): void {
    this.#idle?.touch()
  }

  /** Tells the client to send nothing more here; ends the connection when what is under way is over. */
  goAway(
    code: number,
    debugData?: Buffer,
    lastStreamId: number = this.#lastStreamId,
    reason: ConnectionEndReason = 'mitm-closed',
  ): void {
    if (this.isOver) return
    this.sendGoAway(code, lastStreamId, debugData)
    this.drainSoon(reason)
  }

  /** Tells the client to go, and which stream is the last that is answered; what it was told before is not taken back. */
  sendGoAway(code: number, lastStreamId: number, debugData?: Buffer): void {
    this.#lastAllowed = Math.min(this.#lastAllowed, lastStreamId)
    this.#session?.output.control(writeGoAway(this.#lastAllowed, code, debugData))
  }

  /** Whether the client knew that its connection works when it opened a stream: it had got the head of a response on it. */
  isProven(streamId: number): boolean {
    return streamId > this.#lastUnproven
  }

  /** Ends the connection when what is under way is over. */
  drainSoon(reason: ConnectionEndReason = 'mitm-closed'): void {
    this.#drainReason ??= reason
    // What was just written leaves first.
    setImmediate(() => this.#drained())
  }

  #drained(): void {
    if (this.isOver || this.#open.size > 0 || this.#leaving.size > 0 || this.#farewell) return
    this.connection.end(this.#drainReason ?? 'mitm-closed')
    const end = (): void => void this.closing.wait('client').then(() => this.fail())
    this.#farewell = setTimeout(end, CLIENT_LEAVES_MS)
  }

  #adoptFaults(): void {
    const { flow } = this.connection
    for (const of of this.#open) {
      // One that was cut may have ended the connection, and the others with it.
      const isAsked = of.request.mode !== 'hold' || of.faults !== undefined
      const feed = isAsked && !of.isOver ? flow.lateFaults(of.exchange) : undefined
      if (!feed) continue
      of.tunnel?.webSocket?.addFaults(feed)
      const isFirst = of.faults === undefined
      const faults = of.addFaults(feed, true)
      // Never rejects.
      void injectHttp2Faults(of, feed)
      if (of.isOver || !isFirst) continue
      faults.client.update()
      faults.server.update()
    }
  }

  /** Ends the connection as a fault says, whatever is under way on it. `halfClose`: what the client sends is still read. */
  breakDown(how: 'close' | 'reset' | 'halfClose'): void {
    if (this.isOver) return
    if (how === 'halfClose') {
      this.#session?.stopSending()
      this.connection.client.writer?.end()
      return
    }
    this.connection.end('fault')
    if (how === 'reset') {
      this.connection.reset('client')
      this.connection.reset('server')
    }
    this.fail()
  }

  // Ends.

  /** The client goes away: its server is told so, which ends the connection; without one that is done here. */
  #onGoAway(goAway: GoAway): void {
    const { mirrored } = this.servers
    // What it cannot bear of a fault is none of the server's business.
    if (this.isFaulty) this.drainSoon('fault')
    else if (mirrored) mirrored.goAway(goAway)
    else this.drainSoon('client-closed')
  }

  /** The server of the connection has said something of itself: so it is for the client. Before the session begins, it is told first. */
  serverSettings(settings: Http2Settings): void {
    this.settings?.change(settingsForClient(settings, this.connection.flow.settings.maxHeadBytes))
  }

  /** The server of the connection wants no more requests: neither does the mitm, then. */
  serverGoesAway({ code, lastStreamId, debugData }: GoAway): void {
    let last = 0
    let refused = Infinity
    for (const { exchange, request, stream } of this.#open) {
      if (exchange.http2) exchange.http2.goAwayCode = code
      const serverId = request.server?.streamId
      if (serverId === undefined || serverId <= lastStreamId) last = Math.max(last, stream.id)
      else refused = Math.min(refused, stream.id)
    }
    // It will say later which one is the last: until then there may be others.
    if (lastStreamId === MAX_STREAM_ID) this.sendGoAway(code, lastStreamId, debugData)
    else {
      // What came before the first that it has not looked at was; without one, all that came so far.
      const before = refused === Infinity ? this.#lastStreamId : refused - 2
      this.goAway(code, debugData, Math.max(last, before), 'server-closed')
    }
  }

  /** The server of the connection is gone: so is that of the client, and with it the exchanges that it had. */
  serverGone(isReset: boolean): void {
    if (this.isOver) return
    const { flow } = this.connection
    const end: StreamEnd = isReset ? { kind: 'error', error: new Error('reset') } : { kind: 'end' }
    const pass = (): void => {
      if (this.isOver) return
      // It looks closer: a reset behind octets looks like an end at first.
      flow.passEnd('server', end)
      this.connection.end(isReset ? 'server-reset' : 'server-closed')
      this.fail()
    }
    const passBehind = (): void => {
      // A reset takes away what is on its way; an end comes behind it.
      if (isReset || this.#leaving.size === 0) setImmediate(pass)
      else this.#onLeft = pass
    }
    void this.closing.wait('client').then(passBehind)
  }

  #clientEnded(end: StreamEnd): void {
    if (this.isOver) return
    this.connection.flow.passEnd('client', end)
    this.connection.end(end.kind === 'error' ? 'client-reset' : 'client-closed')
    this.fail()
  }

  #clientBroken(error: Error, code: number): void {
    if (this.isOver) return
    this.sendGoAway(code, this.#lastStreamId)
    this.#reportBroken(error)
    this.fail()
  }

  #reportBroken(error: Error): void {
    if (this.isFaulty) {
      this.connection.end('fault')
      return
    }
    const text = `The client ${this.connection.client} broke the rules of HTTP/2: ${errorText(error)}`
    this.connection.report(new MitmError('MITM_HTTP2_FAILED', text, { side: 'client', cause: error }))
    this.connection.end('failed')
  }

  /** Ends the connection: with an error, or without one when it is done. */
  fail(error?: unknown): void {
    if (this.isOver) return
    this.isOver = true
    this.#idle?.stop()
    clearTimeout(this.#farewell)
    this.closing.stop()
    this.settings?.close()
    const reason = this.#reasonOfEnd(error)
    for (const exchange of this.#open) {
      if (isMitmError(error)) exchange.exchange.error ??= error
      exchange.end(exchange.tunnel && reason !== 'fault' ? 'upgraded' : reason, reason)
    }
    this.#session?.cut()
    this.servers.cut()
    this.#settle?.(error)
  }

  #reasonOfEnd(error: unknown): ExchangeEndReason {
    const { endReason = 'client-closed' } = this.connection
    if (endReason === 'idle-timeout' || endReason === 'mitm-closed') return endReason
    if (error !== undefined) return 'failed'
    return endReason === 'handed-over' ? 'client-closed' : endReason
  }
}
