/** One message of a WebSocket. */
import { MitmError } from './errors.ts'
import type { Side } from './errors.ts'
import { parseJson } from './internal/content.ts'
import type { Deflated, Inflation } from './internal/inflation.ts'
import { maskInto, withMask } from './internal/mask.ts'
import { keepOctets, place } from './internal/slab.ts'

/** Which way a message goes. */
export type MessageDirection = 'client-to-server' | 'server-to-client'

/**
 * What became of a message: it went on as it came; it is held by a rule that has not decided yet, or by a fault; it went on
 * with other content; it went nowhere; it came from nobody, but a rule or a fault sent it.
 */
export type MessageOutcome = 'passed' | 'held' | 'changed' | 'dropped' | 'sent'

/** Octets of a message as they came, and what takes their mask off. */
interface Piece {
  readonly octets: Buffer
  readonly mask: number
  readonly phase: number
}

/** Of what is not kept anyway, so much is held until the message is whole, if those behind it refer to it. */
const MAX_HELD_BYTES = 16 * 1024 * 1024

const NO_OCTETS = Buffer.alloc(0)
const EPOCH = Date.now()

/**
 * One message of a WebSocket (RFC 6455 section 5.6), its fragments joined. What is kept of it are the octets as they came;
 * masks and compression are taken off when somebody looks.
 */
export class WebSocketMessage implements Deflated {
  /** Who sent it, or in whose name it was sent. */
  readonly from: Side
  kind: 'text' | 'binary'
  outcome: MessageOutcome = 'passed'
  /** Octets of its payload as they were on the wire: where it was compressed, fewer than {@link WebSocketMessage.size}. */
  wireBytes = 0
  /** Whether it has come whole. It has not when the connection ended in the midst of it. */
  isComplete = false
  /** As it came, where a rule or a fault changed it. */
  original: WebSocketMessage | undefined

  // Since the start of the process: small integers take no memory of their own, and every message is kept.
  #atMs = 0
  #limit: number
  readonly #inflation: Inflation | undefined
  #isCompressed: boolean
  // The only piece, if there is one: most messages come in one.
  #slab: Buffer = NO_OCTETS
  #at = 0
  #length = 0
  #mask = 0
  #pieces: Piece[] | undefined
  #keptBytes = 0
  #decoded: Buffer | undefined
  #decodedSize: number | undefined
  #problem: MitmError | undefined

  /**
   * Protocols make messages, and rules.
   *
   * @param limit - How many octets are kept of it.
   * @param inflation - What inflates it, if it is compressed.
   */
  constructor(from: Side, kind: 'text' | 'binary', limit: number, inflation?: Inflation) {
    this.from = from
    this.kind = kind
    this.#limit = limit
    this.#inflation = inflation
    this.#isCompressed = inflation !== undefined
  }

  /**
   * Makes a message whose content is known.
   *
   * @param wireBytes - Octets of its payload on the wire, where it came compressed.
   */
  static of(from: Side, kind: 'text' | 'binary', octets: Buffer, wireBytes?: number): WebSocketMessage {
    const message = new WebSocketMessage(from, kind, octets.length)
    message.#isCompressed = wireBytes !== undefined
    message.#hold(octets)
    message.wireBytes = wireBytes ?? octets.length
    message.finish()
    return message
  }

  /** Milliseconds since 1970 at which it was whole. */
  get at(): number {
    return EPOCH + this.#atMs
  }

  /** Which way it goes. */
  get direction(): MessageDirection {
    return this.from === 'client' ? 'client-to-server' : 'server-to-client'
  }

  /** Whether it was compressed (permessage-deflate, RFC 7692). */
  get isCompressed(): boolean {
    return this.#isCompressed
  }

