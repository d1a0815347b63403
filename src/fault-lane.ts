/** One direction of a message or a connection in which faults cut: counts what passes, and stops where a fault says. */
import type { Side } from './errors.ts'
import type { CutPart, Fault, FaultFeed } from './fault.ts'
import { EventEnds } from './internal/event-ends.ts'
import type { MaybePromise } from './internal/maybe-promise.ts'

/** Where what passes a {@link FaultLane} goes, and what is done where it stops. */
export interface LaneTarget {
  /** Takes octets that pass. */
  add(octets: Buffer): void
  /** Sends what was added. */
  flush(): void
  /** Resolves when all that was added has left; undefined when it has. */
  whenSent(): Promise<void> | undefined
  /** A fault acts: from now on nothing passes. */
  stopped(cut: CutPart, fault: Fault): void
  /** The fault that stopped it is gone: what was held passes after all. */
  freed(): void
  /** The time of the fault is over: the connection ends as `cut.end` says. Not called for `stall`. */
  ended(cut: CutPart, fault: Fault): void
}

/** How much is held behind a stop before the sender has to wait. */
const MAX_HELD_BYTES = 1024 * 1024

/** The cut that stops a lane. */
interface Stop {
  readonly cut: CutPart
  readonly fault: Fault
}

/** One direction of a message or a connection in which faults may cut. What is behind a cut is held, not lost. */
export class FaultLane {
  readonly #side: Side
  readonly #feed: FaultFeed
  readonly #target: LaneTarget
  readonly #head: HeadCounter | undefined
  #total = 0
  #stop: Stop | undefined
  #timer: NodeJS.Timeout | undefined
  #held: Buffer[] = []
  #heldBytes = 0
  #isClosed = false
  #isOver = false
  #onceFree: (() => void)[] = []
  #events: EventEnds | undefined
  readonly #passed = new Set<CutPart>()
  /** Offsets in the body behind each server-sent event. */
  readonly #eventEnds: number[] = []
  #scannedBytes = 0

  /**
   * @param side - Towards whom.
   * @param isHttp - Whether what passes begins with a head, which cuts do not count unless they say so.
   * @param passedBytes - Octets behind the head that have passed already; undefined when nothing has.
   */
  constructor(side: Side, feed: FaultFeed, target: LaneTarget, isHttp: boolean, passedBytes?: number) {
    this.#side = side
    this.#feed = feed
    this.#target = target
    this.#head = isHttp ? new HeadCounter() : undefined
    if (passedBytes === undefined) return
    this.#total = passedBytes + (isHttp ? 1 : 0)
    this.#head?.skip(passedBytes)
  }

  /** Whether a fault stops it at the moment. */
  get isStopped(): boolean {
    return this.#stop !== undefined
  }

  /** Whether an octet of the message (of interim responses, none) has passed. */
  get hasPassed(): boolean {
    return this.#total > 0
  }

