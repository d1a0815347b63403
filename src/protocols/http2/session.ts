/**
 * One end of a connection of HTTP/2 (RFC 9113): frames come in and go out, streams are opened on it. It lies on a socket that
 * is not its own: whoever made it ends that, when it tells of an end.
 */
import type { Readable, Writable } from 'node:stream'

import type { Side } from '../../errors.ts'
import type { Field } from '../../exchange.ts'
import { isPromise } from '../../internal/maybe-promise.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import { Pump } from '../../internal/pump.ts'
import type { PumpEnd } from '../../internal/pump.ts'
import { afterRoom } from '../../internal/writable.ts'
import { FrameOutput } from './frame-output.ts'
import { FrameInput } from './frame-input.ts'
import type { FrameSink } from './frame-input.ts'
import { writePing, writeReset, writeSettingsAck, writeWindowUpdate } from './frame-write.ts'
import { DEFAULT_MAX_FRAME_BYTES, DEFAULT_WINDOW_BYTES, ERROR_CODE, MAX_STREAM_ID, PREFACE } from './frame.ts'
import type { GoAway } from './go-away.ts'
import { malformed } from './section-check.ts'
import { settingsFrame } from './settings.ts'
import type { Http2Settings } from './settings.ts'
import { Http2Stream } from './stream.ts'
import type { StreamCarrier, StreamHandlers } from './stream.ts'

/** Octets that may be under way on a connection in all its streams. */
export const CONNECTION_WINDOW_BYTES: number = 16 * 2 ** 20
/** The largest window that there can be. */
const MAX_WINDOW_BYTES: number = MAX_STREAM_ID
/** With so much that has not left, nothing more is read: an endpoint could ask for answers without end. */
const MAX_UNSENT_BYTES = 4 * 2 ** 20

/** A stream that the other endpoint has opened. */
export interface OpenedStream {
  readonly stream: Http2Stream
  /** All fields, pseudo-fields among them. */
  readonly section: readonly Field[]
  /** The names of those that may be in no table. */
  readonly sensitive: readonly string[]
  /** Whether content or trailers may follow. */
  readonly hasBody: boolean
}

/** What comes of a request, beside its content. */
export interface ResponseStreamHandlers extends StreamHandlers {
  /** A head, interim ones among them. @param endStream - Whether nothing follows: `end` comes next. */
  head(section: readonly Field[], endStream: boolean, sensitive: readonly string[]): void
}

/** What a {@link Session} lies on, and whom it tells. */
export interface SessionOptions {
  readonly reader: Readable
  readonly writer: Writable
  /** Whose octets are read. Towards a server, streams are opened here. */
  readonly from: Side
  readonly bufferSize: number
  /** What the other endpoint is told first. */
  readonly settings: Http2Settings
  /** Largest list of fields that is taken: longer ones are refused, stream by stream. */
  readonly maxListBytes: number
  /** What octets that have been read become. */
  hook(octets: Buffer): MaybePromise<Buffer>
  /** Octets have passed, in either direction. */
  touched(): void
  /** The other endpoint has opened a stream. */
  opened?(stream: OpenedStream): void
  /** The other endpoint has said something of itself. The first time it has said all that it will say at first. */
  settingsCame(settings: Http2Settings): void
  /** The endpoint wants no new streams. Nothing has been done about it. */
  goAway(goAway: GoAway): void
  /** Nothing more comes. What is under way may still be written. */
  ended(end: PumpEnd): void
  /** The endpoint broke the rules, and has been told so. Nothing more is read. */
  broken(error: Error, code: number): void
  /** A hook failed. */
  failed(error: unknown): void
}

/** A request that waits until the server takes another one. */
interface QueuedRequest {
  readonly stream: Http2Stream
  readonly section: readonly Field[]
  readonly endStream: boolean
  readonly sensitive: readonly string[]
}

