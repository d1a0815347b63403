/**
 * Finds out what a client speaks, one layer at a time: TLS by its first octet, everything else by asking the protocols
 * in order. Each layer that is taken off (CONNECT, SOCKS, TLS) leads back here.
 */
import type { Duplex, Readable } from 'node:stream'

import { InvalidProtocol, MitmError, systemCode } from '../errors.ts'
import { readChunk } from '../internal/read-chunk.ts'
import type { Protocol } from '../protocol.ts'
import { looksLikeTls } from '../tls/client-hello.ts'
import type { LiveConnection } from './live-connection.ts'
import { interceptTls } from './secure.ts'

/** Sniffs what follows on the client's stream, and relays it to the end. */
export async function unwrap(live: LiveConnection, data: Buffer): Promise<void> {
  const first = data.length > 0 ? data : await firstOctets(live)
  if (first === 'gone') {
    live.connection.end('client-closed')
    return
  }
  if (first !== 'silent' && looksLikeTls(first)) {
    await interceptTls(live, first)
    return unwrap(live, Buffer.alloc(0))
  }
  const reader = new LayerReader(live)
  if (first !== 'silent') await reader.take(first)
  return dispatch(live, reader)
}

/** Hands the first octets to one protocol after the other until one takes them. */
async function dispatch(live: LiveConnection, reader: LayerReader): Promise<void> {
  const { connection, context } = live
  for (const protocol of context.protocols) {
    // Sequential by nature: the first that fits wins, and the later ones must not see the connection.
    if (await accepts(live, reader, protocol)) {
      await protocol.handle(connection)
      return
    }
  }
  if (reader.hasEnded && reader.octets.length === 0) {
    connection.end('client-closed')
    return
  }
  if (reader.unfinished) {
    const why = reader.hasEnded
      ? 'it closed the connection'
      : `nothing more for ${context.options.handshakeTimeoutMs} ms`
    const text = `Cannot read what ${connection.client} sent as ${reader.unfinished}: ${reader.octets.length} octets came, then ${why}`
    throw new MitmError('MITM_INCOMPLETE_HANDSHAKE', text, { side: 'client' })
  }
  throw new MitmError(
    'MITM_NO_PROTOCOL',
    `Cannot relay what ${connection.client} sent: ${reader.octets.length} octets starting ${preview(reader.octets)} fit none of ${context.protocols.map(({ name }) => name).join(', ')}`,
    { side: 'client' },
  )
}

async function accepts(live: LiveConnection, reader: LayerReader, protocol: Protocol): Promise<boolean> {
  const { connection } = live
  const before = { destination: connection.destination, protocol: connection.protocol }
  while (reader.octets.length > 0 && reader.octets.length < protocol.bytesNeeded) {
    if (!(await reader.more(live.context.options.firstBytesWaitMs))) break
  }
  for (;;) {
    try {
      const data = reader.octets
      const destination = await protocol.resolve(connection, data)
      connection.destination ??= destination
      connection.protocol = protocol
      await protocol.connect(connection, destination, data)
      return true
    } catch (error) {
      if (!(error instanceof InvalidProtocol)) throw error
      Object.assign(connection, before)
      if (error.incomplete && (await reader.more(error.waitMs ?? live.context.options.handshakeTimeoutMs))) continue
      if (error.incomplete && reader.octets.length > 0) reader.unfinished ??= protocol.name
      return false
    }
  }
}

/** The octets of one layer, as far as they were read and have passed `clientData`. */
class LayerReader {
  readonly #live: LiveConnection
  readonly #deadline: number
  #raw: Buffer = Buffer.alloc(0)
  octets: Buffer = Buffer.alloc(0)
  hasEnded = false
  /** The protocol that would have needed more. */
  unfinished: string | undefined

  constructor(live: LiveConnection) {
    this.#live = live
    this.#deadline = performance.now() + live.context.options.handshakeTimeoutMs
  }

