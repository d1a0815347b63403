/** One end of a connection. */
import type { Readable, Writable } from 'node:stream'

/** What a {@link Host} is made of. */
export interface HostOptions {
  /** Where its bytes come from. */
  reader?: Readable | undefined
  /** Where bytes for it go; usually the same socket. */
  writer?: Writable | undefined
  /** Whether the mitm closes this host when it is done. @defaultValue `true` */
  mitmManaged?: boolean | undefined
}

/**
 * One end of a connection: a readable and a writable. Either the client, which connected to the mitm, or the server, to
 * which the mitm connected on its behalf.
 *
 * A host that is not connected yet (the server, before the destination is known) has neither; its text is
 * `<empty host>`.
 *
 * Ownership: while `mitmManaged` is true the mitm closes the host. Set it to false at any time before the end, and the
 * mitm will leave the host open, stop reading from it, and leave it to you to close.
 */
export class Host {
  /** Where its bytes come from: decrypted ones, once TLS has been intercepted. */
  reader: Readable | undefined
  /** Where bytes for it go. */
  writer: Writable | undefined
  /** Whether the mitm closes this host when it is done with it. */
  mitmManaged: boolean
  /** The address at the other end of the socket, without brackets. */
  ip: string | undefined
  /** The port at the other end of the socket. */
  port: number | undefined

  #hasConnected = false

  constructor(options: HostOptions = {}) {
    this.mitmManaged = options.mitmManaged ?? true
    this.reader = undefined
    this.writer = undefined
    this.ip = undefined
    this.port = undefined
    if (options.reader ?? options.writer) this.attach(options.reader, options.writer)
  }

  /** Whether this host has been connected (it stays true after the end). */
  get isConnected(): boolean {
    return this.#hasConnected || this.writer !== undefined
  }

  /**
   * Sets the streams of this host, and takes address and port from the writer when it is a socket.
   *
   * @param reader - Where its bytes come from.
   * @param writer - Where bytes for it go.
   */
  attach(reader: Readable | undefined, writer: Writable | undefined): void {
    this.reader = reader
    this.writer = writer
    this.#hasConnected ||= writer !== undefined
    // A stream laid over a socket may not know its address: then the one found first stays.
    if (writer && 'remoteAddress' in writer && typeof writer.remoteAddress === 'string') this.ip = writer.remoteAddress
    if (writer && 'remotePort' in writer && typeof writer.remotePort === 'number') this.port = writer.remotePort
  }

  /** Lets go of the streams, so that what keeps this host does not keep them; address and port stay. */
  detach(): void {
    this.reader = undefined
    this.writer = undefined
  }

  /** `ip:port`, with an IPv6 address in brackets, or `<empty host>`. */
  toString(): string {
    if (!this.isConnected) return '<empty host>'
    return `${this.ip?.includes(':') ? `[${this.ip}]` : (this.ip ?? '?')}:${this.port ?? '?'}`
  }
}
