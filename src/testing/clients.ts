/** Clients as tests need them: raw ones, through CONNECT, through SOCKS5, in TLS. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import type { ConnectionOptions, TLSSocket } from 'node:tls'

import { Wire } from './wire.ts'

/** A proxy to connect to: a `Mitm` is one. */
export interface ProxyAddress {
  readonly port: number
}

/** Connects to a port of the loopback interface. */
export async function connectTo({ port }: ProxyAddress, host = '127.0.0.1'): Promise<Wire> {
  const socket = connect({ port, host, allowHalfOpen: true, noDelay: true })
  await once(socket, 'connect')
  return new Wire(socket)
}

/** Opens a tunnel by CONNECT. @throws when it is refused */
export async function tunnelTo(proxy: ProxyAddress, authority: string): Promise<Wire> {
  const wire = await connectTo(proxy)
  wire.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n\r\n`)
  const head = await wire.until('\r\n\r\n')
  if (!head.startsWith('HTTP/1.1 200 ')) throw new Error(`CONNECT ${authority}: ${head}`)
  return wire
}

/** The SOCKS5 request (RFC 1928 section 4) to connect to a name. */
export function socks5Request(host: string, port: number, command = 1): Buffer {
  const name = Buffer.from(host)
  return Buffer.from([5, command, 0, 3, name.length, ...name, port >> 8, port & 0xff])
}

/** Opens a tunnel by SOCKS5, without authentication. @throws when it is refused */
export async function socksTo(proxy: ProxyAddress, host: string, port: number): Promise<Wire> {
  const wire = await connectTo(proxy)
  wire.write(Buffer.from([5, 1, 0]))
  await wire.take(2)
  wire.write(socks5Request(host, port))
  const reply = await wire.take(10)
  if (reply[1] !== 0) throw new Error(`SOCKS5 reply ${reply[1]} for ${host}:${port}`)
  return wire
}

/** A TLS client. */
export interface SecureWire extends Wire {
  readonly socket: TLSSocket
}

/** How {@link secureWire} does it. */
export interface SecureWireOptions extends ConnectionOptions {
  /** Is given the secrets of the handshake, line by line. */
  readonly onKeyLog?: (line: Buffer) => void
}

/**
 * Does the TLS handshake over a wire, as its client.
 *
 * @throws the error of the handshake, with its code.
 */
export async function secureWire(wire: Wire, options: SecureWireOptions): Promise<SecureWire> {
  wire.socket.removeAllListeners('data')
  const socket = connectTls({ socket: wire.socket, ...options })
  if (options.onKeyLog) socket.on('keylog', options.onKeyLog)
  const failed = new Promise<never>((_, reject) => {
    socket.once('error', reject)
    socket.once('close', () => reject(Object.assign(new Error('closed during the handshake'), { code: 'CLOSED' })))
  })
  await Promise.race([once(socket, 'secureConnect'), failed])
  // Boundary: a Wire's socket is the one it was made of.
  return new Wire(socket) as SecureWire
}

/**
 * As {@link secureWire}, with the ClientHello in the same packet as what opens the tunnel.
 *
 * @param prelude - What opens the tunnel.
 * @param takeReply - Takes the answer to it.
 */
export async function secureAtOnce(
  wire: Wire,
  prelude: string | Buffer,
  takeReply: (wire: Wire) => Promise<unknown>,
  options: ConnectionOptions,
): Promise<SecureWire> {
  const socket = connectTls({ socket: new Prefixed(wire, Buffer.from(prelude), takeReply), ...options })
  const failed = once(socket, 'close').then(() => Promise.reject(new Error('closed during the handshake')))
  await Promise.race([once(socket, 'secureConnect'), failed])
  failed.catch(() => undefined)
  // Boundary: a Wire's socket is the one it was made of.
  return new Wire(socket) as SecureWire
}

/** A stream over a wire that writes a prelude together with the first chunk, and takes the reply to it away. */
class Prefixed extends Duplex {
  readonly #wire: Wire
  #prelude: Buffer

  constructor(wire: Wire, prelude: Buffer, takeReply: (wire: Wire) => Promise<unknown>) {
    super()
    this.#wire = wire
    this.#prelude = prelude
    // Reports its own errors, by destroying this stream.
    void this.#open(takeReply)
  }

  async #open(takeReply: (wire: Wire) => Promise<unknown>): Promise<void> {
    const wire = this.#wire
    try {
      await takeReply(wire)
    } catch (error) {
      this.destroy(error instanceof Error ? error : undefined)
      return
    }
    if (wire.buffered.length > 0) this.push(wire.buffered)
    wire.socket.on('data', (chunk: Buffer) => this.push(chunk))
    wire.socket.on('end', () => this.push(null))
    wire.socket.on('close', () => this.destroy())
  }

  override _read(): void {
    // Everything is pushed as it comes.
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#wire.socket.write(Buffer.concat([this.#prelude, chunk]), done)
    this.#prelude = Buffer.alloc(0)
  }
}

/** A response, taken from the wire. */
export interface WireResponse {
  readonly status: number
  /** The whole head, as it came. */
  readonly head: string
  readonly headers: Readonly<Record<string, string>>
  /** Without transfer coding. */
  readonly body: Buffer
}

/**
 * Takes one response, its body by content-length, chunks or the end of the connection.
 *
 * @param method - Of the request: a response to HEAD has no body.
 */
export async function takeResponse(wire: Wire, method = 'GET'): Promise<WireResponse> {
  const head = await wire.until('\r\n\r\n')
  const [statusLine = '', ...lines] = head.trimEnd().split('\r\n')
  const status = Number(statusLine.split(' ')[1])
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  )
  return { status, head, headers, body: await takeBody(wire, method, status, headers) }
}

async function takeBody(
  wire: Wire,
  method: string,
  status: number,
  headers: Readonly<Record<string, string>>,
): Promise<Buffer> {
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) return Buffer.alloc(0)
  if (/chunked/i.test(headers['transfer-encoding'] ?? '')) {
    const chunks: Buffer[] = []
    for (;;) {
      const size = Number.parseInt(await wire.until('\r\n'), 16)
      chunks.push(await wire.take(size))
      await wire.until('\r\n')
      if (size === 0) return Buffer.concat(chunks)
    }
  }
  const length = headers['content-length']
  return length === undefined ? Buffer.from(await wire.rest(), 'latin1') : wire.take(Number(length))
}
