/**
 * HTTP/2 (RFC 9113), chosen by ALPN or known beforehand. Where nobody could touch what passes, it is relayed as octets with an
 * observer beside it; where somebody could, it is taken apart by a bridge.
 */
import type { Connection } from '../../connection.ts'
import { InvalidProtocol, isMitmError } from '../../errors.ts'
import { Protocol } from '../../protocol.ts'
import type { Destination } from '../../protocol.ts'
import { Bridge } from './bridge.ts'
import { PREFACE } from './frame.ts'
import { relayHttp2 } from './relay.ts'

/** Relays and bridges HTTP/2. */
export class Http2 extends Protocol {
  /** The first octets of each connection whose session is about to begin. */
  readonly #first = new WeakMap<Connection, Buffer>()

  override get name(): string {
    return 'http/2'
  }

  override get alpnProtocols(): readonly string[] {
    return ['h2']
  }

  resolve(connection: Connection, data: Buffer): Destination {
    const known = Math.min(data.length, PREFACE.length)
    if (known === 0 || !data.subarray(0, known).equals(PREFACE.subarray(0, known))) {
      throw new InvalidProtocol('The first octets are not the preface of HTTP/2')
    }
    if (known < PREFACE.length) throw new InvalidProtocol('The preface of HTTP/2 is not whole', { incomplete: true })
    // Outside of tunnels each request says where it is for; this stands for all of them.
    const host = connection.clientTls?.serverName ?? connection.client.ip ?? 'localhost'
    return connection.destination ?? { host, port: 443, tls: connection.clientTls !== undefined }
  }

  override connect(connection: Connection, _: Destination, data: Buffer): Promise<void> {
    this.#first.set(connection, data)
    return Promise.resolve()
  }

  override async handle(connection: Connection): Promise<void> {
    const first = this.#first.get(connection) ?? Buffer.alloc(0)
    this.#first.delete(connection)
    connection.layers.push('http/2')
    if (await canRelay(connection)) await relayHttp2(connection, first, this.bufferSize)
    else await new Bridge(connection, this.bufferSize).run(first)
  }
}

/** Whether octets can pass as they are: nobody could touch them, and the server speaks HTTP/2 as well. Connects it, then. */
async function canRelay(connection: Connection): Promise<boolean> {
  const { destination, flow, isTunnelled, clientTls } = connection
  if (!isTunnelled || !destination || flow.mayIntercept(destination)) return false
  // Only who takes exchanges apart can answer one that the server does not answer in time.
  if (flow.settings.responseTimeoutMs !== undefined) return false
  try {
    await connection.open(destination)
  } catch (error) {
    // A failure is told to the client in answer to its requests.
    if (isMitmError(error)) return false
    throw error
  }
  // In clear, nobody has said what the server speaks: what its client takes it for.
  return connection.serverTls ? connection.serverTls.alpn === 'h2' : clientTls === undefined
}