  /** Octets of its payload, decompressed. Of a compressed one that cannot be decompressed, those on the wire. */
  get size(): number {
    if (this.#inflation) this.#decode()
    return this.#decodedSize ?? this.wireBytes
  }

  /** Whether fewer octets were kept than passed. */
  get isTruncated(): boolean {
    if (!this.#inflation && this.#decodedSize === undefined) return this.#keptBytes < this.wireBytes
    const kept = this.#decode().length
    return this.#problem ? this.#problem.code === 'MITM_BODY_TRUNCATED' : kept < (this.#decodedSize ?? kept)
  }

  /**
   * The octets kept of its payload, decompressed.
   *
   * @throws {@link MitmError} `MITM_BODY_UNDECODABLE` when it cannot be decompressed, `MITM_BODY_TRUNCATED` when that is
   *   because it, or one before it that it refers to, was not kept whole.
   */
  get octets(): Buffer {
    const octets = this.#decode()
    if (this.#problem) throw this.#problem
    return octets
  }

  /**
   * Its payload as text, whatever its kind.
   *
   * @throws {@link MitmError} `MITM_BODY_TRUNCATED` when not all of it was kept, and as `octets`.
   */
  text(): string {
    const { octets } = this
    if (this.isTruncated) {
      throw new MitmError(
        'MITM_BODY_TRUNCATED',
        `Cannot read a message of which ${octets.length} of ${this.size} octets were kept; raise maxBodyBytes`,
      )
    }
    return octets.toString('utf8')
  }

  /** Its payload as JSON. @throws as `text`, and `MITM_BODY_UNDECODABLE` when it is not JSON */
  json(): unknown {
    return parseJson(this.text())
  }

  /** `client-to-server text "hello"`, shortened. */
  toString(): string {
    return `${this.direction} ${this.kind} ${this.#preview()}${this.outcome === 'passed' ? '' : ` (${this.outcome})`}`
  }

  /**
   * For protocols: octets of the payload have come. The message may keep `octets` itself, so nobody may write to it.
   *
   * @param mask - What they are masked with, as a number; 0 for nothing.
   * @param phase - With which octet of the mask they begin.
   */
  add(octets: Buffer, mask: number, phase: number): void {
    this.wireBytes += octets.length
    const limit = this.#inflation && this.#limit > 0 ? Math.max(this.#limit, MAX_HELD_BYTES) : this.#limit
    const room = limit - this.#keptBytes
    if (room <= 0 || octets.length === 0) return
    const part = octets.length <= room ? octets : octets.subarray(0, room)
    keepOctets(part)
    if (this.#keptBytes === 0) {
      this.#slab = place.slab
      this.#at = place.at
      this.#length = part.length
      this.#mask = phase === 0 ? mask : turned(mask, phase)
    } else {
      this.#pieces ??= []
      this.#pieces.push({ octets: place.slab.subarray(place.at, place.at + part.length), mask, phase })
    }
    this.#keptBytes += part.length
  }

  /** Decompresses it now, if it is compressed, and those before it that it refers to; else when somebody looks. */
  decompress(): void {
    this.#decode()
  }

  /** For protocols: it is whole, or (`false`) will never be. */
  finish(isComplete = true): void {
    this.isComplete = isComplete
    this.#atMs = Date.now() - EPOCH
    if (!this.#inflation || !isComplete) return
    this.#inflation.add(this)
    // What is beyond the limit is not kept longer than it must be.
    if (this.wireBytes > this.#limit) this.#inflation.inflate(this)
  }

  /** For protocols: it goes on with other content. What came is in `original`. */
  changeTo(kind: 'text' | 'binary', octets: Buffer): void {
    if (!this.original) {
      const wireBytes = this.#isCompressed ? this.wireBytes : undefined
      this.original = WebSocketMessage.of(this.from, this.kind, this.#decode(), wireBytes)
      this.original.#atMs = this.#atMs
    }
    this.outcome = 'changed'
    this.kind = kind
    this.#hold(octets)
  }

  /** For protocols: from now on only so much of it is kept. */
  keepOnly(limit: number): void {
    this.#limit = limit
    if (this.#decoded && this.#decoded.length > limit) this.#decoded = Buffer.from(this.#decoded.subarray(0, limit))
    this.original?.keepOnly(limit)
  }

  /** @internal */
  deflated(): Buffer | undefined {
    return this.#keptBytes < this.wireBytes ? undefined : this.#joined()
  }

  /** @internal */
  inflated(result: Buffer | MitmError): void {
    if (result instanceof MitmError) this.#problem = result
    else this.#decodedSize = result.length
    const octets = result instanceof MitmError ? NO_OCTETS : result
    this.#decoded = octets.length > this.#limit ? Buffer.from(octets.subarray(0, this.#limit)) : octets
    this.#forget()
  }

  #hold(octets: Buffer): void {
    this.#decoded = octets
    this.#decodedSize = octets.length
  }

  #decode(): Buffer {
    if (this.#decoded) return this.#decoded
    // One that broke off is not in the order of those that can be inflated.
    if (this.#inflation && this.isComplete) this.#inflation.inflate(this)
    else if (this.#inflation)
      this.inflated(new MitmError('MITM_BODY_TRUNCATED', 'Cannot inflate a message that is not complete'))
    return (this.#decoded ??= this.#joined())
  }

  #joined(): Buffer {
    const first = this.#slab.subarray(this.#at, this.#at + this.#length)
    if (!this.#pieces) return withMask(first, this.#mask)
    const joined = Buffer.allocUnsafe(this.#keptBytes)
    let at = 0
    for (const { octets, mask, phase } of [{ octets: first, mask: this.#mask, phase: 0 }, ...this.#pieces]) {
      maskInto(joined, at, octets, mask, phase)
      at += octets.length
    }
    return joined
  }

  #forget(): void {
    this.#slab = NO_OCTETS
    this.#at = this.#length = 0
    this.#pieces = undefined
  }

  #preview(): string {
    try {
      const { octets, size } = this
      if (this.kind === 'binary') return `${size} octets`
      const text = octets.toString('utf8', 0, 80)
      return JSON.stringify(size > 80 ? `${text}…` : text)
    } catch {
      return `${this.wireBytes} octets, compressed`
    }
  }
}

function turned(mask: number, phase: number): number {
  return (mask << (8 * phase)) | (mask >>> (32 - 8 * phase))
}
