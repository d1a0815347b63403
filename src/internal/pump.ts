/**
 * Reads one stream to its end, chunk by chunk, with back-pressure: the reading half of every relay.
 *
 * Knows nothing of protocols. Does not own the stream: whoever made the pump closes it.
 */
import type { Readable } from 'node:stream'

import { isPromise } from './maybe-promise.ts'
import type { MaybePromise } from './maybe-promise.ts'
import type { OctetWriter } from './writable.ts'

/** How a stream ended: by the other side's FIN, by an error (a reset), or closed from this side. */
export type PumpEnd =
  | { readonly kind: 'end' }
  | { readonly kind: 'error'; readonly error: Error }
  | { readonly kind: 'closed' }

/** What a {@link Pump} calls. */
export interface PumpHandlers {
  /** Called with each chunk. Until a promise that it returns has settled, nothing more is read. */
  data(chunk: Buffer): MaybePromise<void>
  /** Called once, after the last chunk has been handled. */
  end(end: PumpEnd): void
  /** Called when a stream that had ended turns out to be broken: what is written to it arrives nowhere. */
  lost(error: Error): void
  /** Called when `data` threw or rejected; nothing more is read. */
  failed(error: unknown): void
}

/** What reads, and can be made to wait. */
export interface Holdable {
  /** Stops reading until as many releases have come as there were holds. */
  hold(): void
  /** Undoes one hold. */
  release(): void
}

/** Reads a stream chunk by chunk; starts with {@link Pump.start}. */
export class Pump implements Holdable {
  readonly #reader: Readable
  readonly #handlers: PumpHandlers
  readonly #bufferSize: number
  readonly #queue: Buffer[] = []
  #holds = 0
  #isBusy = false
  #isOver = false
  #end: PumpEnd | undefined

  /**
   * @param reader - The stream to read; it must be paused.
   * @param handlers - What to call.
   * @param bufferSize - Most octets that are handed on at once.
   */
  constructor(reader: Readable, handlers: PumpHandlers, bufferSize = 65_536) {
    this.#reader = reader
    this.#handlers = handlers
    this.#bufferSize = bufferSize
  }

  /** Begins to read. */
  start(): void {
    const reader = this.#reader
    reader.on('data', this.#onData)
    reader.on('end', this.#onEnd)
    reader.on('error', this.#onError)
    reader.on('close', this.#onClose)
    if (reader.errored) this.#onError(reader.errored)
    else if (reader.readableEnded) this.#onEnd()
    else if (reader.destroyed) this.#onClose()
    else if (this.#holds === 0) reader.resume()
  }

  /**
   * Stops reading for good, and leaves the stream paused with no listener of this pump. What was read and not handed on
   * is put back, for whoever reads the stream next.
   */
  stop(): void {
    this.#reader.off('error', this.#onLost)
    if (this.#isOver) return
    this.#isOver = true
    this.#reader.off('data', this.#onData)
    this.#reader.off('end', this.#onEnd)
    this.#reader.off('error', this.#onError)
    this.#reader.off('close', this.#onClose)
    this.#reader.pause()
    const unread = this.#queue.splice(0)
    const { readableEnded, destroyed } = this.#reader
    if (unread.length > 0 && !readableEnded && !destroyed) this.#reader.unshift(Buffer.concat(unread))
  }

  /** Stops reading until as many {@link Pump.release} have come as there were holds. */
  hold(): void {
    if (this.#holds++ === 0) this.#reader.pause()
  }

  /** Undoes one {@link Pump.hold}. */
  release(): void {
    if (--this.#holds > 0 || this.#isOver) return
    this.#drain()
    if (this.#holds === 0 && !this.#isBusy && !this.#end) this.#reader.resume()
  }

  readonly #onData = (chunk: Buffer): void => {
    if (chunk.length <= this.#bufferSize) {
      if (this.#queue.length === 0 && !this.#isBusy && this.#holds === 0) {
        this.#hand(chunk)
        return
      }
      this.#queue.push(chunk)
    } else
      for (let at = 0; at < chunk.length; at += this.#bufferSize)
        this.#queue.push(chunk.subarray(at, at + this.#bufferSize))
    this.#drain()
  }

  readonly #onEnd = (): void => {
    this.#over({ kind: 'end' })
  }

  readonly #onError = (error: Error): void => {
    this.#over({ kind: 'error', error })
  }

  readonly #onLost = (error: Error): void => {
    this.#reader.off('error', this.#onLost)
    this.#handlers.lost(error)
  }

  readonly #onClose = (): void => {
    this.#over({ kind: 'closed' })
  }

  #over(end: PumpEnd): void {
    // A stream that ends and is then reset has ended all the same; one that has an error is closed next.
    if (this.#end && !(this.#end.kind === 'end' && this.#queue.length > 0 && end.kind === 'error')) return
    this.#end = end
    this.#drain()
  }

  #drain(): void {
    if (this.#isBusy) return
    while (!this.#isOver && this.#queue.length > 0) {
      // A dead stream cannot be held: what it sent before is handed on at once.
      if (this.#holds > 0 && this.#end?.kind !== 'error') return
      const chunk = this.#queue.shift()
      if (!chunk) break
      this.#hand(chunk)
      if (this.#isBusy) return
    }
    if (this.#end && !this.#isOver && this.#queue.length === 0) {
      this.stop()
      // It may still be written to, and break by that.
      if (this.#end.kind === 'end') this.#reader.on('error', this.#onLost)
      this.#handlers.end(this.#end)
    }
  }

  /** Hands one chunk on, and waits if the handler wants that. */
  #hand(chunk: Buffer): void {
    let handled: MaybePromise<void>
    try {
      handled = this.#handlers.data(chunk)
    } catch (error) {
      this.#fail(error)
      return
    }
    if (!isPromise(handled)) return
    this.#isBusy = true
    this.hold()
    handled.then(this.#onHandled, this.#onRejected)
  }

  readonly #onHandled = (): void => {
    this.#isBusy = false
    this.release()
    if (this.#end) this.#drain()
  }

  readonly #onRejected = (error: unknown): void => {
    this.#isBusy = false
    this.#fail(error)
  }

  #fail(error: unknown): void {
    if (this.#isOver) return
    this.stop()
    this.#handlers.failed(error)
  }
}

/**
 * Writes, and holds the pump that feeds the writer until the octets are gone when it has enough.
 *
 * @param writer - A writer that has ended or is destroyed takes nothing, silently: its end is told by its own events.
 */
export function writeThrough(writer: OctetWriter | undefined, octets: Uint8Array, pump: Holdable | undefined): void {
  if (!writer || octets.length === 0 || writer.destroyed || writer.writableEnded) return
  if (writer.write(octets) || !pump) return
  const waiting = held.get(writer)
  // One is enough, however often is written until the writer has room.
  if (waiting?.has(pump)) return
  held.set(writer, (waiting ?? new Set()).add(pump))
  pump.hold()
  const release = (): void => {
    writer.off('drain', release)
    writer.off('close', release)
    held.get(writer)?.delete(pump)
    pump.release()
  }
  writer.on('drain', release)
  writer.on('close', release)
}

/** The pumps that wait for a writer. */
const held = new WeakMap<OctetWriter, Set<Holdable>>()
