/** What is kept of a connection: plain values, no sockets. */
import type { Connection, ConnectionEndReason, TlsFacts } from '../connection.ts'
import type { MitmError } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import type { FaultRecord } from '../fault.ts'

/** The client of a connection. */
export interface ClientRecord {
  readonly ip: string | undefined
  readonly port: number | undefined
}

/** A server that a connection was connected to. */
export interface ServerRecord {
  /** The address that was really connected to, without brackets. */
  readonly ip: string | undefined
  readonly port: number | undefined
  /** The name or address that the client asked for, before `hosts` mapped it. */
  readonly host: string | undefined
  /** Milliseconds since 1970 at which it was connected. */
  readonly connectedAt: number
}

/**
 * What is kept of a connection that a client made. It follows the connection while that lasts, and holds no sockets.
 */
export class ConnectionRecord {
  /** The connection's id, unique in this process. */
  readonly id: string
  readonly client: ClientRecord
  /** Every server that it was connected to, in that order: several when an HTTP proxy client changed host. */
  readonly servers: readonly ServerRecord[]
  /** The layers found so far, outermost first, such as `['socks5', 'tls', 'http/1.1']` or `['connect', 'tls-passthrough']`. */
  readonly layers: readonly string[]
  /** The name of the protocol that relays it, once one has been found. */
  readonly protocol: string | undefined = undefined
  /** What was agreed in the TLS handshake with the client. */
  readonly clientTls: TlsFacts | undefined = undefined
  /** What was agreed in the TLS handshake with the (last) server. */
  readonly serverTls: TlsFacts | undefined = undefined
  /** Milliseconds since 1970 at which the client connected. */
  readonly startedAt: number
  /** Milliseconds since 1970 at which both ends were done with. */
  readonly endedAt: number | undefined = undefined
  /** Why it ended; the first reason found. */
  readonly endReason: ConnectionEndReason | undefined = undefined
  /** What went wrong, first thing first. */
  readonly errors: readonly MitmError[]
  /** The faults that acted on it or on its exchanges, first thing first. */
  readonly faults: readonly FaultRecord[]
  /** The exchanges that began on it, in that order. */
  readonly exchanges: readonly Exchange[]

  readonly #bytes: Connection['bytes']

  /** @internal */
  constructor(connection: Connection, servers: readonly ServerRecord[], exchanges: readonly Exchange[]) {
    this.id = connection.id
    this.servers = servers
    this.exchanges = exchanges
    this.client = { ip: connection.client.ip, port: connection.client.port }
    this.startedAt = connection.startedAt
    // Shared, not copied: these grow by themselves, and no socket hangs on them.
    this.layers = connection.layers
    this.errors = connection.errors
    this.faults = connection.faults
    this.#bytes = connection.bytes
  }

  /** The server that it is or was connected to last; undefined when there was none. */
  get server(): ServerRecord | undefined {
    return this.servers.at(-1)
  }

  /** Milliseconds since 1970 at which the first server was connected. */
  get connectedAt(): number | undefined {
    return this.servers[0]?.connectedAt
  }

  /** Octets that came from the client so far: decrypted ones, but where TLS is passed through. */
  get bytesFromClient(): number {
    return this.#bytes.fromClient
  }

  /** Octets that came from the server so far, likewise. */
  get bytesFromServer(): number {
    return this.#bytes.fromServer
  }

  /** `127.0.0.1:51234 -> 10.0.0.1:443 (pay.test)`. */
  toString(): string {
    const { client, server } = this
    const name = server?.host === undefined || server.host === server.ip ? '' : ` (${server.host})`
    return `${addressText(client)} -> ${server ? addressText(server) : '<empty host>'}${name}`
  }
}

/**
 * Brings a record up to date with its connection.
 *
 * @internal
 */
export function refresh(record: ConnectionRecord, connection: Connection): void {
  const fields: { -readonly [Key in keyof ConnectionRecord]: ConnectionRecord[Key] } = record
  fields.protocol = connection.protocol?.name
  fields.clientTls = connection.clientTls
  fields.serverTls = connection.serverTls
  fields.endedAt = connection.endedAt
  fields.endReason = connection.endReason
}

/** `ip:port`, an IPv6 address in brackets, also of a host whose streams are gone; `<empty host>` when it had none. */
export function addressText(host: { readonly ip: string | undefined; readonly port: number | undefined }): string {
  if (host.ip === undefined) return '<empty host>'
  return `${host.ip.includes(':') ? `[${host.ip}]` : host.ip}:${host.port ?? '?'}`
}