  /** Takes octets; a promise when the sender has to wait. */
  add(octets: Buffer): MaybePromise<void> {
    if (this.#isClosed || octets.length === 0) return undefined
    if (this.#stop && !this.#isOver) return this.#hold(octets)
    if (this.#isOver) this.#target.add(octets)
    else this.#pass(octets)
    return undefined
  }

  /** Resolves when everything that was taken has left, or never will; undefined when it has. */
  settled(): Promise<void> | undefined {
    if (this.#isClosed) return undefined
    if (!this.#stop) return this.#target.whenSent()
    return new Promise<void>((resolve) => {
      this.#onceFree.push(resolve)
    }).then(() => this.settled())
  }

  /** Stops here for a cut that stands in place of the whole message, if there is one. */
  stopInPlace(): boolean {
    const stop = this.#cuts().find(({ cut }) => cut.afterBytes === undefined)
    if (stop && !this.#stop && !this.hasPassed) this.#stopAt(stop)
    return this.isStopped
  }

  /** Lets it pass after all, if this is the cut that stopped it; from now on that cut is none. */
  pass(cut: CutPart): void {
    this.#passed.add(cut)
    this.update()
  }

  /** The faults have changed: goes on where the one that stopped it is gone, and stops where a new one is due. */
  update(): void {
    if (this.#isClosed) return
    const stop = this.#stop
    if (stop) {
      if (this.#cuts().some(({ cut }) => cut === stop.cut)) return
      this.#free()
      return
    }
    // One in place of the response acts at once, if it needs none.
    const due = this.#cuts().find(
      ({ cut }) => this.#roomFor(cut) < 0 || (cut.afterBytes === undefined && !cut.forwards),
    )
    if (due) this.#stopAt(due)
  }

  /** The message is over: what still comes is none of the faults' business. Behind a cut nothing passes any more. */
  finish(): void {
    this.#isOver = true
    if (this.#stop) this.close()
    else this.#wake()
  }

  /** Nothing passes any more, and nothing is held. */
  close(): void {
    this.#isClosed = true
    this.#held = []
    clearTimeout(this.#timer)
    this.#wake()
  }

  #cuts(): Stop[] {
    return this.#feed.faults.flatMap(({ fault }) =>
      fault.parts
        .filter((part): part is CutPart => part.stage === 'cut' && part.side === this.#side && !this.#passed.has(part))
        .map((cut) => ({ cut, fault })),
    )
  }

  /** How many octets may still pass; below 0 when it should have stopped before. */
  #roomFor(cut: CutPart): number {
    if (cut.afterBytes === undefined) return 0 - this.#total
    const head = this.#head
    // A head that is not counted must be whole before anything is cut.
    if (head && (!cut.countsHead || cut.afterEvents) && !head.isOver) return Number.POSITIVE_INFINITY
    const from = cut.afterEvents ? this.#eventEnds[cut.afterEvents - 1] : 0
    if (from === undefined) return Number.POSITIVE_INFINITY
    const passed = cut.countsHead || !head ? this.#total : head.bodyBytes
    return from + cut.afterBytes - passed
  }

  /** Notes where events end in octets of the body that are about to pass. */
  #findEvents(octets: Buffer): void {
    const head = this.#head
    if (!head?.isOver || !/\ncontent-type:[ \t]*text\/event-stream\b/i.test(head.text)) return
    this.#events ??= new EventEnds({ isChunked: /\ntransfer-encoding:[^\n]*\bchunked\b/i.test(head.text) })
    // What was held behind a cut has been looked at before.
    const known = Math.min(octets.length, this.#scannedBytes - head.bodyBytes)
    for (const end of this.#events.find(octets.subarray(known))) this.#eventEnds.push(this.#scannedBytes + end)
    this.#scannedBytes = Math.max(this.#scannedBytes, head.bodyBytes + octets.length)
  }

  #pass(octets: Buffer): void {
    let rest = octets
    while (rest.length > 0) {
      const length = this.#head?.ownLength(rest) ?? rest.length
      const piece = rest.subarray(0, length)
      this.#findEvents(piece)
      const stop = this.#passOne(piece)
      rest = rest.subarray(stop ? stop.passed : length)
      if (!stop) continue
      this.#stopAt(stop.stop)
      if (rest.length > 0) void this.#hold(rest)
      return
    }
  }

  /** Passes octets that are all of the head, or all of the body, up to the nearest cut. */
  #passOne(piece: Buffer): { readonly passed: number; readonly stop: Stop } | undefined {
    // Interim responses are none of what a fault is for.
    if (this.#head?.isInterim(piece)) {
      this.#target.add(piece)
      this.#head.take(piece)
      return undefined
    }
    const before = this.#nearest(piece.length - 1)
    const passed = before ? Math.max(0, this.#roomFor(before.cut)) : piece.length
    if (passed > 0) {
      const part = passed < piece.length ? piece.subarray(0, passed) : piece
      this.#target.add(part)
      this.#total += part.length
      this.#head?.take(part)
    }
    const stop = before ?? this.#nearest(0)
    return stop && { passed, stop }
  }

  /** The cut that allows the fewest octets, and no more than `most`. */
  #nearest(most: number): Stop | undefined {
    let nearest: Stop | undefined
    for (const stop of this.#cuts()) {
      const room = this.#roomFor(stop.cut)
      if (stop.cut.afterBytes === undefined && this.hasPassed) continue
      if (room <= most && (!nearest || room < this.#roomFor(nearest.cut))) nearest = stop
    }
    return nearest
  }

  #hold(octets: Buffer): MaybePromise<void> {
    this.#held.push(octets)
    this.#heldBytes += octets.length
    if (this.#heldBytes <= MAX_HELD_BYTES) return undefined
    return new Promise((resolve) => {
      this.#onceFree.push(resolve)
    })
  }

  #stopAt(stop: Stop): void {
    this.#stop = stop
    const { cut, fault } = stop
    this.#target.stopped(cut, fault)
    if (cut.end === 'stall') return
    this.#target.flush()
    const end = (): void => {
      if (this.#isClosed || this.#stop !== stop) return
      this.#target.ended(cut, fault)
    }
    const wait = (): void => {
      if (cut.afterMs > 0) this.#timer = setTimeout(end, cut.afterMs)
      else end()
    }
    const sent = this.#target.whenSent()
    if (sent) void sent.then(wait)
    else wait()
  }

  #free(): void {
    this.#stop = undefined
    this.#target.freed()
    clearTimeout(this.#timer)
    const held = this.#held.splice(0)
    this.#heldBytes = 0
    for (const octets of held) void this.add(octets)
    this.#target.flush()
    if (!this.#stop) this.#wake()
  }

  #wake(): void {
    for (const resolve of this.#onceFree.splice(0)) resolve()
  }
}

const CR = 0x0d
const LF = 0x0a

/** Finds out where heads end, octet by octet, without reading them. */
class HeadCounter {
  isOver = false
  bodyBytes = 0
  /** The head so far. */
  text = ''
  /** Whether the line that is being read is empty so far. */
  #isLineEmpty = false

  /** The head has passed, and so many octets behind it. */
  skip(bodyBytes: number): void {
    this.isOver = true
    this.bodyBytes = bodyBytes
  }

  /** How many of these octets are of one kind: of a head, or of the body. */
  ownLength(octets: Buffer): number {
    if (this.isOver) return octets.length
    let isEmpty = this.#isLineEmpty
    for (let at = 0; at < octets.length; at++) {
      const octet = octets[at]
      if (octet === LF) {
        if (isEmpty) return at + 1
        isEmpty = true
      } else if (octet !== CR) isEmpty = false
    }
    return octets.length
  }

  /** Whether these octets, the next ones, are of an interim response. */
  isInterim(octets: Buffer): boolean {
    if (this.isOver) return false
    const start = (this.text + octets.toString('latin1', 0, START_LENGTH)).slice(0, START_LENGTH)
    return /^HTTP\/1\.\d 1(?!01)/.test(start)
  }

  /** Notes octets that have passed. */
  take(octets: Buffer): void {
    if (this.isOver) {
      this.bodyBytes += octets.length
      return
    }
    const wasInterim = this.isInterim(octets)
    this.text += octets.toString('latin1')
    for (const octet of octets) {
      if (octet === LF) {
        if (this.#isLineEmpty) {
          this.isOver = !wasInterim
          this.#isLineEmpty = false
          if (wasInterim) this.text = ''
          return
        }
        this.#isLineEmpty = true
      } else if (octet !== CR) this.#isLineEmpty = false
    }
  }
}

/** `HTTP/1.1 100` */
const START_LENGTH = 12
