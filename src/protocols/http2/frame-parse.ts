/** Finds the frames in the octets of one direction of an HTTP/2 connection, and changes nothing. */
import { DEFAULT_MAX_FRAME_BYTES, FRAME, FRAME_HEAD_BYTES } from './frame.ts'

const NO_OCTETS = Buffer.alloc(0)
const STREAM_MASK = 0x7fff_ffff

/**
 * Cuts octets into frames (RFC 9113 section 4.1). It begins behind the preface.
 *
 * DATA, and frames of unknown types, are told part by part as they come, so that nothing of them is kept. The others are
 * told once they are whole. Push octets, then call `next()` until it is false; the fields say what was found. One object
 * for all frames, since this is done for each of thousands.
 *
 * @example
 * ```ts ignore
 * parser.push(octets)
 * while (parser.next()) handle(parser.type, parser.octets.subarray(parser.start, parser.end))
 * if (parser.problem) giveUp(parser.problem)
 * ```
 */
export class FrameParser {
  /** The longest payload, which is the receiver's to say (SETTINGS_MAX_FRAME_SIZE). */
  maxFrameBytes: number = DEFAULT_MAX_FRAME_BYTES
  /** Why nothing that follows can be told apart, if so. */
  problem: string | undefined

  /** Of the frame that this is a part of. */
  type = 0
  flags = 0
  streamId = 0
  /** Octets of its payload, as its head says. */
  length = 0
  /** The stream identifier with the bit before it, which means nothing. */
  streamWord = 0

  /** The part of the payload: it lies in `octets` from `start` on, to before `end`. */
  octets: Buffer = NO_OCTETS
  start = 0
  end = 0
  /** Octets of the payload before this part. */
  offset = 0

  #source: Buffer = NO_OCTETS
  #at = 0
  readonly #head: Buffer = Buffer.alloc(FRAME_HEAD_BYTES)
  #headLength = 0
  /** Whether it stands within a payload. */
  #isInFrame = false
  /** Octets of the payload that are still to be told. */
  #left = 0
  /** A payload that must be whole and came in pieces. */
  #pieces: Buffer[] | undefined
  #piecesBytes = 0

  /** Whether this part is the first of its frame. */
  get isFirst(): boolean {
    return this.offset === 0
  }

  /** Whether this part is the last of its frame. */
  get isLast(): boolean {
    return this.#left === 0
  }

  /** Whether everything so far was whole frames. */
  get isAtBoundary(): boolean {
    return !this.#isInFrame && this.#headLength === 0
  }

  /** Whether it stands within the head of a frame, so that nothing is known of that one. */
  get isInHead(): boolean {
    return this.#headLength > 0
  }

  /** How many of the octets that were pushed last have been told. */
  get position(): number {
    return this.#at
  }

  /** Adds octets. All before them must have been told. The parser keeps them until they are. */
  push(octets: Buffer): void {
    this.#source = octets
    this.#at = 0
  }

  /** Finds the next part; false when it needs more octets, or there is a `problem`. */
  next(): boolean {
    if (!this.#isInFrame) {
      if (!this.#readHead()) return false
    } else this.offset = this.length - this.#left
    const available = this.#source.length - this.#at
    return this.#isStreamed() ? this.#tellPart(available) : this.#tellWhole(available)
  }

  #isStreamed(): boolean {
    const { type } = this
    return type === FRAME.data || (type > FRAME.continuation && type !== FRAME.priorityUpdate)
  }

  #readHead(): boolean {
    const source = this.#source
    let at = this.#at
    let head = source
    const available = source.length - at
    if (this.#headLength > 0 || available < FRAME_HEAD_BYTES) {
      const missing = Math.min(FRAME_HEAD_BYTES - this.#headLength, available)
      if (this.problem !== undefined || missing === 0) return false
      head = this.#head
      head.set(source.subarray(at, at + missing), this.#headLength)
      this.#headLength += missing
      this.#at += missing
      if (this.#headLength < FRAME_HEAD_BYTES) return false
      this.#headLength = 0
      at = 0
    } else {
      if (this.problem !== undefined) return false
      this.#at = at + FRAME_HEAD_BYTES
    }
    const length = (byte(head, at) << 16) | (byte(head, at + 1) << 8) | byte(head, at + 2)
    if (length > this.maxFrameBytes) {
      this.problem = `a frame of ${length} octets, where ${this.maxFrameBytes} are allowed`
      return false
    }
    this.length = length
    this.type = byte(head, at + 3)
    this.flags = byte(head, at + 4)
    this.streamWord =
      ((byte(head, at + 5) << 24) | (byte(head, at + 6) << 16) | (byte(head, at + 7) << 8) | byte(head, at + 8)) >>> 0
    this.streamId = this.streamWord & STREAM_MASK
    this.offset = 0
    this.#left = length
    this.#isInFrame = true
    return true
  }

  #tellPart(available: number): boolean {
    const size = Math.min(this.#left, available)
    // A frame without octets is told, too.
    if (size === 0 && this.#left > 0) return false
    this.octets = this.#source
    this.start = this.#at
    this.end = this.#at += size
    this.#left -= size
    this.#isInFrame = this.#left > 0
    return true
  }

  #tellWhole(available: number): boolean {
    const missing = this.length - this.#piecesBytes
    if (available < missing) {
      if (available === 0) return false
      this.#pieces ??= []
      // A copy: whoever pushed may use his octets again, and a piece may be a small part of a large chunk.
      this.#pieces.push(Buffer.from(this.#source.subarray(this.#at)))
      this.#piecesBytes += available
      this.#at = this.#source.length
      return false
    }
    const end = this.#at + missing
    if (this.#pieces) {
      this.#pieces.push(this.#source.subarray(this.#at, end))
      this.octets = Buffer.concat(this.#pieces)
      this.#pieces = undefined
      this.#piecesBytes = 0
      this.start = 0
      this.end = this.length
    } else {
      this.octets = this.#source
      this.start = this.#at
      this.end = end
    }
    this.#at = end
    this.offset = 0
    this.#left = 0
    this.#isInFrame = false
    return true
  }
}

function byte(octets: Buffer, at: number): number {
  return octets[at] ?? 0
}
