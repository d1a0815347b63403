/** Collects the octets that one read gives to forward, so that they leave in one write, as they came. */
import type { Writable } from 'node:stream'

import { writeThrough } from '../../internal/pump.ts'
import type { Pump } from '../../internal/pump.ts'

/** Octets on their way to one host. */
export class Outbox {
  #octets: Buffer[] = []

  add(octets: Buffer): void {
    if (octets.length > 0) this.#octets.push(octets)
  }

  /**
   * Writes what has been collected.
   *
   * @param pump - Is held while the writer has enough.
   */
  flush(writer: Writable | undefined, pump: Pump | undefined): void {
    if (this.#octets.length === 0) return
    const [only] = this.#octets
    const octets = only && this.#octets.length === 1 ? only : joinSlices(this.#octets)
    this.#octets = []
    writeThrough(writer, octets, pump)
  }
}

/** Puts slices together; without a copy where they lie side by side, as the parts of one read do. */
export function joinSlices(slices: readonly Buffer[]): Buffer {
  const first = slices[0]
  if (!first) return Buffer.alloc(0)
  let end = first.byteOffset + first.length
  for (const slice of slices.slice(1)) {
    if (slice.buffer !== first.buffer || slice.byteOffset !== end) return Buffer.concat(slices)
    end += slice.length
  }
  return Buffer.from(first.buffer, first.byteOffset, end - first.byteOffset)
}
