/**
 * The stream that a session of `node:http2` is given in place of a socket: what it reads has passed the hooks for octets,
 * and what it writes passes a gate. The socket below stays with the connection, which ends it.
 */
import { Duplex } from 'node:stream'
import type { Readable, Writable } from 'node:stream'
import { setImmediate as nextTurn } from 'node:timers/promises'

import type { Side } from '../../errors.ts'
import { isPromise } from '../../internal/maybe-promise.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import { Pump } from '../../internal/pump.ts'
import type { PumpEnd } from '../../internal/pump.ts'
import { afterRoom } from '../../internal/writable.ts'
import { FrameGate } from './frame-gate.ts'
import { FrameWatch } from './frame-watch.ts'
import type { GoAway } from './frame-watch.ts'

/** What a {@link SessionStream} lies on, and whom it tells. */
export interface SessionStreamOptions {
  readonly reader: Readable
  readonly writer: Writable
  /** Whose octets are read. */
  readonly from: Side
  readonly bufferSize: number
  /** What octets that have been read become. */
  hook(octets: Buffer): MaybePromise<Buffer>
  /** Octets have passed, in either direction. */
  touched(): void
  /** The endpoint wants no new streams. The session is not told. */
  goAway(goAway: GoAway): void
  /** Nothing more comes. The session is not told: what it has under way may still be written. */
  ended(end: PumpEnd): void
  /** The endpoint has said what the session must not see. Nothing more is read. */
  broken(error: Error): void
  /** A hook failed. */
  failed(error: unknown): void
}

/** A stream for a session. Destroying it leaves the socket alone. */
export class SessionStream extends Duplex {
  /** What the session writes passes here. */
  readonly gate: FrameGate
  /** What the session reads has passed here. */
  readonly watch: FrameWatch
  readonly #options: SessionStreamOptions
  readonly #pump: Pump
  #onDemand: (() => void) | undefined
  #isCut = false
  #isSilent = false

  /** @param first - What has been read and hooked already. */
  constructor(options: SessionStreamOptions, first: Buffer = Buffer.alloc(0)) {
    super({ allowHalfOpen: true })
    this.#options = options
    this.watch = new FrameWatch(options.from)
    this.gate = new FrameGate((octets) => this.#send(octets))
    this.#pump = new Pump(
      options.reader,
      {
        data: (chunk) => this.#take(chunk),
        end: (end) => options.ended(end),
        lost: (error) => options.ended({ kind: 'error', error }),
        failed: (error) => options.failed(error),
      },
      options.bufferSize,
    )
    // A session that is destroyed writes what it still has; errors of the socket are told by its own events.
    this.on('error', () => undefined)
    // Nothing that comes first can be waited for.
    void this.#hand(first)
    this.#pump.start()
  }

  /** Nothing that the session says from now on leaves, and nothing more is read. */
  cut(): void {
    this.#isCut = true
    this.stopSending()
    this.#pump.stop()
    this.#wake()
  }

  /** Nothing that the session says from now on leaves, but what comes is read. */
  stopSending(): void {
    this.#isSilent = true
    this.gate.close()
  }

  override _read(): void {
    this.#wake()
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#write([chunk], done)
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    this.#write(
      chunks.map(({ chunk }) => chunk),
      done,
    )
  }

  override _final(done: (error?: Error | null) => void): void {
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.cut()
    done(error)
  }

  #take(chunk: Buffer): MaybePromise<void> {
    this.#options.touched()
    const octets = this.#options.hook(chunk)
    return isPromise(octets) ? octets.then((hooked) => this.#hand(hooked)) : this.#hand(octets)
  }

  #hand(octets: Buffer): MaybePromise<void> {
    const pieces = this.watch.pass(octets)
    const [first] = pieces
    if (pieces.length === 1 && Buffer.isBuffer(first) && !this.watch.isBroken) return this.#push(first)
    return pieces.length > 0 || this.watch.isBroken ? this.#handEach(pieces) : undefined
  }

  async #handEach(pieces: readonly (Buffer | GoAway)[]): Promise<void> {
    for (const piece of pieces) {
      if (this.#isCut) return
      if (Buffer.isBuffer(piece)) await this.#push(piece)
      else this.#options.goAway(piece)
      // What has been read so far is handed on first.
      await nextTurn()
    }
    if (!this.watch.isBroken || this.#isCut) return
    this.#pump.stop()
    this.#options.broken(new Error('A frame interrupts a field block'))
  }

  #push(octets: Buffer): MaybePromise<void> {
    if (this.#isCut || this.push(octets)) return undefined
    return new Promise((resolve) => {
      this.#onDemand = resolve
    })
  }

  #wake(): void {
    this.#onDemand?.()
    this.#onDemand = undefined
  }

  #write(chunks: readonly Buffer[], done: (error?: Error | null) => void): void {
    const { writer } = this.#options
    if (this.#isSilent || writer.destroyed || writer.writableEnded) {
      done()
      return
    }
    this.#options.touched()
    this.gate.pass(chunks)
    afterRoom(writer, done)
  }

  #send(octets: Buffer): void {
    const { writer } = this.#options
    if (!this.#isSilent && !writer.destroyed && !writer.writableEnded) writer.write(octets)
  }
}
