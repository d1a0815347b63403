/**
 * One stream of a session: what comes on it is handed on in order, no faster than it is taken; what is sent on it waits
 * until the other endpoint has room (RFC 9113 sections 5.1 and 5.2).
 */
import type { Field } from '../../exchange.ts'
import { isPromise } from '../../internal/maybe-promise.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import type { Holdable } from '../../internal/pump.ts'
import type { OctetWriter } from '../../internal/writable.ts'

/** Octets that wait on a stream before whoever writes them is told that it is enough. */
const HIGH_WATER_BYTES = 65_536
const NO_FIELDS: readonly Field[] = Object.freeze([])

/** What is told of a stream. It throws nothing. */
export interface StreamHandlers {
  /** Content, with neither padding nor frames. Until a promise that it returns has settled, nothing more is handed on. */
  data(octets: Buffer): MaybePromise<void>
  /** All has come, and has been handed on. */
  ended(trailers: readonly Field[]): void
  /**
   * The stream was reset: by the other endpoint, or here because that broke the rules. What had come before has been handed
   * on if the stream was opened here; who opened it himself and gives it up wants nothing of it any more.
   */
  aborted(code: number): void
  /** It is over in both directions; what came may still have to be handed on. */
  closed?(): void
}

/** How a head is sent. */
export interface HeadOptions {
  /** Whether nothing follows. */
  readonly endStream?: boolean | undefined
  readonly isInterim?: boolean | undefined
  /** The names of fields that may be in no table. */
  readonly sensitive?: readonly string[] | undefined
}

/** What a stream needs of its session. */
export interface StreamCarrier {
  /** Whether the connection takes no more for now: whoever waits is told by {@link Http2Stream.sendWaiting}. */
  readonly isChoked: boolean
  readonly maxFrameBytes: number
  /** How many octets of content may be sent on all streams together. */
  sendWindow: number
  /** Octets were handed on: the other endpoint may send as many more. */
  consumed(stream: Http2Stream, bytes: number): void
  sendHead(stream: Http2Stream, fields: readonly Field[], endStream: boolean, sensitive: readonly string[]): void
  sendData(stream: Http2Stream, octets: Buffer, endStream: boolean): void
  /** Ends the sending side, behind all content. */
  sendEnd(stream: Http2Stream, trailers: readonly Field[]): void
  sendReset(stream: Http2Stream, code: number): void
  /** The stream has something to send, and cannot. */
  wait(stream: Http2Stream): void
  /** The stream is over. */
  closed(stream: Http2Stream): void
}

/** One stream. Tells of room by `drain`, and of its end by `close`. */
export class Http2Stream implements OctetWriter, Holdable {
  /** 0 while the session has not opened it: there are as many as the other endpoint takes. */
  id: number
  handlers: StreamHandlers | undefined
  /** How much the other endpoint may still send. */
  receiveWindow: number
  /** Octets that were handed on, and that the other endpoint has not been told of. */
  consumedBytes = 0
  /** How much it takes. */
  sendWindow: number
  /** Whether a head that is not an interim one was sent. */
  headersSent = false
  /** Whether such a head has come. */
  hasHead = false
  /** Whether all has come. */
  hasEnded = false
  /** Whether all has been sent, or never will be. */
  writableEnded = false
  /** Whether it is over in both directions. */
  isClosed = false
  /** The code by which the other endpoint has reset it. */
  resetCode: number | undefined
  readonly #carrier: StreamCarrier
  /** Whether it was opened here. */
  readonly #isOwn: boolean
  #listeners: Record<'drain' | 'close', Set<() => void>> | undefined
  #received: Buffer[] | undefined
  #holds = 0
  #isBusy = false
  #isDiscarded = false
  #isTold = false
  #abortedWith: number | undefined
  #trailers: readonly Field[] = NO_FIELDS
  #waiting: Buffer[] | undefined
  #waitingBytes = 0
  #hasFinished = false
  #isFull = false
  #sentTrailers: readonly Field[] = NO_FIELDS
  #onSent: (() => void)[] | undefined

  constructor(carrier: StreamCarrier, id: number, isOwn: boolean, receiveWindow: number, sendWindow: number) {
    this.#carrier = carrier
    this.#isOwn = isOwn
    this.id = id
    this.receiveWindow = receiveWindow
    this.sendWindow = sendWindow
  }

  get destroyed(): boolean {
    return this.isClosed
  }

  get writableNeedDrain(): boolean {
    return this.#isFull
  }

  // Sending.

