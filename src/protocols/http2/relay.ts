/**
 * HTTP/2 where nobody intercepts: octets pass as they came, with an observer beside them that makes the record. When somebody
 * begins to intercept, the connection is drained, so that the next one can be taken apart.
 */
import type { Connection, StreamEnd } from '../../connection.ts'
import { isMitmError } from '../../errors.ts'
import type { Side } from '../../errors.ts'
import type { ExchangeEndReason } from '../../exchange.ts'
import type { IdleTimer } from '../../internal/idle-timer.ts'
import { isPromise } from '../../internal/maybe-promise.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import { Pump, writeThrough } from '../../internal/pump.ts'
import type { PumpHandlers } from '../../internal/pump.ts'
import { RelayFaults } from '../../relay-faults.ts'
import { beginWebSocket, WebSocketObserver } from '../websocket/observe.ts'
import { CLIENT_LEAVES_MS, Drain } from './drain.ts'
import { Observer } from './observer.ts'
import type { WatchTunnel } from './stream-ledger.ts'

/**
 * Relays one HTTP/2 connection until both sides have ended, one was reset, or nothing has passed for too long.
 *
 * @param connection - With both hosts connected.
 * @param first - The first octets of the client, from its preface on. They have passed `clientData` already.
 * @param bufferSize - Most octets that are taken from a socket at once.
 * @throws {@link MitmError} `MITM_IDLE_TIMEOUT`, or what a middleware failed with.
 */
export function relayHttp2(connection: Connection, first: Buffer, bufferSize: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const relay = new Http2Relay(connection, bufferSize, (error) => {
      if (error === undefined) resolve()
      else reject(error instanceof Error ? error : new Error('Not an error was thrown', { cause: error }))
    })
    relay.start(first)
  })
}

/** WebSockets are tunnels by extended CONNECT (RFC 8441). */
const watchWebSocket: WatchTunnel = (exchange, response) => {
  if (exchange.http2?.protocol !== 'websocket') return undefined
  beginWebSocket(exchange, response.headers)
  return new WebSocketObserver(exchange)
}

class Http2Relay {
  readonly #connection: Connection
  readonly #observer: Observer
  readonly #pumps: { readonly [Name in Side]: Pump }
  readonly #idle: IdleTimer
  readonly #settle: (error?: unknown) => void
  readonly #hasEnded: { [Name in Side]: boolean } = { client: false, server: false }
  #drain: Drain | undefined
  #faults: RelayFaults | undefined
  /** Runs while a client that was told to go is expected to. */
  #leaving: NodeJS.Timeout | undefined
  #isOver = false

