/** The frames that a session receives: read, checked for what can be checked without its streams, and told one by one. Does no I/O. */
import type { Field } from '../../exchange.ts'
import { Direction } from './direction.ts'
import { ERROR_CODE, FLAG, FRAME } from './frame.ts'
import { readGoAway } from './go-away.ts'
import type { GoAway } from './go-away.ts'
import { isBad, readSettings } from './settings.ts'
import type { Http2Settings } from './settings.ts'
import type { Http2Stream } from './stream.ts'

/** Field blocks are read up to here, so that both endpoints know the same table; lists that are too long are refused then. */
const MAX_BLOCK_BYTES = 16 * 2 ** 20
const PRIORITY_BYTES = 5
const PING_BYTES = 8

/** A field section. */
export interface ReceivedSection {
  readonly streamId: number
  /** Undefined when it is longer than is taken. */
  readonly fields: readonly Field[] | undefined
  /** Whether the stream ends with it. */
  readonly endStream: boolean
  /** The names of fields that may be in no table. */
  readonly sensitive: readonly string[]
}

/** Is told of frames. */
export interface FrameSink {
  /** DATA begins, with so many octets. @returns The stream that takes its content; undefined: nobody wants it */
  onData(streamId: number, frameBytes: number): Http2Stream | undefined
  /** Octets of DATA that nobody wants. */
  onIgnored(bytes: number): void
  /** Octets of DATA that are no content. */
  onPadding(stream: Http2Stream, bytes: number): void
  /** A stream ends behind its content. */
  onEnd(stream: Http2Stream): void
  /** A whole field block. */
  onSection(section: ReceivedSection): void
  onReset(streamId: number, code: number): void
  onSettings(settings: Http2Settings): void
  onSettingsHeard(): void
  onPing(octets: Buffer): void
  /** A PING of this endpoint was acknowledged. */
  onPong(): void
  onGoAway(goAway: GoAway): void
  onWindowUpdate(streamId: number, increment: number): void
  /** The endpoint broke the rules. */
  fail(code: number, problem: string): void
}

/** Reads frames. */
export class FrameInput {
  readonly #sink: FrameSink
  readonly #maxListBytes: number
  readonly #direction = new Direction(MAX_BLOCK_BYTES)
  /** The stream whose DATA is coming; undefined: nobody wants it. */
  #stream: Http2Stream | undefined
  #paddingBytes = 0
  #hasBegun = false
  #isStopped = false

  /** @param maxListBytes - Longest list of fields that is taken. */
  constructor(sink: FrameSink, maxListBytes: number) {
    this.#sink = sink
    this.#maxListBytes = maxListBytes
  }

  /** What is allowed was said to the other endpoint. */
  settingsSent({ headerTableSize, maxFrameSize }: Http2Settings): void {
    this.#direction.settingsSent(headerTableSize, maxFrameSize)
  }

  /** Nothing more is told. */
  stop(): void {
    this.#isStopped = true
  }

  /** Takes octets, behind the preface. */
  take(octets: Buffer): void {
    const { parser } = this.#direction
    parser.push(octets)
    while (!this.#isStopped && parser.next()) this.#part()
    if (parser.problem !== undefined) this.#sink.fail(ERROR_CODE.frameSizeError, parser.problem)
  }

  #part(): void {
    const { block, parser } = this.#direction
    const { type } = parser
    if (block && (type !== FRAME.continuation || parser.streamId !== block.streamId)) {
      this.#fail('a frame that interrupts a field block')
      return
    }
    // RFC 9113 section 3.4.
    if (!this.#hasBegun && type !== FRAME.settings) {
      this.#fail('a frame before its SETTINGS')
      return
    }
    this.#hasBegun = true
    switch (type) {
      case FRAME.data:
        return this.#data()
      case FRAME.headers:
        return this.#headers()
      case FRAME.continuation:
        return block ? this.#block(block.endStream, parser.start, parser.end) : this.#fail('a CONTINUATION of nothing')
      case FRAME.settings:
        return this.#settings()
      case FRAME.pushPromise:
        return this.#fail('a PUSH_PROMISE, which is not wanted')
      case FRAME.reset:
      case FRAME.windowUpdate:
        return this.#number()
      case FRAME.ping:
        return this.#ping()
      case FRAME.goAway:
        return this.#goAway()
      case FRAME.priority:
        if (parser.streamId === 0) this.#fail('a PRIORITY of no stream')
    }
  }

