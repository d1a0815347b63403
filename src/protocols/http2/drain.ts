/**
 * Takes a relayed connection out of service without losing a request: the client is told to open no more streams on it
 * (GOAWAY, RFC 9113 section 6.8), what is under way goes on to its end, and streams that the client opened before it could
 * know are not passed on, so that it opens them again elsewhere. Does no I/O.
 *
 * From here on frames are passed one by one, in place of the chunks in which they came.
 */
import type { Side } from '../../errors.ts'
import type { Direction } from './direction.ts'
import { writeFrameHead, writeGoAway, writeHeaders, writeWindowUpdate } from './frame-write.ts'
import { ERROR_CODE, FLAG, FRAME } from './frame.ts'
import { writeFieldBlock } from './hpack-encode.ts'
import type { Observer } from './observer.ts'

const NO_OCTETS = Buffer.alloc(0)

/**
 * How long a client may take to leave when nothing is under way any more. It should be the first to close: Chromium drops
 * what has just come with the end of its connection.
 */
export const CLIENT_LEAVES_MS = 1000

/** Drains one connection, from its making on. */
export class Drain {
  readonly #observer: Observer
  readonly #sieves: { readonly [From in Side]: Sieve }
  /** What the client is to be sent between two frames of the server. */
  #waiting: Buffer[] = []
  /** Whether the client has been told, or is about to be. */
  #isTold = false
  /** Octets of streams that are not passed on, for which the client must be given room again. */
  #droppedBytes = 0
  /** Whether the server's field table is not that of the client any more, since it was not sent all field blocks. */
  #hasDiverged = false
  #hasEmptiedTable = false
  /** Whether the stream ends with the field block that is written anew. */
  #endsStream = false

