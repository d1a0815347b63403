/**
 * One end of a connection of HTTP/2 (RFC 9113): frames come in and go out, streams are opened on it. It lies on a socket that
 * is not its own: whoever made it ends that, when it tells of an end.
 */
import type { Field } from '../../exchange.ts'
import { isPromise } from '../../internal/maybe-promise.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import { Pump } from '../../internal/pump.ts'
import { afterRoom } from '../../internal/writable.ts'
import { FrameOutput } from './frame-output.ts'
import { FrameInput } from './frame-input.ts'
import type { FrameSink, ReceivedSection } from './frame-input.ts'
import { writePing, writeReset, writeSettingsAck } from './frame-write.ts'
import { DEFAULT_MAX_FRAME_BYTES, DEFAULT_WINDOW_BYTES, ERROR_CODE, MAX_STREAM_ID, PREFACE } from './frame.ts'
import type { GoAway } from './go-away.ts'
import { Pings } from './pings.ts'
import { ReceiveRoom } from './receive-room.ts'
import { RequestQueue } from './request-queue.ts'
import { refusalOf } from './section-check.ts'
import { SendTurns } from './send-turns.ts'
import type { ResponseStreamHandlers, SessionOptions } from './session-options.ts'
import { settingsFrame } from './settings.ts'
import type { Http2Settings } from './settings.ts'
import { Http2Stream } from './stream.ts'
import type { StreamCarrier } from './stream.ts'

/** The largest window that there can be. */
const MAX_WINDOW_BYTES: number = MAX_STREAM_ID
/** With so much that has not left, nothing more is read: an endpoint could ask for answers without end. */
const MAX_UNSENT_BYTES = 4 * 2 ** 20

/** One end of a connection. */
export class Session implements StreamCarrier, FrameSink {
  /** What leaves. */
  readonly output: FrameOutput
  /** By which it is known what the other endpoint has read. */
  readonly pings: Pings
  sendWindow: number = DEFAULT_WINDOW_BYTES
  maxFrameBytes: number = DEFAULT_MAX_FRAME_BYTES
  isChoked = false
  readonly #options: SessionOptions
  readonly #input: FrameInput
  readonly #pump: Pump
  readonly #isClient: boolean
  readonly #streams = new Map<number, Http2Stream>()
  readonly #responses = new WeakMap<Http2Stream, ResponseStreamHandlers>()
  readonly #turns = new SendTurns(this)
  readonly #queue = new RequestQueue((stream) => this.#openOwn(stream))
  /** What was said here and not heard yet, oldest first. */
  readonly #unheard: Http2Settings[] = []
  readonly #room: ReceiveRoom
  #initialSendWindow: number = DEFAULT_WINDOW_BYTES
  #maxOpened = Infinity
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
    this.output = new FrameOutput(
      (pieces) => this.#write(pieces),
      () => this.#room.give(),
    )
    this.pings = new Pings(this.output)
    this.#room = new ReceiveRoom(this.output)
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
    this.#room.open()
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
    const stream = new Http2Stream(this, 0, true, this.#room.initialBytes, this.#initialSendWindow)
    stream.handlers = handlers
    this.#responses.set(stream, handlers)
    this.#queue.add({ stream, section, endStream, sensitive })
    return stream
  }