  async take(chunk: Buffer): Promise<void> {
    const { connection } = this.#live
    const own = this.#ownPart(chunk)
    // What follows a CONNECT or SOCKS request belongs to the next layer: it may be TLS, which no hook sees.
    if (own.length < chunk.length) connection.client.reader?.unshift(chunk.subarray(own.length))
    this.#raw = this.#raw.length > 0 ? Buffer.concat([this.#raw, own]) : own
    const passed = await connection.clientData(own)
    this.octets = this.octets.length > 0 ? Buffer.concat([this.octets, passed]) : passed
  }

  /** Reads more; false when nothing more comes in time. */
  async more(waitMs: number): Promise<boolean> {
    const { connection, signal } = this.#live
    const left = Math.min(waitMs, this.#deadline - performance.now())
    const reader = connection.client.reader
    if (this.hasEnded || left <= 0 || !reader) return false
    const chunk = await readChunk(reader, { timeoutMs: left, signal })
    if (chunk === 'timeout') return false
    if (chunk === 'end') {
      this.hasEnded = true
      return false
    }
    await this.take(chunk)
    return true
  }

  #ownPart(chunk: Buffer): Buffer {
    const raw = this.#raw.length > 0 ? Buffer.concat([this.#raw, chunk]) : chunk
    // Inside a tunnel there is one layer less to come, and octets that look like its head are somebody else's.
    if (this.#live.connection.destination) return chunk
    let length: number | undefined
    for (const protocol of this.#live.context.protocols) length ??= protocol.layerLength(raw)
    return length === undefined ? chunk : chunk.subarray(0, Math.max(0, length - this.#raw.length))
  }
}

/** Waits for somebody to speak. Outside of tunnels that must be the client. */
async function firstOctets(live: LiveConnection): Promise<Buffer | 'gone' | 'silent'> {
  const { connection, context, signal } = live
  const reader = connection.client.reader
  if (!reader) return 'gone'
  try {
    if (!connection.destination) {
      const chunk = await readChunk(reader, { timeoutMs: context.options.handshakeTimeoutMs, signal })
      if (chunk !== 'timeout') return chunk === 'end' ? 'gone' : chunk
      const text = `Closed ${connection.client}: it sent nothing for ${context.options.handshakeTimeoutMs} ms`
      throw new MitmError('MITM_SILENT_CLIENT', text, { side: 'client' })
    }
    const server = live.serverStream
    // A host that may be answered here is not dialled, so no server can speak first.
    if (!server) {
      const chunk = await readChunk(reader, { timeoutMs: context.options.idleTimeoutMs, signal })
      return typeof chunk === 'string' ? 'gone' : chunk
    }
    const chunk = await readChunk(reader, { timeoutMs: context.options.firstBytesWaitMs, signal })
    if (chunk === 'end') return 'silent'
    return chunk === 'timeout' ? await whoSpeaksFirst(reader, server, live) : chunk
  } catch (error) {
    if (systemCode(error) !== 'ECONNRESET') throw error
    connection.end('client-reset')
    return 'gone'
  }
}

/** Waits for either end. What the server says is put back for the relay. */
async function whoSpeaksFirst(
  client: Readable,
  server: Duplex,
  { context, signal }: LiveConnection,
): Promise<Buffer | 'gone' | 'silent'> {
  const stop = new AbortController()
  const options = { timeoutMs: context.options.idleTimeoutMs, signal: AbortSignal.any([stop.signal, signal]) }
  const fromClient = readChunk(client, options)
  const fromServer = readChunk(server, options)
  await Promise.race([fromClient, fromServer]).catch(() => undefined)
  stop.abort()
  const [said, heard] = await Promise.allSettled([fromClient, fromServer])
  if (heard.status === 'fulfilled' && typeof heard.value !== 'string') server.unshift(heard.value)
  if (said.status === 'fulfilled' && typeof said.value !== 'string') return said.value
  if (said.status === 'fulfilled' && said.value === 'timeout') return 'gone'
  return 'silent'
}

function preview(octets: Buffer): string {
  return JSON.stringify(octets.toString('latin1', 0, 24))
}