  constructor(observer: Observer) {
    this.#observer = observer
    this.#sieves = {
      client: new Sieve(observer.from.client, !observer.hasPreface, (out) => this.#passClient(out)),
      server: new Sieve(observer.from.server, false, (out) => this.#passServer(out)),
    }
    this.#tell()
  }

  /** Whether nothing is under way any more: the connection can be closed. */
  get isDone(): boolean {
    const { from, ledger } = this.#observer
    return (
      this.#isTold &&
      this.#waiting.length === 0 &&
      ledger.count === 0 &&
      from.server.isAtBoundary &&
      !this.#sieves.client.isInFrame
    )
  }

  /** What is to be sent to the client at once, beside what is passed on to it. */
  takeWaiting(): Buffer {
    const { hasServerBegun, from } = this.#observer
    if (this.#waiting.length === 0 || !hasServerBegun || !from.server.isAtBoundary) return NO_OCTETS
    return Buffer.concat(this.#waiting.splice(0))
  }

  /** Takes octets of a side, and returns what is to be passed on of them. */
  pass(from: Side, octets: Buffer): Buffer {
    const sieve = this.#sieves[from]
    sieve.begin(octets)
    this.#observer.observe(from, octets, sieve.told)
    if (from === 'client') {
      this.#tell()
      this.#giveBack()
    }
    return sieve.end()
  }

  /** Says which stream is the last, as soon as it is known which the client has begun to open. */
  #tell(): void {
    const observer = this.#observer
    const { parser } = observer.from.client
    if (this.#isTold || !observer.hasPreface || parser.isInHead) return
    this.#isTold = true
    // One whose head has been passed on, and nothing behind it, is open as well.
    const isOpening = !parser.isAtBoundary && parser.type === FRAME.headers
    observer.highestStream = Math.max(observer.highestStream, isOpening ? parser.streamId : 0)
    observer.lastStream = Math.min(observer.highestStream, observer.lastServedStream)
    this.#waiting.push(writeGoAway(observer.lastStream, ERROR_CODE.noError))
  }

  #giveBack(): void {
    if (this.#droppedBytes > 0) this.#waiting.push(writeWindowUpdate(0, this.#droppedBytes))
    this.#droppedBytes = 0
  }

  /** Decides about a part of a frame of the client. */
  #passClient(out: Buffer[]): void {
    this.#tell()
    const { parser } = this.#observer.from.client
    const { type } = parser
    if (this.#isDropped()) {
      if (type === FRAME.data) this.#droppedBytes += parser.end - parser.start
      this.#hasDiverged ||= type === FRAME.headers
    } else if (this.#hasDiverged && (type === FRAME.headers || type === FRAME.continuation)) this.#writeAnew(out)
    else passPart(this.#observer.from.client, out)
  }

  #isDropped(): boolean {
    const { parser } = this.#observer.from.client
    const { type, octets, start, length } = parser
    const isAbout = type === FRAME.priorityUpdate && length >= 4
    const streamId = isAbout ? octets.readUInt32BE(start) & 0x7fff_ffff : parser.streamId
    return streamId % 2 === 1 && streamId > this.#observer.lastStream
  }

  /** Writes a field block that the server could not read as it came. */
  #writeAnew(out: Buffer[]): void {
    const { section, from } = this.#observer
    const { parser } = from.client
    if (parser.type === FRAME.headers) this.#endsStream = (parser.flags & FLAG.endStream) !== 0
    if (!section) return
    // The first time the table is emptied: the server may wait to hear that it has made it smaller.
    const block = writeFieldBlock(section, { emptiesTable: !this.#hasEmptiedTable })
    this.#hasEmptiedTable = true
    out.push(writeHeaders(parser.streamId, block, { endStream: this.#endsStream }))
  }

  /** Decides about a part of a frame of the server, and puts in what waits behind it. */
  #passServer(out: Buffer[]): void {
    const { from, lastStream } = this.#observer
    const { parser } = from.server
    const { octets, start, end } = parser
    // What was said of the last stream must not be taken back.
    if (parser.type === FRAME.goAway && this.#isTold && parser.length >= 8) {
      const last = Math.min(octets.readUInt32BE(start) & 0x7fff_ffff, lastStream)
      out.push(writeGoAway(last, octets.readUInt32BE(start + 4), octets.subarray(start + 8, end)))
    } else passPart(from.server, out)
    const waiting = this.takeWaiting()
    if (waiting.length > 0) out.push(waiting)
  }
}

/** Passes a part of a frame as it is. */
function passPart({ parser }: Direction, out: Buffer[]): void {
  const { octets, start, end, length, type, flags, streamWord } = parser
  if (parser.isFirst) out.push(writeFrameHead(length, type, flags, streamWord))
  if (end > start) out.push(octets.subarray(start, end))
}

/** Passes one direction frame by frame, once the frame or field block that had begun before has ended. */
class Sieve {
  /** Whether it is still in what had begun before. */
  isInFrame: boolean
  readonly #direction: Direction
  readonly #pass: (out: Buffer[]) => void
  #octets: Buffer = NO_OCTETS
  #out: Buffer[] = []

  /**
   * @param isInPreface - Whether no frame has begun yet.
   * @param pass - Told of each part of a frame.
   */
  constructor(direction: Direction, isInPreface: boolean, pass: (out: Buffer[]) => void) {
    this.#direction = direction
    this.#pass = pass
    this.isInFrame = isInPreface || !direction.isAtBoundary
  }

  begin(octets: Buffer): void {
    this.#octets = octets
    this.#out = []
  }

  readonly told = (): void => {
    if (!this.isInFrame) {
      this.#pass(this.#out)
      return
    }
    const direction = this.#direction
    if (!direction.isAtBoundary) return
    this.isInFrame = false
    this.#out.push(this.#octets.subarray(0, direction.position))
  }

  /** What passes of the octets. */
  end(): Buffer {
    const out = this.#out
    this.#out = []
    if (this.isInFrame) return this.#octets
    const [only = NO_OCTETS] = out
    return out.length > 1 ? Buffer.concat(out) : only
  }
}