  /** Nothing that is said from now on leaves, and nothing more is read. What was said leaves. */
  cut(): void {
    if (this.#isCut) return
    this.#isCut = true
    this.stopSending()
    this.#pump.stop()
    this.pings.close()
    this.#options.writer.off('drain', this.#onRoom)
  }

  /** Nothing that is said from now on leaves, but what comes is read. */
  stopSending(): void {
    this.output.flush()
    this.#isSilent = true
  }

  /** Ends all streams: what has come of them is handed on first. */
  abortAll(code: number): void {
    for (const stream of [...this.#queue.takeAll(), ...this.#streams.values()]) stream.abort(code)
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
    this.#turns.run()
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
    this.#turns.add(stream)
  }

  consumed(stream: Http2Stream, bytes: number): void {
    this.#room.consumed(stream, bytes)
  }

  closed(stream: Http2Stream): void {
    this.#turns.delete(stream)
    if (stream.id === 0) this.#queue.remove(stream)
    else if (this.#streams.delete(stream.id)) {
      this.#openCount--
      if (this.#isClient) this.#queue.closed()
    }
  }

  /** A request is to be sent now. */
  #openOwn(stream: Http2Stream): void {
    stream.id = this.#nextOwn
    this.#nextOwn += 2
    stream.sendWindow = this.#initialSendWindow
    stream.receiveWindow = this.#room.initialBytes
    this.#open(stream)
  }

  #open(stream: Http2Stream): void {
    this.#streams.set(stream.id, stream)
    this.#openCount++
  }

  // What comes.

  onData(streamId: number, frameBytes: number): Http2Stream | undefined {
    if (!this.#room.take(frameBytes)) {
      this.fail(ERROR_CODE.flowControlError, 'more content than there is room for')
      return undefined
    }
    const stream = this.#streams.get(streamId)
    if (!stream) return this.#notOpen(streamId, 'content')
    stream.receiveWindow -= frameBytes
    if (stream.receiveWindow < 0) this.#breakStream(stream, ERROR_CODE.flowControlError)
    else if (stream.hasEnded) this.#breakStream(stream, ERROR_CODE.streamClosed)
    else if (this.#isClient && !stream.hasHead) this.#breakStream(stream, ERROR_CODE.protocolError)
    else return stream
    return undefined
  }

  onIgnored(bytes: number): void {
    this.#room.consume(bytes)
  }

  onPadding(stream: Http2Stream, bytes: number): void {
    this.consumed(stream, bytes)
  }

  onSection(section: ReceivedSection): void {
    const { streamId } = section
    const stream = this.#streams.get(streamId)
    if (stream) this.#moreFields(stream, section)
    else if (!this.#isClient && streamId % 2 === 1 && streamId > this.#lastOpened) this.#opened(section)
    else this.#notOpen(streamId, 'a head')
  }

  #opened({ streamId, fields, endStream, sensitive }: ReceivedSection): void {
    this.#lastOpened = streamId
    const stream = new Http2Stream(this, streamId, false, this.#room.initialBytes, this.#initialSendWindow)
    const isTooMany = this.#openCount >= this.#maxOpened
    this.#open(stream)
    stream.hasHead = true
    const code = isTooMany ? ERROR_CODE.refusedStream : refusalOf(fields, 'request')
    if (!fields || code !== undefined) {
      stream.close(code ?? ERROR_CODE.protocolError)
      return
    }
    stream.hasEnded = endStream
    this.#options.opened?.({ stream, section: fields, sensitive, hasBody: !endStream })
  }

  #moreFields(stream: Http2Stream, { fields, endStream, sensitive }: ReceivedSection): void {
    if (stream.hasEnded) {
      this.#breakStream(stream, ERROR_CODE.streamClosed)
      return
    }
    const isTrailers = stream.hasHead
    const isInterim = !isTrailers && fields?.[0]?.[1].startsWith('1') === true
    const isMisplaced = isTrailers ? !endStream : isInterim && endStream
    const code = refusalOf(fields, isTrailers ? 'trailers' : 'response')
    if (!fields || code !== undefined || isMisplaced) {
      this.#breakStream(stream, code ?? ERROR_CODE.protocolError)
      return
    }
    if (isTrailers) {
      stream.ended(fields)
      return
    }
    stream.hasHead = !isInterim
    this.#responses.get(stream)?.head(fields, endStream, sensitive)
    if (endStream) stream.ended()
  }

  onEnd(stream: Http2Stream): void {
    stream.ended()
  }

  onReset(streamId: number, code: number): void {
    const stream = this.#streams.get(streamId)
    if (stream) {
      stream.resetCode = code
      stream.abort(code)
    } else this.#notOpen(streamId, 'a reset')
  }

  onSettings(settings: Http2Settings): void {
    const { initialWindowSize, maxFrameSize, maxConcurrentStreams, enablePush } = settings
    // RFC 9113 section 6.5.2.
    if (this.#isClient && enablePush === 1) {
      this.fail(ERROR_CODE.protocolError, 'SETTINGS of a client, though it is the server')
      return
    }
    if (maxFrameSize !== undefined) this.maxFrameBytes = maxFrameSize
    if (maxConcurrentStreams !== undefined) this.#queue.most = maxConcurrentStreams
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
    this.#queue.open()
  }

  onSettingsHeard(): void {
    const heard = this.#unheard.shift()
    if (heard?.maxConcurrentStreams !== undefined) this.#maxOpened = heard.maxConcurrentStreams
    if (heard?.initialWindowSize === undefined) return
    const more = heard.initialWindowSize - this.#room.initialBytes
    this.#room.initialBytes = heard.initialWindowSize
    for (const stream of this.#streams.values()) stream.receiveWindow += more
  }

  onPing(octets: Buffer): void {
    this.output.control(writePing(octets, true))
  }

  onPong(): void {
    this.pings.acknowledged()
  }

  onGoAway(goAway: GoAway): void {
    this.#options.goAway(goAway)
  }

  onWindowUpdate(streamId: number, increment: number): void {
    if (streamId === 0) {
      this.sendWindow += increment
      if (increment === 0) this.fail(ERROR_CODE.protocolError, 'a window that grows by nothing')
      else if (this.sendWindow > MAX_WINDOW_BYTES) this.fail(ERROR_CODE.flowControlError, 'a window that is too large')
      else this.#turns.run()
      return
    }
    const stream = this.#streams.get(streamId)
    if (!stream) {
      this.#notOpen(streamId, 'room')
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

  /** Something came on a stream that is over, which is nothing, or that nobody has opened yet. */
  #notOpen(streamId: number, what: string): undefined {
    const isIdle = streamId % 2 === 0 || (this.#isClient ? streamId >= this.#nextOwn : streamId > this.#lastOpened)
    if (isIdle) this.fail(ERROR_CODE.protocolError, `${what} on stream ${streamId}, which is not open`)
  }
}
