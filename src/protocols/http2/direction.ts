/** One direction of a connection: its frames, and the field sections in them. Does no I/O. */
import type { Field } from '../../exchange.ts'
import { FrameParser } from './frame-parse.ts'
import { DEFAULT_MAX_FRAME_BYTES, DEFAULT_TABLE_BYTES, FLAG } from './frame.ts'
import { HpackDecoder } from './hpack-decode.ts'

/** However much a receiver allows: what is kept here is limited. */
const MAX_TABLE_BYTES = 2 ** 20

/** A field block that is coming, in HEADERS or PUSH_PROMISE and the CONTINUATION behind it. */
export interface OpenBlock {
  readonly streamId: number
  /** Whether the stream ends with it. */
  readonly endStream: boolean
  /** The stream that is promised, in PUSH_PROMISE. */
  readonly promisedId: number | undefined
}

/** One direction of a connection. */
export class Direction {
  readonly parser: FrameParser = new FrameParser()
  readonly decoder: HpackDecoder
  /** The field block that has begun and is not whole. */
  block: OpenBlock | undefined
  /** How many of the octets that came last are not of frames: those of the preface. */
  skipped = 0
  /** Why it cannot be followed any more, if so. */
  problem: string | undefined

  readonly #maxBlockBytes: number
  #pieces: Buffer[] = []
  #bytes = 0
  #unheard = 0
  #tableBytes = DEFAULT_TABLE_BYTES
  #frameBytes = DEFAULT_MAX_FRAME_BYTES

  /** @param maxBlockBytes - Largest field block, and largest list of fields. */
  constructor(maxBlockBytes: number) {
    this.#maxBlockBytes = maxBlockBytes
    this.decoder = new HpackDecoder(maxBlockBytes)
  }

  /** Whether everything so far was whole frames, and whole field blocks. */
  get isAtBoundary(): boolean {
    return this.parser.isAtBoundary && this.block === undefined
  }

  /** How many of the octets that came last have been told. */
  get position(): number {
    return this.skipped + this.parser.position
  }

  /**
   * The receiver has sent SETTINGS. What it allows is allowed at once, since its sender may be the first to know; what it
   * forbids is so when the sender has acknowledged it.
   */
  settingsSent(tableBytes: number | undefined, frameBytes: number | undefined): void {
    this.#unheard++
    if (tableBytes !== undefined) this.#tableBytes = Math.min(tableBytes, MAX_TABLE_BYTES)
    if (frameBytes !== undefined) this.#frameBytes = frameBytes
    this.decoder.maxTableBytes = Math.max(this.decoder.maxTableBytes, this.#tableBytes)
    this.parser.maxFrameBytes = Math.max(this.parser.maxFrameBytes, this.#frameBytes)
  }

  /** The sender has acknowledged SETTINGS. */
  settingsHeard(): void {
    if (this.#unheard > 0) this.#unheard--
    if (this.#unheard > 0) return
    this.decoder.maxTableBytes = this.#tableBytes
    this.parser.maxFrameBytes = this.#frameBytes
  }

  /**
   * Takes the piece of a field block that this frame has.
   *
   * @returns The fields, when the block is whole.
   */
  takeBlock(start: number, end: number): Field[] | undefined {
    const { parser } = this
    const isWhole = (parser.flags & FLAG.endHeaders) !== 0
    if (start > end) return this.fail('padding that is longer than its frame')
    this.#bytes += end - start
    if (this.#bytes > this.#maxBlockBytes) return this.fail(`a field block larger than ${this.#maxBlockBytes} octets`)
    if (!isWhole) {
      // Frames without octets are endless as well.
      if (this.#pieces.length > this.#maxBlockBytes >> 4) return this.fail('a field block of too many frames')
      this.#pieces.push(Buffer.from(parser.octets.subarray(start, end)))
      return undefined
    }
    let { octets } = parser
    let from = start
    let to = end
    if (this.#pieces.length > 0) {
      octets = Buffer.concat([...this.#pieces, octets.subarray(start, end)])
      from = 0
      to = octets.length
      this.#pieces = []
    }
    this.#bytes = 0
    return this.decoder.decode(octets, from, to) ?? this.fail(this.decoder.problem ?? 'a field block')
  }

  fail(problem: string): undefined {
    this.problem ??= problem
    return undefined
  }
}
