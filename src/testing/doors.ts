/** The ways into a mitm, and the server behind it: pairs of ends for scripted conversations. */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import { connect as connectTls, TLSSocket } from 'node:tls'

import { readChunk } from '../internal/read-chunk.ts'
import type { CertificateAuthority } from '../tls/certificate-authority.ts'
import type { End } from './conversation.ts'

export type { End } from './conversation.ts'

/** An authority that a client trusts. */
type Trusted = Pick<CertificateAuthority, 'certificate'>

/** A way into a mitm. */
export type Door = 'connect' | 'socks5' | 'connect-tls' | 'socks5-tls'

/** All ways into a mitm. */
export const DOORS: readonly Door[] = ['connect', 'socks5', 'connect-tls', 'socks5-tls']

/** The name under which the origin is asked for; the option `hosts` must map it. */
export const ORIGIN_NAME = 'origin.test'

/** Whether there is TLS behind a door. */
export function isSecure(door: Door): boolean {
  return door.endsWith('tls')
}

/** A server that hands out the connections made to it, one by one. */
export class Origin {
  readonly #server: Server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true })
  readonly #authority: CertificateAuthority | undefined
  /** What it offers in TLS, and who enters it. */
  readonly alpnProtocols: readonly string[] | undefined
  readonly #sockets: Socket[] = []
  readonly #waiting: ((socket: Socket) => void)[] = []
  readonly #all = new Set<Socket>()

  /**
   * @param authority - Signs its certificate; without one it does not speak TLS.
   * @param alpnProtocols - What both ends offer in TLS. @defaultValue nothing
   */
  constructor(authority?: CertificateAuthority, alpnProtocols?: readonly string[]) {
    this.#authority = authority
    this.alpnProtocols = alpnProtocols
    this.#server.on('connection', (socket) => {
      socket.on('error', () => undefined)
      this.#all.add(socket)
      socket.once('close', () => this.#all.delete(socket))
      const take = this.#waiting.shift()
      if (take) take(socket)
      else this.#sockets.push(socket)
    })
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
  }

  get port(): number {
    const address = this.#server.address()
    return typeof address === 'object' && address ? address.port : 0
  }

  /** Takes the next connection, before anything is said on it. */
  async acceptRaw(): Promise<Socket> {
    return this.#sockets.shift() ?? (await new Promise<Socket>((resolve) => this.#waiting.push(resolve)))
  }

  /** Takes the next connection; in TLS, when the handshake is done. */
  async accept(): Promise<End> {
    const raw = await this.acceptRaw()
    if (!this.#authority) return { stream: raw, raw }
    const secureContext = await this.#authority.contextFor(ORIGIN_NAME)
    const stream = new TLSSocket(raw, { isServer: true, secureContext, ...alpn(this.alpnProtocols) })
    stream.on('error', () => undefined)
    await once(stream, 'secure')
    return { stream, raw }
  }

  /** Gives up connections that were waited for or not taken, so that they are not mistaken for those of the next script. */
  forget(): void {
    this.#waiting.length = 0
    for (const socket of this.#sockets.splice(0)) socket.destroy()
  }

  /** From now on closes connections that nobody takes when the other side has. */
  closeOthers(): void {
    const close = (socket: Socket): void => void socket.resume().once('end', () => socket.end())
    for (const socket of this.#sockets.splice(0)) close(socket)
    this.#server.on('connection', close)
  }

  /** Connects to it without a mitm. */
  async dial(): Promise<End> {
    const raw = await dial(this.port)
    return this.#authority ? secure(raw, this.#authority, this.alpnProtocols) : { stream: raw, raw }
  }

  close(): void {
    this.#server.close()
    for (const socket of this.#all) socket.destroy()
  }
}

/** Connects to the origin through a mitm. */
export async function enter(
  door: Door,
  mitmPort: number,
  authority: Trusted,
  alpnProtocols?: readonly string[],
): Promise<End> {
  const raw = await dial(mitmPort)
  if (door.startsWith('connect')) {
    raw.write(`CONNECT ${ORIGIN_NAME}:443 HTTP/1.1\r\nHost: ${ORIGIN_NAME}:443\r\n\r\n`)
    await skipAnswer(raw, (text) => (text.startsWith('HTTP/1.1 200 ') ? text.indexOf('\r\n\r\n') + 4 : 0))
  } else {
    const name = Buffer.from(ORIGIN_NAME)
    raw.write(Buffer.from([5, 1, 0]))
    await skipAnswer(raw, (text) => (text.startsWith('\u0005\0') ? 2 : 0))
    raw.write(Buffer.concat([Buffer.from([5, 1, 0, 3, name.length]), name, Buffer.from([1, 187])]))
    await skipAnswer(raw, (text) => (text.startsWith('\u0005\0') ? 10 : 0))
  }
  return isSecure(door) ? secure(raw, authority, alpnProtocols) : { stream: raw, raw }
}

/** Connects to a port of the loopback interface; the socket allows half-open ends. */
export async function dial(port: number): Promise<Socket> {
  const raw = connect({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true })
  await once(raw, 'connect')
  raw.on('error', () => undefined)
  return raw
}

/** Reads what the mitm answers, of which `lengthOf` tells the length; what follows it is put back. */
async function skipAnswer(raw: Socket, lengthOf: (text: string) => number): Promise<void> {
  const answer = await readChunk(raw, { timeoutMs: 5000 })
  const text = typeof answer === 'string' ? answer : answer.toString('latin1')
  const length = lengthOf(text)
  if (typeof answer === 'string' || length === 0) throw new Error(`The mitm answered ${JSON.stringify(text)}`)
  if (length < answer.length) raw.unshift(answer.subarray(length))
}

function alpn(protocols: readonly string[] | undefined): { ALPNProtocols?: string[] } {
  return protocols ? { ALPNProtocols: [...protocols] } : {}
}

async function secure(raw: Socket, authority: Trusted, protocols?: readonly string[]): Promise<End> {
  const stream = connectTls({ socket: raw, servername: ORIGIN_NAME, ca: authority.certificate, ...alpn(protocols) })
  stream.on('error', () => undefined)
  await once(stream, 'secureConnect')
  return { stream, raw }
}