  constructor(connection: Connection, bufferSize: number, settle: (error?: unknown) => void) {
    const { client, server, flow } = connection
    if (!client.reader || !server.reader) throw new TypeError('Both hosts must be connected')
    this.#connection = connection
    this.#settle = settle
    this.#observer = new Observer(connection, watchWebSocket)
    this.#pumps = {
      client: new Pump(client.reader, this.#handlers('client'), bufferSize),
      server: new Pump(server.reader, this.#handlers('server'), bufferSize),
    }
    this.#idle = flow.watchIdle((error) => this.#finish(error))
  }

  start(first: Buffer): void {
    const { flow, signal } = this.#connection
    flow.listen({
      drain: () => this.#beginDrain(),
      interceptorsChanged: () => this.#drainIfIntercepted(),
      faultsAdded: () => this.#takeFaults(),
    })
    signal.addEventListener('abort', this.#onAbort)
    if (signal.aborted) {
      this.#onAbort()
      return
    }
    // Somebody may have begun to intercept while the server was being connected.
    this.#drainIfIntercepted()
    if (first.length > 0) void this.#pass('client', first)
    this.#pumps.client.start()
    this.#pumps.server.start()
  }

  readonly #onAbort = (): void => this.#finish()

  #handlers(side: Side): PumpHandlers {
    const connection = this.#connection
    const pass = (octets: Buffer): MaybePromise<void> => this.#pass(side, octets)
    return {
      data: (chunk) => {
        this.#idle.touch()
        const octets = side === 'client' ? connection.clientData(chunk) : connection.serverData(chunk)
        return isPromise(octets) ? octets.then(pass) : pass(octets)
      },
      end: (end) => this.#onEnd(side, end),
      lost: (error) => {
        connection.flow.passEnd(side, { kind: 'error', error })
        this.#finish()
      },
      failed: (error) => this.#finish(error),
    }
  }

  /** Looks at octets, and passes them on. */
  #pass(from: Side, octets: Buffer): MaybePromise<void> {
    if (this.#isOver) return undefined
    const to = from === 'client' ? 'server' : 'client'
    if (!this.#drain) {
      this.#observer.observe(from, octets)
      return this.#send(to, octets)
    }
    const wait = this.#send(to, this.#drain.pass(from, octets))
    this.#goOnDraining()
    return wait
  }

  #send(to: Side, octets: Buffer): MaybePromise<void> {
    if (octets.length === 0) return undefined
    if (this.#faults) return this.#faults.send(to, octets)
    const connection = this.#connection
    writeThrough(connection[to].writer, octets, this.#pumps[to === 'client' ? 'server' : 'client'])
    return undefined
  }

  #drainIfIntercepted(): void {
    const { destination, flow } = this.#connection
    if (destination && flow.mayIntercept(destination)) this.#beginDrain()
  }

  #beginDrain(): void {
    if (this.#drain || this.#isOver || this.#observer.isOpaque) return
    this.#drain = new Drain(this.#observer)
    this.#goOnDraining()
  }

  #goOnDraining(): void {
    const drain = this.#drain
    if (!drain || this.#isOver) return
    if (this.#observer.isOpaque) {
      // What has been held back can neither be sent any more nor left out.
      this.#connection.end('failed')
      this.#connection.reset('client')
      this.#connection.reset('server')
      this.#finish()
      return
    }
    void this.#send('client', drain.takeWaiting())
    // Not at once: Node 20 loses octets of a TLS socket that is ended from within its own reading.
    if (drain.isDone) setImmediate(() => void this.#endDrained())
  }

  async #endDrained(): Promise<void> {
    await this.#faults?.settled('client')
    if (this.#isOver || !this.#drain?.isDone) return
    this.#connection.end('mitm-closed')
    this.#leaving ??= setTimeout(() => this.#finish(), CLIENT_LEAVES_MS)
  }

  #takeFaults(): void {
    const { destination, flow } = this.#connection
    // Where nothing is under way there is nothing for them: what comes next comes by another connection.
    if (this.#isOver || !destination || (this.#drain && this.#observer.ledger.count === 0)) return
    const feed = flow.interceptConnection({ stage: 'relay', destination, isUnderWay: true })?.faults
    if (!feed) return
    if (this.#faults) {
      this.#faults.add(feed)
      return
    }
    const faults = new RelayFaults(this.#connection, feed, {
      pumps: this.#pumps,
      over: () => this.#finish(),
      isUnderWay: true,
      exchanges: () => this.#observer.ledger.exchanges,
    })
    this.#faults = faults
    // One that cuts at once has ended it.
    if (this.#hasFinished()) faults.close()
  }

  #hasFinished(): boolean {
    return this.#isOver
  }

  #onEnd(side: Side, end: StreamEnd): void {
    const faults = this.#faults
    if (!faults) this.#passEnd(side, end)
    else if (side === 'client' && faults.isStopped) {
      // What a fault holds will not come to an end by itself.
      this.#connection.end('client-closed')
      this.#finish()
    } else void faults.settled(side === 'client' ? 'server' : 'client').then(() => this.#passEnd(side, end))
  }

  #passEnd(side: Side, end: StreamEnd): void {
    if (this.#isOver) return
    const isDone = this.#connection.flow.passEnd(side, end)
    this.#hasEnded[side] = true
    // Nothing more can come of what the server has not answered.
    if (side === 'server') this.#observer.ledger.endAll(this.#reason(undefined), { by: this.#endedBy() })
    if (isDone || (this.#hasEnded.client && this.#hasEnded.server)) this.#finish()
  }

  #finish(error?: unknown): void {
    if (this.#isOver) return
    this.#isOver = true
    clearTimeout(this.#leaving)
    this.#idle.stop()
    this.#faults?.close()
    this.#pumps.client.stop()
    this.#pumps.server.stop()
    this.#connection.signal.removeEventListener('abort', this.#onAbort)
    const details = { by: this.#endedBy(), error: isMitmError(error) ? error : undefined }
    this.#observer.ledger.endAll(this.#reason(error), details)
    this.#settle(error)
  }

  #reason(error: unknown): ExchangeEndReason {
    const { endReason = 'client-closed' } = this.#connection
    if (endReason === 'idle-timeout' || endReason === 'mitm-closed') return endReason
    if (error !== undefined) return 'failed'
    return endReason === 'handed-over' ? 'client-closed' : endReason
  }

  #endedBy(): Side {
    return this.#connection.endReason?.startsWith('server') ? 'server' : 'client'
  }
}
