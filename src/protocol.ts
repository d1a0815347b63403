/** How traffic of one kind is recognised, connected and relayed. */
import type { Connection } from './connection.ts'
import type { MitmError } from './errors.ts'
import type { MaybePromise } from './internal/maybe-promise.ts'

export { InvalidProtocol } from './errors.ts'

/** Where a connection wants to go. */
export interface Destination {
  /** Name or address, an IPv6 address without brackets. */
  readonly host: string
  readonly port: number
  /** Whether the server is spoken to in TLS. */
  readonly tls: boolean
}

/** Whether two destinations are the same server, however it is spoken to. */
export function isSameAuthority(one: Destination, other: Destination): boolean {
  return one.host === other.host && one.port === other.port
}

/** Whether two destinations are the same server, spoken to in the same way. */
export function isSameDestination(one: Destination, other: Destination | undefined): boolean {
  return one.host === other?.host && one.port === other.port && one.tls === other.tls
}

/** `host:port`, with an IPv6 address in brackets. */
export function authorityOf({ host, port }: { readonly host: string; readonly port: number }): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

/**
 * How traffic of one kind is recognised (`resolve`), connected (`connect`) and relayed (`handle`).
 *
 * The protocols of a mitm are asked in order. The first whose `resolve` and `connect` do not throw
 * {@link InvalidProtocol} wins; one that throws it gives way to the next, which is handed the very same bytes. One
 * instance serves all connections, so keep no state of a connection in it.
 *
 * Only `resolve` must be written. The bytes that a protocol is given have passed `clientData` of every middleware;
 * those that a `handle` of your own reads from `connection.client.reader` have not: pass them through
 * `connection.clientData(bytes)` and `connection.serverData(bytes)`.
 *
 * @example
 * ```ts
 * import { InvalidProtocol, Protocol } from 'playwright-mitm/core'
 * import type { Connection, Destination } from 'playwright-mitm/core'
 *
 * // Lines that start with "SHOUT " go to a server of their own.
 * export class Shout extends Protocol {
 *   override bytesNeeded = 6
 *
 *   resolve(connection: Connection, data: Buffer): Destination {
 *     if (!data.toString('latin1').startsWith('SHOUT ')) throw new InvalidProtocol()
 *     return { host: '127.0.0.1', port: 7777, tls: false }
 *   }
 * }
 * ```
 */
export abstract class Protocol {
  /** What records and logs call it. @defaultValue the name of the class, in lower case */
  get name(): string {
    return this.constructor.name.toLowerCase()
  }

  /**
   * How many of the first bytes `resolve` wants to see. It is asked with fewer only when the client has ended its side,
   * or has sent nothing more for `firstBytesWaitMs`. A protocol that cannot know the number beforehand throws
   * `new InvalidProtocol(reason, { incomplete: true })` to be asked again with more.
   *
   * @defaultValue 1
   */
  bytesNeeded = 1

  /** Most octets that are taken from a socket at once while relaying. @defaultValue 65536 */
  bufferSize = 65_536

  /** Milliseconds without a byte in either direction after which a relay is idle. @defaultValue 15000 */
  timeout = 15_000

  /**
   * Whether a relay that is idle goes on (until the mitm's `idleTimeoutMs`). `false` ends it after `timeout`.
   *
   * @defaultValue true
   */
  keepAlive = true

  /**
   * What it is called in the TLS handshake (ALPN, RFC 7301), where that chooses it. `h2` is offered to clients only when a
   * protocol of the mitm has that name; everything else but `h3` is offered as the client and the server have it.
   *
   * @defaultValue none
   */
  get alpnProtocols(): readonly string[] {
    return []
  }

  /**
   * Says where this connection wants to go.
   *
   * @param connection - The connection; its server is not connected yet. `connection.destination` is set when an outer
   *   layer (CONNECT, SOCKS) has named one.
   * @param data - The first bytes, after `clientData`. None, when the client is silent.
   * @throws {@link InvalidProtocol} when this is other traffic.
   */
  abstract resolve(connection: Connection, data: Buffer): MaybePromise<Destination>

  /**
   * For protocols that take a layer off (CONNECT, SOCKS): how many of the first octets are theirs before the next layer
   * begins. Those after it are given to nobody, and to no hook, before the layer is off.
   *
   * @param _octets - The first octets, before `clientData`.
   * @returns undefined when this is other traffic, or not known yet. @defaultValue undefined
   */
  layerLength(_octets: Buffer): number | undefined {
    return undefined
  }

  /**
   * For protocols that take a layer off: tells the client, in their words, that nothing came of its first octets. Some
   * clients that are just cut off try again at once, without end.
   *
   * @param _connection - Its client is to be written to; the mitm closes it.
   * @param _octets - The first octets, of which `layerLength` knew the length.
   * @param _error - What went wrong.
   */
  refuse(_connection: Connection, _octets: Buffer, _error: MitmError): void {
    // Nothing to say: the connection is closed.
  }

  /**
   * Opens the server host. The bytes of `data` are this method's to send on: the default connects and writes them.
   *
   * @param connection - Its `server` is to be connected: `await connection.open(destination)`.
   * @param destination - What `resolve` returned.
   * @param data - The first bytes, after `clientData`.
   * @throws {@link InvalidProtocol} when this protocol does not fit after all.
   */
  async connect(connection: Connection, destination: Destination, data: Buffer): Promise<void> {
    await connection.open(destination)
    if (data.length > 0) connection.server.writer?.write(data)
  }

  /**
   * Relays until either side is done. The default passes bytes both ways through the middlewares, half-closes included.
   *
   * @param connection - With both hosts connected.
   */
  handle(connection: Connection): Promise<void> {
    return connection.relay()
  }
}