  /** Sends a head, or an interim one. */
  respond(fields: readonly Field[], { endStream = false, isInterim = false, sensitive = [] }: HeadOptions = {}): void {
    // One that waits to be opened may have been ended already.
    if (this.isClosed || this.#hasFinished) return
    if (!isInterim) this.headersSent = true
    this.#carrier.sendHead(this, fields, endStream, sensitive)
    if (endStream) {
      this.writableEnded = true
      this.#finished()
    } else this.sendWaiting()
  }

  write(octets: Uint8Array): boolean {
    if (this.isClosed || this.writableEnded) return true
    if (octets.length > 0) {
      ;(this.#waiting ??= []).push(
        Buffer.isBuffer(octets) ? octets : Buffer.from(octets.buffer, octets.byteOffset, octets.length),
      )
      this.#waitingBytes += octets.length
      this.sendWaiting()
    }
    this.#isFull ||= this.#waitingBytes >= HIGH_WATER_BYTES || (this.#waitingBytes > 0 && this.#carrier.isChoked)
    return !this.#isFull
  }

  /** Ends it behind what was written, with trailers. */
  end(trailers: readonly Field[] = []): void {
    if (this.isClosed || this.writableEnded) return
    this.writableEnded = true
    this.#sentTrailers = trailers
    this.sendWaiting()
  }

  /** Sends as much as there is room for. */
  sendWaiting(): void {
    while (this.sendSome());
  }

  /** Sends a frame's worth. @returns Whether there may be more to send now */
  sendSome(): boolean {
    if (!this.headersSent || this.id === 0 || this.isClosed) return false
    const waiting = this.#waiting
    const octets = waiting?.[0]
    if (!waiting || !octets) {
      if (this.writableEnded && !this.#hasFinished) {
        this.#carrier.sendEnd(this, this.#sentTrailers)
        this.#finished()
      }
      return false
    }
    const carrier = this.#carrier
    const room = Math.min(this.sendWindow, carrier.sendWindow, carrier.maxFrameBytes)
    if (room <= 0 || carrier.isChoked) {
      carrier.wait(this)
      return false
    }
    const part = octets.length <= room ? octets : octets.subarray(0, room)
    if (part === octets) waiting.shift()
    else waiting[0] = octets.subarray(room)
    this.#waitingBytes -= part.length
    this.sendWindow -= part.length
    carrier.sendWindow -= part.length
    const isLast = waiting.length === 0
    const endStream = isLast && this.writableEnded && this.#sentTrailers.length === 0
    carrier.sendData(this, part, endStream)
    if (endStream) {
      this.#finished()
      return false
    }
    if (isLast) this.#allSent()
    return true
  }

  /** Calls `done` when all that was written has been sent, or never will be. */
  afterSent(done: () => void): void {
    if (this.isClosed || (this.#waitingBytes === 0 && (!this.writableEnded || this.#hasFinished))) done()
    else (this.#onSent ??= []).push(done)
  }

  /** Resets it. @param code - What RST_STREAM says. */
  close(code: number): void {
    if (this.isClosed) return
    this.#carrier.sendReset(this, code)
    this.#close()
  }

  #finished(): void {
    this.#hasFinished = true
    this.#allSent()
    if (this.hasEnded) this.#close()
  }

  #allSent(): void {
    if (this.#isFull) {
      this.#isFull = false
      this.#emit('drain')
    }
    const sent = this.#onSent
    this.#onSent = undefined
    if (sent) for (const done of sent) done()
  }

  #close(): void {
    this.isClosed = true
    this.writableEnded = true
    this.#waiting = undefined
    this.#waitingBytes = 0
    this.#carrier.closed(this)
    this.#allSent()
    this.handlers?.closed?.()
    this.#emit('close')
  }

  on(event: 'drain' | 'close', listener: () => void): void {
    this.#listeners ??= { drain: new Set(), close: new Set() }
    this.#listeners[event].add(listener)
  }

  off(event: 'drain' | 'close', listener: () => void): void {
    this.#listeners?.[event].delete(listener)
  }

  #emit(event: 'drain' | 'close'): void {
    if (this.#listeners) for (const listener of [...this.#listeners[event]]) listener()
  }

  // Receiving.

  hold(): void {
    this.#holds++
  }

  release(): void {
    if (--this.#holds === 0) this.#handOn()
  }

  /** Nobody wants any more of what comes. */
  discard(): void {
    this.#isDiscarded = true
    for (const octets of this.#received?.splice(0) ?? []) this.#carrier.consumed(this, octets.length)
  }

  /** Content has come. */
  receive(octets: Buffer): void {
    if (this.#isDiscarded) this.#carrier.consumed(this, octets.length)
    else if (this.#received?.length || this.#isBusy || this.#holds > 0) (this.#received ??= []).push(octets)
    else this.#hand(octets)
  }

  /** All has come. */
  ended(trailers: readonly Field[] = NO_FIELDS): void {
    this.hasEnded = true
    this.#trailers = trailers
    // Behind it, a stream that has been sent whole is over; what came of it is still handed on.
    if (this.#hasFinished && !this.isClosed) this.#close()
    this.#handOn()
  }

  /** It was reset, or its connection is gone. */
  abort(code: number): void {
    if (!this.isClosed) this.#close()
    if (this.#isOwn) {
      this.#abortedWith = code
      this.#handOn()
    } else {
      this.discard()
      this.#isTold = true
      this.handlers?.aborted(code)
    }
  }

  #hand(octets: Buffer): void {
    const wait = this.handlers?.data(octets)
    if (!isPromise(wait)) {
      this.#carrier.consumed(this, octets.length)
      return
    }
    this.#isBusy = true
    const taken = (): void => {
      this.#isBusy = false
      this.#carrier.consumed(this, octets.length)
      this.#handOn()
    }
    wait.then(taken, taken)
  }

  /** Hands on what has come: all of it, where nothing more will. */
  #handOn(): void {
    while (!this.#isBusy && this.#received?.length) {
      if (this.#holds > 0 && this.#abortedWith === undefined) return
      const octets = this.#received.shift()
      if (octets) this.#hand(octets)
    }
    if (this.#isBusy) return
    if (this.hasEnded && !this.#isTold) {
      this.#isTold = true
      this.handlers?.ended(this.#trailers)
    }
    if (this.#abortedWith === undefined) return
    const code = this.#abortedWith
    this.#abortedWith = undefined
    this.handlers?.aborted(code)
  }
}
