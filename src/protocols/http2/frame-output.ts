/**
 * The frames that a session sends, in order. They are collected and leave together, in few writes: at the end of the turn, or
 * when somebody wants them to. Frames of other making can be put between them, and some of its own held back or dropped.
 */
import type { Field } from '../../exchange.ts'
import { writeFrame } from './frame-write.ts'
import { FLAG, FRAME, FRAME_HEAD_BYTES } from './frame.ts'
import { writeFieldBlock } from './hpack-encode.ts'

/** What is done with a frame. One that is held is handed to whoever wants it so, and does not pass. */
export type Verdict = 'pass' | 'drop' | 'hold'

/** Decides about a frame that a session wants to send. */
export type FrameFilter = (type: number, streamId: number, flags: number) => Verdict

const SLAB_BYTES = 16_384
/** Shorter payloads are copied: a write costs more. */
const COPIED_BYTES = 4096
/** When so much has been collected, it leaves at once. */
const MOST_BYTES = 131_072
const NO_FRAME = -1

/** Collects frames. */
export class FrameOutput {
  readonly #send: (pieces: readonly Buffer[]) => void
  readonly #beforeAll: () => void
  readonly #filters = new Map<FrameFilter, ((frame: Buffer) => void) | undefined>()
  /** Streams of which nothing is said any more. Their numbers are never used again. */
  readonly #silent = new Set<number>()
  /** What leaves next, up to what lies in the slab. */
  #pieces: Buffer[] = []
  #bytes = 0
  #slab: Buffer = Buffer.alloc(0)
  /** What of the slab has not left begins here, */
  #from = 0
  /** and ends here. */
  #at = 0
  /** Where in the slab the head of the last frame is, if that was DATA. */
  #lastData = NO_FRAME
  #lastStream = 0
  #isDue = false

  /**
   * @param send - Takes what leaves.
   * @param beforeAll - Called before something leaves: the last moment to add to it.
   */
  constructor(send: (pieces: readonly Buffer[]) => void, beforeAll: () => void) {
    this.#send = send
    this.#beforeAll = beforeAll
  }

  /** How many octets have not left. */
  get bytes(): number {
    return this.#bytes
  }

  /**
   * Asks `filter` about every frame from now on.
   *
   * @param take - Is handed those that are held. Only frames without a field block or content can be.
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

  /** Sends octets as they are, between two frames. */
  inject(octets: Buffer): void {
    this.#lastData = NO_FRAME
    this.#put(octets)
  }

  /** Sends a frame without a field block. `frame`: all of it. */
  control(frame: Buffer): void {
    const type = frame[3] ?? 0
    if (this.#passes(type, frame.readUInt32BE(5), frame[4] ?? 0, frame)) this.inject(frame)
  }

  /** Sends a field block. @param maxFrameBytes - What does not fit into one frame goes into CONTINUATION. */
  headers(
    streamId: number,
    fields: readonly Field[],
    endStream: boolean,
    sensitive: readonly string[],
    maxFrameBytes: number,
  ): void {
    const flags = endStream ? FLAG.endStream : 0
    if (!this.#passes(FRAME.headers, streamId, flags)) return
    this.#lastData = NO_FRAME
    const block = writeFieldBlock(fields, { sensitive })
    let at = 0
    do {
      const part = block.subarray(at, at + maxFrameBytes)
      const type = at === 0 ? FRAME.headers : FRAME.continuation
      const first = at === 0 ? flags : 0
      at += part.length
      this.#head(part.length, type, first | (at === block.length ? FLAG.endHeaders : 0), streamId)
      this.#put(part)
    } while (at < block.length)
  }

  /** Sends content: one frame. */
  data(streamId: number, octets: Buffer, endStream: boolean): void {
    const flags = endStream ? FLAG.endStream : 0
    if (!this.#passes(FRAME.data, streamId, flags)) return
    const head = this.#head(octets.length, FRAME.data, flags, streamId)
    this.#put(octets)
    this.#lastData = head
    this.#lastStream = streamId
    if (this.#bytes > MOST_BYTES) this.flush()
  }

  /** Ends a stream by the frame before, if that is its content and has not left. @returns Whether it is */
  endByLast(streamId: number): boolean {
    if (this.#lastData === NO_FRAME || this.#lastStream !== streamId || this.#silent.has(streamId)) return false
    this.#slab[this.#lastData + 4] = FLAG.endStream
    this.#lastData = NO_FRAME
    return true
  }

  /** Lets all leave that has been collected. */
  readonly flush = (): void => {
    this.#beforeAll()
    this.#isDue = false
    if (this.#bytes === 0) return
    this.#cut()
    const pieces = this.#pieces
    this.#pieces = []
    this.#bytes = 0
    this.#lastData = NO_FRAME
    this.#send(pieces)
  }

  #passes(type: number, streamId: number, flags: number, frame?: Buffer): boolean {
    if (this.#silent.size > 0 && this.#silent.has(streamId)) return false
    if (this.#filters.size === 0) return true
    for (const [filter, take] of this.#filters) {
      const verdict = filter(type, streamId, flags)
      if (verdict === 'hold') take?.(frame ?? writeFrame({ type, flags, streamId }))
      if (verdict !== 'pass') return false
    }
    return true
  }

  /** Writes a head into the slab. @returns Where */
  #head(length: number, type: number, flags: number, streamId: number): number {
    // A copied payload lies behind its head.
    this.#reserve(FRAME_HEAD_BYTES + (length <= COPIED_BYTES ? length : 0))
    const slab = this.#slab
    const at = this.#at
    slab[at] = length >> 16
    slab[at + 1] = length >> 8
    slab[at + 2] = length
    slab[at + 3] = type
    slab[at + 4] = flags
    slab[at + 5] = streamId >> 24
    slab[at + 6] = streamId >> 16
    slab[at + 7] = streamId >> 8
    slab[at + 8] = streamId
    this.#at += FRAME_HEAD_BYTES
    this.#add(FRAME_HEAD_BYTES)
    return at
  }

  #put(octets: Buffer): void {
    const { length } = octets
    if (length === 0) return
    if (length <= COPIED_BYTES) {
      this.#reserve(length)
      this.#slab.set(octets, this.#at)
      this.#at += length
    } else {
      this.#cut()
      this.#pieces.push(octets)
    }
    this.#add(length)
  }

  #add(bytes: number): void {
    this.#bytes += bytes
    this.schedule()
  }

  /** Lets all leave at the end of the turn. */
  schedule(): void {
    if (this.#isDue) return
    this.#isDue = true
    setImmediate(this.flush)
  }

  #reserve(bytes: number): void {
    if (this.#slab.length - this.#at >= bytes) return
    this.#cut()
    // What has left may not be written yet: the slab is not used again.
    this.#slab = Buffer.allocUnsafe(SLAB_BYTES)
    this.#from = 0
    this.#at = 0
    this.#lastData = NO_FRAME
  }

  /** What lies in the slab is a piece. */
  #cut(): void {
    if (this.#at > this.#from) this.#pieces.push(this.#slab.subarray(this.#from, this.#at))
    this.#from = this.#at
  }
}
