/**
 * What a session of `node:http2` writes on its way to the socket: frames of other making can be put between its own, and
 * some of its own held back or dropped. While nobody wants that, octets pass as they come. Does no I/O.
 */
import { FRAME, FRAME_HEAD_BYTES, PREFACE } from './frame.ts'

/** What is done with a frame. One that is held is handed to whoever wants it so, and does not pass. */
export type Verdict = 'pass' | 'drop' | 'hold'

/** Decides about a frame that a session wants to send. */
export type FrameFilter = (type: number, streamId: number, flags: number) => Verdict

const START = PREFACE.subarray(0, 3).toString('latin1')

/** The gate through which frames leave. */
export class FrameGate {
  readonly #send: (octets: Buffer) => void
  readonly #filters = new Map<FrameFilter, ((frame: Buffer) => void) | undefined>()
  /** Streams of which nothing is said any more. Their numbers are never used again. */
  readonly #silent = new Set<number>()
  readonly #onHead = new Map<number, () => void>()
  /** Octets of the frame that is passing which are still to come. */
  #leftBytes = 0
  #verdict: Verdict = 'pass'
  /** The frame that is being held, and who wants it. */
  #held: { readonly take: ((frame: Buffer) => void) | undefined; readonly octets: Buffer[] } | undefined
  /** The head of a frame that has come in part. */
  #head: Buffer = Buffer.alloc(0)
  /** Written between two frames. */
  #waiting: Buffer[] = []
  /** Whether a frame with a field block has begun: CONTINUATION must follow it at once (RFC 9113 section 6.10). */
  #isInBlock = false
  #hasBegun = false

  /** @param send - Takes what leaves. */
  constructor(send: (octets: Buffer) => void) {
    this.#send = send
  }

  /**
   * Asks `filter` about every frame from now on.
   *
   * @param take - Is handed those that are held. Only frames without a field block can be.
   * @returns What takes it out again.
   */
  filter(filter: FrameFilter, take?: (frame: Buffer) => void): () => void {
    this.#filters.set(filter, take)
    return () => this.#filters.delete(filter)
  }

  /** Lets nothing more be said of a stream. */
  silence(streamId: number): void {
    this.#silent.add(streamId)
  }

  /** Resolves when a head of this stream has begun to leave, or with {@link FrameGate.close}. */
  whenHead(streamId: number): Promise<void> {
    return new Promise((resolve) => this.#onHead.set(streamId, resolve))
  }

  /** Nothing leaves any more: lets nobody wait. */
  close(): void {
    for (const resolve of this.#onHead.values()) resolve()
    this.#onHead.clear()
  }

  /** Puts octets between two frames of the session: now, or behind the one that is passing, or the first (RFC 9113 section 3.4). */
  inject(octets: Buffer): void {
    if (this.#hasBegun && this.#isBetween) this.#send(octets)
    else this.#waiting.push(octets)
  }

  /** Takes what the session writes. */
  pass(chunks: readonly Buffer[]): void {
    const octets = chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks)
    const out: Buffer[] = []
    let at = this.#skipPreface(octets, out)
    while (at < octets.length) {
      if (this.#leftBytes === 0) {
        at = this.#readHead(octets, at, out)
        continue
      }
      const end = Math.min(octets.length, at + this.#leftBytes)
      this.#put(octets.subarray(at, end), out)
      this.#leftBytes -= end - at
      at = end
      this.#over(out)
    }
    const [first] = out
    if (!first) return
    this.#send(out.length === 1 ? first : joined(out))
  }

  #put(octets: Buffer, out: Buffer[]): void {
    if (this.#verdict === 'pass') out.push(octets)
    else if (this.#verdict === 'hold') this.#held?.octets.push(octets)
  }

  /** A frame may be over. */
  #over(out: Buffer[]): void {
    if (this.#leftBytes === 0 && this.#held) {
      const { take, octets } = this.#held
      this.#held = undefined
      take?.(Buffer.concat(octets))
    }
    if (this.#isBetween) out.push(...this.#waiting.splice(0))
  }

  get #isBetween(): boolean {
    return this.#leftBytes === 0 && this.#head.length === 0 && !this.#isInBlock
  }

  /** The preface of a client is no frame. */
  #skipPreface(octets: Buffer, out: Buffer[]): number {
    if (this.#hasBegun || octets.length === 0) return 0
    this.#hasBegun = true
    // A session writes it whole, and before all else.
    if (octets.toString('latin1', 0, START.length) !== START) return 0
    out.push(octets.subarray(0, PREFACE.length))
    return PREFACE.length
  }

  #readHead(octets: Buffer, at: number, out: Buffer[]): number {
    const missing = FRAME_HEAD_BYTES - this.#head.length
    const part = octets.subarray(at, at + missing)
    const head = this.#head.length === 0 ? part : Buffer.concat([this.#head, part])
    if (head.length < FRAME_HEAD_BYTES) {
      this.#head = Buffer.from(head)
      return octets.length
    }
    this.#head = Buffer.alloc(0)
    const length = head.readUIntBE(0, 3)
    const type = head.readUInt8(3)
    const flags = head.readUInt8(4)
    const streamId = head.readUInt32BE(5) & 0x7fff_ffff
    const hasBlock = type === FRAME.headers || type === FRAME.pushPromise || type === FRAME.continuation
    // A block is dropped or passes as a whole.
    if (type !== FRAME.continuation) this.#judge(type, streamId, flags)
    this.#isInBlock = hasBlock && (flags & 0x4) === 0
    this.#leftBytes = length
    this.#put(head, out)
    this.#over(out)
    if (type === FRAME.headers && this.#onHead.size > 0) {
      this.#onHead.get(streamId)?.()
      this.#onHead.delete(streamId)
    }
    return at + missing
  }

  #judge(type: number, streamId: number, flags: number): void {
    this.#verdict = this.#silent.has(streamId) ? 'drop' : 'pass'
    if (this.#verdict === 'drop') return
    for (const [filter, take] of this.#filters) {
      this.#verdict = filter(type, streamId, flags)
      if (this.#verdict === 'hold') this.#held = { take, octets: [] }
      if (this.#verdict !== 'pass') return
    }
  }
}

/** Puts slices together; without a copy where they lie side by side. */
function joined(slices: readonly Buffer[]): Buffer {
  const [first] = slices
  if (!first) return Buffer.alloc(0)
  let end = first.byteOffset
  for (const slice of slices) {
    if (slice.buffer !== first.buffer || slice.byteOffset !== end) return Buffer.concat(slices)
    end += slice.length
  }
  // Boundary: the slices of one chunk share its memory.
  return Buffer.from(first.buffer as ArrayBuffer, first.byteOffset, end - first.byteOffset)
}
