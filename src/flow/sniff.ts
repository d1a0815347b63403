/**
 * Finds out what a client speaks, one layer at a time: TLS by its first octet, everything else by asking the protocols
 * in order. Each layer that is taken off (CONNECT, SOCKS, TLS) leads back here.
 */
import { InvalidProtocol, isMitmError, MitmError, systemCode } from '../errors.ts'
import type { Side } from '../errors.ts'
import { readChunk } from '../internal/read-chunk.ts'
import type { Protocol } from '../protocol.ts'
import { looksLikeTls } from '../tls/client-hello.ts'
import { refusalText } from '../tls/client-refusal.ts'
import { alertOf } from '../tls-alert.ts'
import { isTrusting, noteTrust } from './trusting-browsers.ts'
import { clientReset } from './coded-error.ts'
import type { LiveConnection } from './live-connection.ts'
import { interceptTls } from './secure.ts'
import type { Handshake } from './secure.ts'

/** How long a client that does not like a certificate takes to say so by closing. */
const REFUSAL_MS = 100

/**
 * Sniffs what follows on the client's stream, and relays it to the end.
 *
 * @param handshake - The TLS handshake that was just finished, if this is what is inside.
 */
export async function unwrap(live: LiveConnection, data: Buffer, handshake?: Handshake): Promise<void> {
  const { connection } = live
  const first = data.length > 0 ? data : await firstOctets(live)
  const isLeaving = first === 'gone' || first === 'ended'
  if (isLeaving && handshake?.isFaulty && connection.endReason !== 'mitm-closed') {
    // As it should: whichever way a client takes to refuse what it was shown.
    connection.endReason = 'fault'
    return
  }
  if (!isLeaving && handshake && handshake.fault === undefined) noteTrust(live)
  const doubt = isLeaving && handshake ? doubtTrust(live, handshake) : undefined
  if (doubt) live.report(doubt)
  if (first === 'gone' || (first === 'ended' && !live.serverStream)) {
    connection.end('client-closed')
    return
  }
  if (typeof first !== 'string' && looksLikeTls(first)) {
    const finished = await interceptTls(live, first)
    if (!finished) return
    await live.context.pipeline.observe('connectionChanged', connection)
    await unwrap(live, Buffer.alloc(0), finished)
    return
  }
  const reader = new LayerReader(live)
  if (typeof first !== 'string') await reader.take(first)
  await dispatch(live, reader)
}

/**
 * The error of a client that does not trust its certificate, as far as that can be told: Node's clients finish a
 * handshake of TLS 1.3 before they look at the certificate, and then just close.
 */
function doubtTrust(live: LiveConnection, { fault, hostname, finishedAt }: Handshake): MitmError | undefined {
  const { connection } = live
  if (connection.endReason === 'server-reset' || connection.endReason === 'mitm-closed') return undefined
  if (fault !== undefined) {
    const text = `Showed the client that the certificate of ${hostname} is bad (${fault}), and it left`
    return new MitmError('MITM_SERVER_CERTIFICATE', text, { side: 'server', authority: hostname })
  }
  const error = live.clientStream.errored ?? undefined
  if (alertOf(error) === undefined && (performance.now() - finishedAt > REFUSAL_MS || isTrusting(live)))
    return undefined
  const text = `The client that asked for ${hostname} left right after the TLS handshake, without a request: ${refusalText(hostname, error)}`
  return new MitmError('MITM_CLIENT_TLS_FAILED', text, { side: 'client', authority: hostname, cause: error })
}

