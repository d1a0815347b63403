/** Keeps a record of every connection and every exchange. */
import type { Connection } from '../connection.ts'
import type { Exchange, HttpResponse } from '../exchange.ts'
import { Signal } from '../internal/signal.ts'
import type { Middleware } from '../middleware.ts'
import { invalidOption } from '../options.ts'
import { ConnectionRecord, refresh } from './connection-record.ts'
import type { ServerRecord } from './connection-record.ts'

/** The options of {@link recorder}. */
export interface RecorderOptions {
  /** Octets kept of each body, and of each message; traffic itself is never limited. @defaultValue 10 MiB */
  maxBodyBytes?: number | undefined
}

/** A middleware that keeps a record of what passes. */
export interface Recorder extends Middleware {
  /** The connections, in the order in which clients made them. The array grows; {@link Recorder.clear} begins a new one. */
  readonly connections: readonly ConnectionRecord[]
  /** The exchanges of all connections, in the order in which they began. Grows, as `connections` does. */
  readonly exchanges: readonly Exchange[]
  /** Fires at every moment of an exchange, every change of a connection, and whenever something comes of an event stream. */
  readonly changes: Signal
  /**
   * Forgets everything so far, the messages of open WebSockets too. What ends later is not brought back by it; a connection
   * that is still open comes back, as a new record, with its next exchange or server, an open WebSocket with its next message.
   */
  clear(): void
}

/**
 * Makes a middleware that keeps a record of every connection and every exchange, in memory, until `clear()`.
 *
 * It does nothing for a chunk of data, so it costs the same for a small and a large body; but for event streams, whose chunks
 * are changes. One recorder may serve several mitms.
 *
 * @throws {@link MitmError} `MITM_INVALID_OPTION` when `maxBodyBytes` is not a whole number from 0 on.
 *
 * @example
 * ```ts
 * import { Mitm, recorder } from 'playwright-mitm/core'
 *
 * const records = recorder({ maxBodyBytes: 1024 })
 * const mitm = new Mitm({ middlewares: [records] })
 * await mitm.start()
 * console.log(records.exchanges.map(String))
 * ```
 */
export function recorder(options: RecorderOptions = {}): Recorder {
  const { maxBodyBytes = 10 * 1024 * 1024 } = options
  if (!Number.isSafeInteger(maxBodyBytes) || maxBodyBytes < 0) {
    throw invalidOption('maxBodyBytes', maxBodyBytes, 'a whole number from 0 on')
  }
  return new RecorderMiddleware(maxBodyBytes)
}

interface Entry {
  readonly record: ConnectionRecord
  readonly servers: ServerRecord[]
  readonly exchanges: Exchange[]
}

class RecorderMiddleware implements Recorder {
  readonly name = 'recorder'
  readonly changes: Signal = new Signal()
  connections: ConnectionRecord[] = []
  exchanges: Exchange[] = []

  readonly #maxBodyBytes: number
  /** What was under way when it was forgotten. */
  readonly #forgotten = new WeakSet<Exchange>()
  /** Replaced by `clear()`: connections that are still open must not hold what was recorded of them before. */
  #entries = new WeakMap<Connection, Entry>()
  /** The last server of each connection, for one that is taken up again after `clear()`. */
  readonly #servers = new WeakMap<Connection, ServerRecord>()

  constructor(maxBodyBytes: number) {
    this.#maxBodyBytes = maxBodyBytes
  }

  /** One for all responses. Asks nobody for fields, which must be parsed for that, where nobody would hear of it. */
  readonly #onBody = (response: HttpResponse): void => {
    if (this.changes.isHeard && response.isEventStream) this.changes.fire()
  }

  clear(): void {
    for (const exchange of this.exchanges) {
      if (exchange.endReason !== undefined) continue
      exchange.webSocket?.forgetMessages()
      this.#forgotten.add(exchange)
    }
    this.connections = []
    this.exchanges = []
    this.#entries = new WeakMap()
    this.changes.fire()
  }

  clientConnected(connection: Connection): void {
    this.#note(connection)
    this.changes.fire()
  }

  serverConnected(connection: Connection): void {
    const entry = this.#note(connection, true)
    const server = serverOf(connection)
    entry.servers.push(server)
    this.#servers.set(connection, server)
    refresh(entry.record, connection)
    this.changes.fire()
  }

  requestStarted(exchange: Exchange): void {
    exchange.request.keepBody(this.#maxBodyBytes)
    this.#keep(exchange)
    this.changes.fire()
  }

  requestEnded(): void {
    this.changes.fire()
  }

  responseStarted(exchange: Exchange): void {
    exchange.response?.keepBody(this.#maxBodyBytes)
    exchange.webSocket?.keepMessages(this.#maxBodyBytes)
    exchange.response?.watchBody(this.#onBody)
    this.changes.fire()
  }

  exchangeEnded(): void {
    this.changes.fire()
  }

  messageReceived(exchange: Exchange): void {
    // An open WebSocket that was forgotten comes back with its next message.
    if (this.#forgotten.delete(exchange)) this.#keep(exchange)
    this.changes.fire()
  }

  webSocketChanged(): void {
    this.changes.fire()
  }

  connectionChanged(connection: Connection): void {
    this.#update(connection)
  }

  serverDisconnected(connection: Connection): void {
    this.#update(connection)
  }

  clientDisconnected(connection: Connection): void {
    this.#update(connection)
  }

  connectionEnded(connection: Connection): void {
    this.#update(connection)
  }

  #keep(exchange: Exchange): void {
    this.#note(exchange.connection).exchanges.push(exchange)
    this.exchanges.push(exchange)
  }

  /** The entry of a connection; a new one where it has none (the recorder came later, or was cleared). */
  #note(connection: Connection, isServerNew = false): Entry {
    const known = this.#entries.get(connection)
    if (known) return known
    const entry = this.#begin(connection, isServerNew ? [] : this.#serversOf(connection))
    refresh(entry.record, connection)
    return entry
  }

  #begin(connection: Connection, servers: ServerRecord[]): Entry {
    const exchanges: Exchange[] = []
    const record = new ConnectionRecord(connection, servers, exchanges)
    const entry = { record, servers, exchanges }
    this.#entries.set(connection, entry)
    this.connections.push(record)
    return entry
  }

  #update(connection: Connection): void {
    const entry = this.#entries.get(connection)
    if (!entry) return
    refresh(entry.record, connection)
    this.changes.fire()
  }

  /** The server of a connection that is taken up in its midst. */
  #serversOf(connection: Connection): ServerRecord[] {
    const known = this.#servers.get(connection)
    if (known) return [known]
    return connection.server.isConnected ? [serverOf(connection)] : []
  }
}

function serverOf(connection: Connection): ServerRecord {
  const { server, destination, serverTls } = connection
  return { ip: server.ip, port: server.port, host: destination?.host ?? serverTls?.serverName, connectedAt: Date.now() }
}
