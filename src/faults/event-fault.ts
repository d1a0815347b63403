/** Changes one server-sent event of a stream, and passes the others as they come. */
import type { Transformer, TransformStreamDefaultController } from 'node:stream/web'

import type { Fault } from '../fault.ts'
import { EventEnds } from '../internal/event-ends.ts'

/** How much of an event is held; a longer one passes unchanged. */
const MAX_EVENT_BYTES = 1024 * 1024
const LF = 0x0a
const CR = 0x0d

/** Makes a fault of a change of one event, its index counted from 0. `change` gets the octets up to its blank line, and it. */
export function eventFault(name: string, text: string, index: number, change: (event: Buffer) => Buffer): Fault {
  return {
    name,
    text,
    parts: [{ stage: 'stream', open: (acted) => new TransformStream(new EventChanger(index, change, acted)) }],
  }
}

class EventChanger implements Transformer<Uint8Array, Uint8Array> {
  readonly #index: number
  readonly #change: (event: Buffer) => Buffer
  readonly #acted: () => void
  readonly #ends = new EventEnds()
  #seen = 0
  #held: Buffer[] = []
  #heldBytes = 0
  #isDone = false
  /** Whether what came ended with an event, and that with a CR. */
  #isAfterCr = false

  constructor(index: number, change: (event: Buffer) => Buffer, acted: () => void) {
    this.#index = index
    this.#change = change
    this.#acted = acted
  }

  transform(chunk: Uint8Array, controller: TransformStreamDefaultController<Uint8Array>): void {
    if (this.#isDone) {
      controller.enqueue(chunk)
      return
    }
    const octets = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length)
    const ends = this.#ends.find(octets)
    // Of a CRLF that was cut in two, LF is still of the event before.
    let from = this.#isAfterCr && octets[0] === LF ? 1 : 0
    if (from > 0) controller.enqueue(octets.subarray(0, from))
    this.#isAfterCr = ends.at(-1) === octets.length && octets.at(-1) === CR
    for (const end of ends) {
      if (this.#isDone) break
      if (this.#seen === this.#index) this.#finish(octets.subarray(from, end), controller)
      else controller.enqueue(octets.subarray(from, end))
      this.#seen++
      from = end
    }
    if (from < octets.length) this.#take(octets.subarray(from), controller)
  }

  flush(controller: TransformStreamDefaultController<Uint8Array>): void {
    this.#release(controller)
  }

  #finish(last: Buffer, controller: TransformStreamDefaultController<Uint8Array>): void {
    this.#isDone = true
    this.#acted()
    controller.enqueue(this.#change(Buffer.concat([...this.#held, last])))
    this.#held = []
  }

  #take(octets: Buffer, controller: TransformStreamDefaultController<Uint8Array>): void {
    if (this.#isDone || this.#seen !== this.#index) {
      controller.enqueue(octets)
      return
    }
    this.#held.push(octets)
    this.#heldBytes += octets.length
    if (this.#heldBytes <= MAX_EVENT_BYTES) return
    this.#isDone = true
    this.#release(controller)
  }

  #release(controller: TransformStreamDefaultController<Uint8Array>): void {
    for (const octets of this.#held.splice(0)) controller.enqueue(octets)
  }
}