  #data(): void {
    const { parser } = this.#direction
    const { octets, flags, streamId, length, offset, isLast } = parser
    let { start, end } = parser
    if (parser.isFirst) {
      if (streamId === 0) {
        this.#fail('DATA of no stream')
        return
      }
      this.#paddingBytes = 0
      this.#stream = this.#sink.onData(streamId, length)
      if (this.#isStopped) return
      if ((flags & FLAG.padded) !== 0) {
        this.#paddingBytes = octets[start] ?? 0
        if (this.#paddingBytes >= length) {
          this.#fail('padding that is longer than its frame')
          return
        }
        start++
        if (this.#stream) this.#sink.onPadding(this.#stream, 1 + this.#paddingBytes)
      }
    }
    const stream = this.#stream
    if (!stream) this.#sink.onIgnored(parser.end - parser.start)
    else {
      end = Math.min(end, parser.start + length - this.#paddingBytes - offset)
      if (end > start && !stream.isClosed) stream.receive(octets.subarray(start, end))
      else if (end > start) this.#sink.onIgnored(end - start)
    }
    if (isLast && stream && !stream.isClosed && (flags & FLAG.endStream) !== 0) this.#sink.onEnd(stream)
  }

  #headers(): void {
    const { parser } = this.#direction
    const { flags, streamId } = parser
    if (streamId === 0) {
      this.#fail('HEADERS of no stream')
      return
    }
    let { start, end } = parser
    if ((flags & FLAG.padded) !== 0) end -= parser.octets[start++] ?? 0
    if ((flags & FLAG.priority) !== 0) start += PRIORITY_BYTES
    this.#block((flags & FLAG.endStream) !== 0, start, end)
  }

  #block(endStream: boolean, start: number, end: number): void {
    const direction = this.#direction
    const { parser, decoder } = direction
    const { streamId } = parser
    const section = direction.takeBlock(start, end)
    if (direction.problem !== undefined) {
      const isCoding = decoder.problem !== undefined
      this.#sink.fail(isCoding ? ERROR_CODE.compressionError : ERROR_CODE.protocolError, direction.problem)
      return
    }
    direction.block = section ? undefined : { streamId, endStream, promisedId: undefined }
    if (!section) return
    const fields = decoder.listBytes > this.#maxListBytes ? undefined : section
    this.#sink.onSection({ streamId, fields, endStream, sensitive: decoder.sensitive })
  }

  #settings(): void {
    const { parser } = this.#direction
    const { flags, streamId, octets, start, end } = parser
    if (streamId !== 0) this.#fail('SETTINGS of a stream')
    else if ((flags & FLAG.ack) !== 0) {
      if (end > start) {
        this.#sink.fail(ERROR_CODE.frameSizeError, 'SETTINGS in an acknowledgement')
        return
      }
      this.#direction.settingsHeard()
      this.#sink.onSettingsHeard()
    } else {
      const settings = readSettings(octets.subarray(start, end))
      if (isBad(settings)) this.#sink.fail(settings.code, settings.problem)
      else this.#sink.onSettings(settings)
    }
  }

  /** A frame whose payload is one number. */
  #number(): void {
    const { type, length, streamId, octets, start } = this.#direction.parser
    if (length !== 4) this.#sink.fail(ERROR_CODE.frameSizeError, `a frame of type ${type} with ${length} octets`)
    else if (type === FRAME.windowUpdate) this.#sink.onWindowUpdate(streamId, octets.readUInt32BE(start) & 0x7fff_ffff)
    else if (streamId === 0) this.#fail('a RST_STREAM of no stream')
    else this.#sink.onReset(streamId, octets.readUInt32BE(start))
  }

  #ping(): void {
    const { parser } = this.#direction
    const { length, streamId, flags, octets, start, end } = parser
    if (length !== PING_BYTES) this.#sink.fail(ERROR_CODE.frameSizeError, `a PING of ${length} octets`)
    else if (streamId !== 0) this.#fail('a PING of a stream')
    else if ((flags & FLAG.ack) !== 0) this.#sink.onPong()
    else this.#sink.onPing(Buffer.from(octets.subarray(start, end)))
  }

  #goAway(): void {
    const { streamId, octets, start, end, length } = this.#direction.parser
    const goAway = readGoAway(octets.subarray(start, end))
    if (!goAway) this.#sink.fail(ERROR_CODE.frameSizeError, `a GOAWAY of ${length} octets`)
    else if (streamId !== 0) this.#fail('a GOAWAY of a stream')
    else this.#sink.onGoAway(goAway)
  }

  #fail(problem: string): void {
    this.#sink.fail(ERROR_CODE.protocolError, problem)
  }
}
