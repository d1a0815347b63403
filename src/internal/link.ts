/** Holds octets until their time has come: what makes a connection slow. Knows no protocol, and does no I/O itself. */

import { writeThrough } from './pump.ts'
import type { Holdable } from './pump.ts'
import type { OctetWriter } from './writable.ts'

/** Octets at a moment, on the clock of `performance.now()`. */
export interface Piece {
  readonly octets: Buffer
  readonly atMs: number
}

/** Says when octets go on: the same ones, in one or more pieces, in order, and none before it came. */
export interface Schedule {
  /** Whether others wait in it too. Then as little as possible waits in it at once, so that all get on. */
  readonly isShared?: boolean
  schedule(piece: Piece): readonly Piece[]
}

/**
 * How much is held before the sender has to wait. Latency is no limit to the rate only as long as all that is under way
 * has room: this is two seconds at 64 Mbit/s.
 */
const MAX_HELD_BYTES = 16 * 2 ** 20
const RESUME_BYTES = MAX_HELD_BYTES / 2
/** So many pieces that have gone are kept before the queue is cut: cutting it for each would take long. */
const COMPACT_PIECES = 4096
/** How much may wait in what is shared, in the time that it takes. */
const MAX_SHARED_MS = 100

/** One direction of a connection that takes its time. */
export class Link {
  #schedules: readonly Schedule[] = []
  #queue: Piece[] = []
  /** Where the queue begins: what is before has gone. */
  #first = 0
  #heldBytes = 0
  #lastAtMs = 0
  #timer: NodeJS.Timeout | undefined
  #writer: OctetWriter | undefined
  /** What feeds it. */
  #pump: Holdable | undefined
  /** What waits for it. */
  #held: Holdable | undefined
  #onceEmpty: (() => void)[] = []
  readonly #waits = new Map<NodeJS.Timeout, Holdable>()
  #onceRoom: (() => void)[] = []

  /**
   * What octets pass from now on, one after the other. When one that was there is not any more, all that is held goes on
   * at once: it may be due to that one.
   */
  set schedules(schedules: readonly Schedule[]) {
    const before = this.#schedules
    this.#schedules = schedules
    if (before.every((schedule) => schedules.includes(schedule))) return
    this.#release(Number.POSITIVE_INFINITY)
    this.#stopWaiting()
  }

  /** Whether octets would be written as they come. */
  get isIdle(): boolean {
    return this.#schedules.length === 0 && this.#queue.length === this.#first
  }

  /**
   * Takes octets, and writes them when it is time.
   *
   * @param pump - Is held while too much is under way.
   */
  push(octets: Buffer, writer: OctetWriter | undefined, pump: Holdable | undefined): void {
    this.#writer = writer
    this.#pump = pump
    if (this.isIdle) {
      writeThrough(writer, octets, pump)
      return
    }
    const now = performance.now()
    let pieces: readonly Piece[] = [{ octets, atMs: now }]
    for (const schedule of this.#schedules) {
      pieces = pieces.flatMap((piece) => schedule.schedule(piece))
      if (schedule.isShared) this.#waitFor((pieces.at(-1)?.atMs ?? now) - now - MAX_SHARED_MS, pump)
    }
    for (const piece of pieces) {
      this.#lastAtMs = Math.max(this.#lastAtMs, piece.atMs)
      this.#queue.push({ octets: piece.octets, atMs: this.#lastAtMs })
      this.#heldBytes += piece.octets.length
    }
    if (pump && this.#heldBytes > MAX_HELD_BYTES && !this.#held) {
      this.#held = pump
      pump.hold()
    }
    this.#run()
  }

  /** Resolves when nothing is held; undefined when nothing is now. */
  whenEmpty(): Promise<void> | undefined {
    if (this.#queue.length === this.#first) return undefined
    return new Promise((resolve) => {
      this.#onceEmpty.push(resolve)
    })
  }

  /** Resolves when there is room for more; undefined when there is now. */
  whenRoom(): Promise<void> | undefined {
    if (this.#heldBytes <= MAX_HELD_BYTES) return undefined
    return new Promise((resolve) => {
      this.#onceRoom.push(resolve)
    })
  }

  /** Forgets what is held. */
  close(): void {
    this.#schedules = []
    this.#heldBytes = 0
    this.#settle()
    this.#stopWaiting()
  }

  #stopWaiting(): void {
    for (const [timer, pump] of this.#waits) {
      clearTimeout(timer)
      pump.release()
    }
    this.#waits.clear()
  }

  /** Lets the sender wait for what is shared. */
  #waitFor(ms: number, pump: Holdable | undefined): void {
    if (!pump || ms <= 0) return
    pump.hold()
    const timer = setTimeout(() => {
      this.#waits.delete(timer)
      pump.release()
    }, ms)
    this.#waits.set(timer, pump)
  }

  #run(): void {
    this.#release(performance.now())
    const next = this.#queue[this.#first]
    if (!next || this.#timer !== undefined) return
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined
        this.#run()
      },
      Math.max(0, next.atMs - performance.now()),
    )
  }

  #release(untilMs: number): void {
    for (let piece = this.#queue[this.#first]; piece; piece = this.#queue[this.#first]) {
      // Timers run out up to a millisecond early.
      if (piece.atMs > untilMs + 0.5) break
      this.#first++
      this.#heldBytes -= piece.octets.length
      writeThrough(this.#writer, piece.octets, this.#pump)
    }
    if (this.#first === this.#queue.length) {
      this.#settle()
      return
    }
    if (this.#first > COMPACT_PIECES) {
      this.#queue = this.#queue.slice(this.#first)
      this.#first = 0
    }
    if (this.#heldBytes <= RESUME_BYTES) this.#letGo()
  }

  #settle(): void {
    this.#queue = []
    this.#first = 0
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#letGo()
    for (const resolve of this.#onceEmpty.splice(0)) resolve()
  }

  #letGo(): void {
    this.#held?.release()
    this.#held = undefined
    for (const resolve of this.#onceRoom.splice(0)) resolve()
  }
}
