/** How much the other endpoint of a session may send: on the connection, and on each stream (RFC 9113 section 5.2). Does no I/O. */
import type { FrameOutput } from './frame-output.ts'
import { writeWindowUpdate } from './frame-write.ts'
import { DEFAULT_WINDOW_BYTES } from './frame.ts'
import type { Http2Stream } from './stream.ts'

/** Octets that may be under way on a connection in all its streams. */
const CONNECTION_WINDOW_BYTES = 16 * 2 ** 20

/** The room of one session. */
export class ReceiveRoom {
  /** The room that streams begin with. */
  initialBytes: number = DEFAULT_WINDOW_BYTES
  readonly #output: FrameOutput
  #bytes = CONNECTION_WINDOW_BYTES
  /** Octets that were handed on, and that the other endpoint has not been told of. */
  #consumedBytes = 0
  /** The streams of which it is to be told. */
  readonly #due = new Set<Http2Stream>()

  constructor(output: FrameOutput) {
    this.#output = output
  }

  /** Says how much there is on the connection. */
  open(): void {
    this.#output.control(writeWindowUpdate(0, CONNECTION_WINDOW_BYTES - DEFAULT_WINDOW_BYTES))
  }

  /** Octets are coming. @returns Whether there is room for them */
  take(bytes: number): boolean {
    this.#bytes -= bytes
    return this.#bytes >= 0
  }

  /** Octets of no stream were handed on, or dropped. */
  consume(bytes: number): void {
    this.#consumedBytes += bytes
    if (this.#consumedBytes * 2 >= CONNECTION_WINDOW_BYTES) this.#output.schedule()
  }

  /** Octets of a stream were. */
  consumed(stream: Http2Stream, bytes: number): void {
    this.consume(bytes)
    if (stream.hasEnded || stream.isClosed) return
    stream.consumedBytes += bytes
    if (stream.consumedBytes * 2 < this.initialBytes) return
    this.#due.add(stream)
    this.#output.schedule()
  }

  /** Says how much more there is: at the end of a turn, when it is decided what becomes of a request that has just come. */
  give(): void {
    if (this.#consumedBytes * 2 >= CONNECTION_WINDOW_BYTES) {
      this.#bytes += this.#consumedBytes
      this.#output.control(writeWindowUpdate(0, this.#consumedBytes))
      this.#consumedBytes = 0
    }
    if (this.#due.size === 0) return
    for (const stream of this.#due) {
      if (stream.hasEnded || stream.isClosed) continue
      stream.receiveWindow += stream.consumedBytes
      this.#output.control(writeWindowUpdate(stream.id, stream.consumedBytes))
      stream.consumedBytes = 0
    }
    this.#due.clear()
  }
}
