/** The servers that a connection has beside its own: HTTP/2 clients send requests for several over one connection. */
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'

import type { OtherServer } from '../connection.ts'
import { Host } from '../host.ts'
import { closeGracefully, resetSoon } from './close.ts'

/** A server that is connected, and secured if its destination says so. */
export interface ConnectedServer {
  readonly raw: Socket
  readonly tls: TLSSocket | undefined
}

/** Who is told of servers. */
export interface ServersTold {
  /** A host has been connected. */
  connected(host: Host): Promise<void>
  /** A host is gone. */
  disconnected(host: Host): Promise<void>
}

/** Keeps account of the other servers of one connection, until each of them is gone. */
export class OtherServers {
  readonly #flushMs: number
  readonly #told: ServersTold
  readonly #open = new Map<Host, { readonly raw: Socket; readonly gone: Promise<void> }>()
  readonly #closing = new Map<Socket, Promise<void>>()

  /**
   * @param flushMs - Milliseconds for what was written to a server to go out, when it is closed.
   * @param told - Neither may reject.
   */
  constructor(flushMs: number, told: ServersTold) {
    this.#flushMs = flushMs
    this.#told = told
  }

  /** Takes a server that has just been connected. */
  async add({ raw, tls }: ConnectedServer): Promise<OtherServer> {
    const stream = tls ?? raw
    const host = new Host({ reader: stream, writer: stream })
    const closed = new Promise<void>((resolve) => {
      raw.once('close', resolve)
      if (raw.destroyed) resolve()
    })
    const gone = closed.then(() => this.#told.disconnected(host)).finally(() => this.#open.delete(host))
    this.#open.set(host, { raw, gone })
    await this.#told.connected(host)
    return {
      host,
      alpn: tls?.alpnProtocol || undefined,
      close: () => this.#close(raw, () => closeGracefully(stream, raw, this.#flushMs)),
      reset: () => this.#close(raw, () => resetSoon(stream, raw)),
    }
  }

  /** Closes all of them. Resolves when the last one is gone. */
  async close(): Promise<void> {
    for (const [{ writer }, { raw }] of this.#open) {
      this.#close(raw, () => closeGracefully(writer, raw, this.#flushMs))
    }
    await Promise.all([...this.#open.values()].map(({ gone }) => gone))
  }

  /** Closes all of them now. */
  destroy(): void {
    for (const { raw } of this.#open.values()) raw.destroy()
  }

  #close(raw: Socket, close: () => Promise<void>): void {
    // Neither rejects. The first way counts: a reset has no graceful end behind it.
    if (!this.#closing.has(raw)) this.#closing.set(raw, close())
  }
}
