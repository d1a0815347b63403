/** What waits for its turn in one direction of a WebSocket. */
import type { MaybePromise } from '../../internal/maybe-promise.ts'

/** Something that waits for its turn. */
export type LaneItem =
  | {
      /** Octets of a message, or all of it. */
      readonly kind: 'piece'
      readonly of: 'text' | 'binary'
      readonly isCompressed: boolean
      readonly isFirst: boolean
      readonly isLast: boolean
      readonly payload: Buffer
    }
  /** A message of a mock. */
  | { readonly kind: 'own'; readonly of: 'text' | 'binary'; readonly octets: Buffer }
  | { readonly kind: 'control'; readonly opcode: number; readonly payload: Buffer; readonly isOwn: boolean }
  /** What breaks the rules, and what follows that. */
  | { readonly kind: 'raw'; readonly octets: Buffer }
  /** What faults hold that are gone. */
  | { readonly kind: 'released' }
  | { readonly kind: 'end'; resolve(): void }

/** An item of one kind. */
export type ItemOf<Kind extends LaneItem['kind']> = Extract<LaneItem, { kind: Kind }>

/** How much waits here before the sender has to wait. */
const MAX_QUEUED_BYTES = 1024 * 1024

/** What waits for its turn, and how much that is. */
export class LaneQueue {
  readonly #items: LaneItem[] = []
  #bytes = 0
  #onceRoom: (() => void)[] = []

  add(item: LaneItem): void {
    this.#items.push(item)
    this.#bytes += bytesOf(item)
  }

  /** The next one. It counts as waiting until {@link LaneQueue.done}. */
  next(): LaneItem | undefined {
    return this.#items.shift()
  }

  /** An item waits no more. */
  done(item: LaneItem): void {
    this.#bytes -= bytesOf(item)
    if (this.#bytes <= MAX_QUEUED_BYTES) this.#wake()
  }

  /** Resolves when there is room for more; undefined when there is now. */
  whenRoom(): MaybePromise<void> {
    if (this.#bytes <= MAX_QUEUED_BYTES) return undefined
    return new Promise((resolve) => {
      this.#onceRoom.push(resolve)
    })
  }

  /** Forgets everything, and lets nobody wait. */
  close(): void {
    for (const item of this.#items.splice(0)) if (item.kind === 'end') item.resolve()
    this.#bytes = 0
    this.#wake()
  }

  #wake(): void {
    for (const resolve of this.#onceRoom.splice(0)) resolve()
  }
}

/** What a sender has to wait for; what a mock sends is not held back. */
function bytesOf(item: LaneItem): number {
  if (item.kind === 'piece') return item.payload.length
  return item.kind === 'raw' ? item.octets.length : 0
}