/** One end of a connection. */
export class Session implements StreamCarrier, FrameSink {
  /** What leaves. */
  readonly output: FrameOutput
  sendWindow: number = DEFAULT_WINDOW_BYTES
  maxFrameBytes: number = DEFAULT_MAX_FRAME_BYTES
  isChoked = false
  readonly #options: SessionOptions
  readonly #input: FrameInput
  readonly #pump: Pump
  readonly #isClient: boolean
  readonly #streams = new Map<number, Http2Stream>()
  readonly #responses = new WeakMap<Http2Stream, ResponseStreamHandlers>()
  /** Streams that have something to send, and no room. */
  readonly #waiting = new Set<Http2Stream>()
  readonly #queued: QueuedRequest[] = []
  /** What was said here and not heard yet, oldest first. */
  readonly #unheard: Http2Settings[] = []
  #receiveWindow: number = DEFAULT_WINDOW_BYTES
  #consumedBytes = 0
  /** The window that streams of the other endpoint begin with, and those that are opened here. */
  #initialReceiveWindow: number = DEFAULT_WINDOW_BYTES
  #initialSendWindow: number = DEFAULT_WINDOW_BYTES
  #maxOpened = Infinity
  #maxOwn = Infinity
  #openCount = 0
  /** The last stream that the other endpoint has opened. */
  #lastOpened = 0
  #nextOwn = 1
  #isSilent = false
  #isCut = false
  #isBroken = false