/** Hands the first octets to one protocol after the other until one takes them. */
async function dispatch(live: LiveConnection, reader: LayerReader): Promise<void> {
  const { connection, context } = live
  for (const protocol of context.protocols) {
    // Sequential by nature: the first that fits wins, and the later ones must not see the connection.
    if (await accepts(live, reader, protocol)) {
      await context.pipeline.observe('connectionChanged', connection)
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
    const passed = await this.#passed(own)
    this.octets = this.octets.length > 0 ? Buffer.concat([this.octets, passed]) : passed
  }

  async #passed(own: Buffer): Promise<Buffer> {
    const { connection, context } = this.#live
    try {
      return await connection.clientData(own)
    } catch (error) {
      if (connection.destination || !isMitmError(error)) throw error
      const raw = this.#raw
      context.protocols.find((protocol) => protocol.layerLength(raw) !== undefined)?.refuse(connection, raw, error)
      throw error
    }
  }

  /** Reads more; false when nothing more comes in time, or the server speaks before it has come. */
  async more(waitMs: number): Promise<boolean> {
    const { connection } = this.#live
    const left = Math.min(waitMs, this.#deadline - performance.now())
    if (this.hasEnded || left <= 0) return false
    const said = await whoSpeaks(this.#live, { timeoutMs: left })
    if (said === 'end' || said === 'gone') this.hasEnded = true
    if (connection.endReason === 'client-reset') throw clientReset(connection)
    if (typeof said === 'string') return false
    await this.take(said)
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
async function firstOctets(live: LiveConnection): Promise<Buffer | 'gone' | 'ended' | 'silent'> {
  const { connection, context } = live
  const { handshakeTimeoutMs, firstBytesWaitMs, idleTimeoutMs } = context.options
  const isTunnelled = connection.destination !== undefined
  const drained = new AbortController()
  // Outside of a tunnel and of TLS nothing has been decided yet that could be decided otherwise by now.
  if (isTunnelled || connection.clientTls) live.listen({ drain: () => drained.abort() })
  // A server that is dialled may speak first, but the client is given a moment.
  const { signal } = drained
  let said = live.serverStream
    ? await whoSpeaks(live, { timeoutMs: firstBytesWaitMs, signal, only: 'client' })
    : 'timeout'
  if (said === 'timeout' && !signal.aborted) {
    said = await whoSpeaks(live, { timeoutMs: isTunnelled ? idleTimeoutMs : handshakeTimeoutMs, signal })
  }
  if (said === 'timeout' && signal.aborted) {
    connection.end('mitm-closed')
    return 'gone'
  }
  if (typeof said !== 'string' || said === 'gone') return said
  if (said === 'server') return 'silent'
  if (said === 'end') return 'ended'
  if (isTunnelled) {
    connection.end('idle-timeout')
    return 'gone'
  }
  const text = `Closed ${connection.client}: it sent nothing for ${handshakeTimeoutMs} ms`
  throw new MitmError('MITM_SILENT_CLIENT', text, { side: 'client' })
}

/**
 * Waits for octets of the client, or for a dialled server to speak first; what that says is put back for the relay. A
 * reset of one is passed on to the other.
 */
async function whoSpeaks(
  live: LiveConnection,
  {
    timeoutMs,
    signal: giveUp,
    only,
  }: { readonly timeoutMs: number; readonly signal?: AbortSignal; readonly only?: 'client' },
): Promise<Buffer | 'server' | 'timeout' | 'end' | 'gone'> {
  const { connection, signal, serverStream: server } = live
  const client = connection.client.reader
  if (!client) return 'gone'
  const stop = new AbortController()
  const signals = [stop.signal, signal]
  if (giveUp) signals.push(giveUp)
  const options = { timeoutMs, signal: AbortSignal.any(signals) }
  const fromClient = readChunk(client, options)
  const fromServer = server && only === undefined ? readChunk(server, options) : undefined
  await Promise.race([fromClient, fromServer ?? fromClient]).catch(() => undefined)
  stop.abort()
  // Both: who was not waited for may have taken octets all the same.
  const [said, heard] = await Promise.allSettled([fromClient, fromServer])
  const fromThere = heard.status === 'fulfilled' ? heard.value : undefined
  if (server && typeof fromThere === 'object') server.unshift(fromThere)
  if (isReset(said) || (said.status === 'fulfilled' && said.value === 'end' && live.hasReset('client'))) {
    return passReset(live, 'client')
  }
  if (said.status === 'fulfilled' && said.value !== 'timeout') return said.value
  if (isReset(heard) || (fromThere === 'end' && live.hasReset('server'))) return passReset(live, 'server')
  if (signal.aborted) return 'gone'
  return fromThere !== undefined && fromThere !== 'timeout' ? 'server' : 'timeout'
}

function isReset(outcome: PromiseSettledResult<unknown>): boolean {
  return outcome.status === 'rejected' && systemCode(outcome.reason) !== undefined
}

function passReset(live: LiveConnection, side: Side): 'gone' {
  live.connection.end(`${side}-reset`)
  live.reset(side === 'client' ? 'server' : 'client')
  return 'gone'
}

function preview(octets: Buffer): string {
  return JSON.stringify(octets.toString('latin1', 0, 24))
}