  constructor(options: SessionOptions) {
    const { reader, bufferSize, from, settings, maxListBytes } = options
    this.#options = options
    this.#isClient = from === 'server'
    this.output = new FrameOutput((pieces) => this.#write(pieces))
    this.#input = new FrameInput(this, maxListBytes)
    this.#pump = new Pump(
      reader,
      {
        data: (chunk) => this.#take(chunk),
        end: (end) => options.ended(end),
        lost: (error) => options.ended({ kind: 'error', error }),
        failed: (error) => options.failed(error),
      },
      bufferSize,
    )
    options.writer.on('drain', this.#onRoom)
    if (this.#isClient) this.output.inject(PREFACE)
    this.tell(settings)
    this.output.control(writeWindowUpdate(0, CONNECTION_WINDOW_BYTES - this.#receiveWindow))
    this.#receiveWindow = CONNECTION_WINDOW_BYTES
  }

  /** Begins to read. @param first - What has been read and hooked already, behind the preface. */
  start(first?: Buffer): void {
    if (first) this.#input.take(first)
    if (!this.#isCut) this.#pump.start()
  }

  /** The last stream that the other endpoint has opened. */
  get lastOpened(): number {
    return this.#lastOpened
  }

  /** Whether requests can be sent: their numbers are not used up. */
  get isFree(): boolean {
    return !this.#isCut && !this.#isBroken && this.#nextOwn < MAX_STREAM_ID
  }

  /** Says something of this endpoint. It counts when it has been heard. */
  tell(settings: Http2Settings): void {
    this.#unheard.push(settings)
    this.#input.settingsSent(settings)
    this.output.control(settingsFrame(settings))
  }

  /**
   * Opens a stream. It waits where the server takes no more at once.
   *
   * @param section - Pseudo-fields first.
   * @param endStream - Whether nothing follows.
   */
  request(
    section: readonly Field[],
    endStream: boolean,
    sensitive: readonly string[],
    handlers: ResponseStreamHandlers,
  ): Http2Stream {
    const stream = new Http2Stream(this, 0, true, this.#initialReceiveWindow, this.#initialSendWindow)
    stream.handlers = handlers
    this.#responses.set(stream, handlers)
    this.#queued.push({ stream, section, endStream, sensitive })
    this.#openQueued()
    return stream
  }

  /** Nothing that is said from now on leaves, and nothing more is read. What was said leaves. */
  cut(): void {
    if (this.#isCut) return
    this.#isCut = true
    this.stopSending()
    this.#pump.stop()
    this.#options.writer.off('drain', this.#onRoom)
  }

  /** Nothing that is said from now on leaves, but what comes is read. */
  stopSending(): void {
    this.output.flush()
    this.#isSilent = true
  }

  /** Ends all streams: what has come of them is handed on first. */
  abortAll(code: number): void {
    for (const { stream } of this.#queued.splice(0)) stream.abort(code)
    for (const stream of [...this.#streams.values()]) stream.abort(code)
  }

  #take(chunk: Buffer): MaybePromise<void> {
    this.#options.touched()
    const octets = this.#options.hook(chunk)
    return isPromise(octets) ? octets.then((hooked) => this.#receive(hooked)) : this.#receive(octets)
  }

  #receive(octets: Buffer): MaybePromise<void> {
    this.#input.take(octets)
    const { writer } = this.#options
    if (writer.writableLength < MAX_UNSENT_BYTES) return undefined
    return new Promise((resolve) => {
      afterRoom(writer, resolve)
    })
  }

  #write(pieces: readonly Buffer[]): void {
    const { writer } = this.#options
    if (this.#isSilent || writer.destroyed || writer.writableEnded) return
    this.#options.touched()
    if (pieces.length > 1) writer.cork()
    for (const piece of pieces) writer.write(piece)
    if (pieces.length > 1) writer.uncork()
    this.isChoked = writer.writableNeedDrain
  }

  readonly #onRoom = (): void => {
    this.isChoked = false
    this.#sendWaiting()
  }

  /** Lets streams send that could not, one frame each in turn. */
  #sendWaiting(): void {
    while (this.#waiting.size > 0 && !this.isChoked && this.sendWindow > 0) {
      let hasSent = false
      for (const stream of [...this.#waiting]) {
        if (this.isChoked || this.sendWindow <= 0) return
        this.#waiting.delete(stream)
        const before = this.sendWindow
        if (stream.sendSome()) this.#waiting.add(stream)
        hasSent ||= this.sendWindow < before
      }
      if (!hasSent) return
    }
  }

  // What streams want of it.

  sendHead(stream: Http2Stream, fields: readonly Field[], endStream: boolean, sensitive: readonly string[]): void {
    this.output.headers(stream.id, fields, endStream, sensitive, this.maxFrameBytes)
  }

  sendData(stream: Http2Stream, octets: Buffer, endStream: boolean): void {
    this.output.data(stream.id, octets, endStream)
  }

  sendEnd(stream: Http2Stream, trailers: readonly Field[]): void {
    if (trailers.length > 0) this.output.headers(stream.id, trailers, true, [], this.maxFrameBytes)
    else if (!this.output.endByLast(stream.id)) this.output.data(stream.id, Buffer.alloc(0), true)
  }

  sendReset(stream: Http2Stream, code: number): void {
    if (stream.id > 0) this.output.control(writeReset(stream.id, code))
  }

  wait(stream: Http2Stream): void {
    this.#waiting.add(stream)
  }

  consumed(stream: Http2Stream, bytes: number): void {
    this.#consume(bytes)
    if (stream.hasEnded || stream.isClosed) return
    stream.consumedBytes += bytes
    if (stream.consumedBytes * 2 < this.#initialReceiveWindow) return
    stream.receiveWindow += stream.consumedBytes
    this.output.control(writeWindowUpdate(stream.id, stream.consumedBytes))
    stream.consumedBytes = 0
  }

  #consume(bytes: number): void {
    this.#consumedBytes += bytes
    if (this.#consumedBytes * 2 < CONNECTION_WINDOW_BYTES) return
    this.#receiveWindow += this.#consumedBytes
    this.output.control(writeWindowUpdate(0, this.#consumedBytes))
    this.#consumedBytes = 0
  }

  closed(stream: Http2Stream): void {
    this.#waiting.delete(stream)
    if (stream.id === 0) {
      const at = this.#queued.findIndex((queued) => queued.stream === stream)
      if (at >= 0) this.#queued.splice(at, 1)
    } else if (this.#streams.delete(stream.id)) {
      this.#openCount--
      this.#openQueued()
    }
  }

  #openQueued(): void {
    while (this.#queued.length > 0 && this.#openCount < this.#maxOwn) {
      const next = this.#queued.shift()
      if (!next) return
      const { stream, section, endStream, sensitive } = next
      stream.id = this.#nextOwn
      this.#nextOwn += 2
      stream.sendWindow = this.#initialSendWindow
      stream.receiveWindow = this.#initialReceiveWindow
      this.#open(stream)
      stream.respond(section, { endStream, sensitive })
    }
  }

  #open(stream: Http2Stream): void {
    this.#streams.set(stream.id, stream)
    this.#openCount++
  }

  // What comes.

  onData(streamId: number, frameBytes: number): Http2Stream | undefined {
    this.#receiveWindow -= frameBytes
    if (this.#receiveWindow < 0) {
      this.fail(ERROR_CODE.flowControlError, 'more content than there is room for')
      return undefined
    }
    const stream = this.#streams.get(streamId)
    if (!stream && this.#isIdle(streamId)) this.fail(ERROR_CODE.protocolError, `content on stream ${streamId}, which is not open`)
    if (!stream) return undefined
    stream.receiveWindow -= frameBytes
    if (stream.receiveWindow < 0) this.#breakStream(stream, ERROR_CODE.flowControlError)
    else if (stream.hasEnded) this.#breakStream(stream, ERROR_CODE.streamClosed)
    else if (this.#isClient && !stream.hasHead) this.#breakStream(stream, ERROR_CODE.protocolError)
    else return stream
    return undefined
  }

  onIgnored(bytes: number): void {
    this.#consume(bytes)
  }

  onPadding(stream: Http2Stream, bytes: number): void {
    this.consumed(stream, bytes)
  }

  onSection(streamId: number, section: readonly Field[] | undefined, endStream: boolean, sensitive: readonly string[]): void {
    const stream = this.#streams.get(streamId)
    if (stream) this.#moreFields(stream, section, endStream, sensitive)
    else if (!this.#isClient && streamId % 2 === 1 && streamId > this.#lastOpened) this.#opened(streamId, section, endStream, sensitive)
    else if (this.#isIdle(streamId)) this.fail(ERROR_CODE.protocolError, `a head on stream ${streamId}, which is not open`)
  }

  #opened(streamId: number, section: readonly Field[] | undefined, endStream: boolean, sensitive: readonly string[]): void {
    this.#lastOpened = streamId
    const stream = new Http2Stream(this, streamId, false, this.#initialReceiveWindow, this.#initialSendWindow)
    const isTooMany = this.#openCount >= this.#maxOpened
    this.#open(stream)
    stream.hasHead = true
    const code = isTooMany
      ? ERROR_CODE.refusedStream
      : !section
        ? ERROR_CODE.enhanceYourCalm
        : malformed(section, 'request')
          ? ERROR_CODE.protocolError
          : undefined
    if (code !== undefined) {
      stream.close(code)
      return
    }
    stream.hasEnded = endStream
    this.#options.opened?.({ stream, section: section ?? [], sensitive, hasBody: !endStream })
  }

  #moreFields(stream: Http2Stream, section: readonly Field[] | undefined, endStream: boolean, sensitive: readonly string[]): void {
    if (stream.hasEnded) {
      this.#breakStream(stream, ERROR_CODE.streamClosed)
      return
    }
    if (!section) {
      this.#breakStream(stream, ERROR_CODE.enhanceYourCalm)
      return
    }
    const isTrailers = stream.hasHead
    const isBad = malformed(section, isTrailers ? 'trailers' : 'response')
    const isInterim = !isTrailers && section[0]?.[1].startsWith('1') === true
    if (isBad || (isTrailers && !endStream) || (isInterim && endStream)) {
      this.#breakStream(stream, ERROR_CODE.protocolError)
      return
    }
    if (isTrailers) {
      stream.ended(section)
      return
    }
    stream.hasHead = !isInterim
    this.#responses.get(stream)?.head(section, endStream, sensitive)
    if (endStream) stream.ended([])
  }

  onEnd(stream: Http2Stream): void {
    stream.ended([])
  }

  onReset(streamId: number, code: number): void {
    const stream = this.#streams.get(streamId)
    if (stream) {
      stream.resetCode = code
      stream.abort(code)
    } else if (this.#isIdle(streamId)) this.fail(ERROR_CODE.protocolError, `a reset of stream ${streamId}, which is not open`)
  }

  onSettings(settings: Http2Settings): void {
    const { initialWindowSize, maxFrameSize, maxConcurrentStreams } = settings
    if (maxFrameSize !== undefined) this.maxFrameBytes = maxFrameSize
    if (maxConcurrentStreams !== undefined) this.#maxOwn = maxConcurrentStreams
    if (initialWindowSize !== undefined) {
      const more = initialWindowSize - this.#initialSendWindow
      this.#initialSendWindow = initialWindowSize
      for (const stream of this.#streams.values()) {
        stream.sendWindow += more
        if (stream.sendWindow > MAX_WINDOW_BYTES) {
          this.fail(ERROR_CODE.flowControlError, 'a window that is too large')
          return
        }
      }
    }
    this.output.control(writeSettingsAck())
    this.#options.settingsCame(settings)
    for (const stream of [...this.#streams.values()]) stream.sendWaiting()
    this.#openQueued()
  }

  onSettingsHeard(): void {
    const heard = this.#unheard.shift()
    if (heard?.maxConcurrentStreams !== undefined) this.#maxOpened = heard.maxConcurrentStreams
    if (heard?.initialWindowSize === undefined) return
    const more = heard.initialWindowSize - this.#initialReceiveWindow
    this.#initialReceiveWindow = heard.initialWindowSize
    for (const stream of this.#streams.values()) stream.receiveWindow += more
  }

  onPing(octets: Buffer): void {
    this.output.control(writePing(octets, true))
  }

  onGoAway(goAway: GoAway): void {
    this.#options.goAway(goAway)
  }

  onWindowUpdate(streamId: number, increment: number): void {
    if (streamId === 0) {
      this.sendWindow += increment
      if (increment === 0) this.fail(ERROR_CODE.protocolError, 'a window that grows by nothing')
      else if (this.sendWindow > MAX_WINDOW_BYTES) this.fail(ERROR_CODE.flowControlError, 'a window that is too large')
      else this.#sendWaiting()
      return
    }
    const stream = this.#streams.get(streamId)
    if (!stream) {
      if (this.#isIdle(streamId)) this.fail(ERROR_CODE.protocolError, `room on stream ${streamId}, which is not open`)
      return
    }
    stream.sendWindow += increment
    if (increment === 0) this.#breakStream(stream, ERROR_CODE.protocolError)
    else if (stream.sendWindow > MAX_WINDOW_BYTES) this.#breakStream(stream, ERROR_CODE.flowControlError)
    else stream.sendWaiting()
  }

  /** The other endpoint broke the rules (RFC 9113 section 5.4.1). */
  fail(code: number, problem: string): void {
    if (this.#isBroken || this.#isCut) return
    this.#isBroken = true
    this.#input.stop()
    this.#pump.stop()
    this.#options.broken(new Error(`It sent ${problem}`), code)
  }

  /** The other endpoint broke the rules on one stream (RFC 9113 section 5.4.2). */
  #breakStream(stream: Http2Stream, code: number): void {
    this.sendReset(stream, code)
    stream.abort(code)
  }

  /** Whether nobody has opened a stream of this number yet. */
  #isIdle(streamId: number): boolean {
    if (this.#isClient) return streamId % 2 === 0 || streamId >= this.#nextOwn
    return streamId % 2 === 0 || streamId > this.#lastOpened
  }
}
