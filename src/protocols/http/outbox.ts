/** Collects the octets that one read gives to forward, so that they leave in one write, as they came. */
import { Link } from '../../internal/link.ts'
import type { Schedule } from '../../internal/link.ts'
import { writeThrough } from '../../internal/pump.ts'
import type { Holdable } from '../../internal/pump.ts'
import { whenWritable } from '../../internal/writable.ts'
import type { OctetWriter } from '../../internal/writable.ts'

/** Octets on their way to one host. */
export class Outbox {
  /** The chunk that is being read: when all of it is forwarded, it is written itself. */
  chunk: Buffer | undefined
  #octets: Buffer[] = []
  /** What slows it down, once something has. */
  #link: Link | undefined

  add(octets: Buffer): void {
    if (octets.length > 0) this.#octets.push(octets)
  }

  /**
   * Writes what has been collected.
   *
   * @param pump - Is held while the writer has enough.
   */
  flush(writer: OctetWriter | undefined, pump: Holdable | undefined): void {
    const slices = this.#octets
    const [first] = slices
    if (!first) return
    this.#octets = []
    const octets = slices.length === 1 ? first : joinSlices(slices, this.chunk)
    if (this.#link) this.#link.push(octets, writer, pump)
    else writeThrough(writer, octets, pump)
  }

  /** What octets pass from now on before they are written. */
  pace(schedules: readonly Schedule[]): void {
    if (!this.#link && schedules.length === 0) return
    this.#link ??= new Link()
    this.#link.schedules = schedules
  }

  /** Resolves when everything that was flushed is written; undefined when it is. */
  whenSent(): Promise<void> | undefined {
    return this.#link?.whenEmpty()
  }

  /** Resolves when there is room for more; undefined when there is now, or nobody takes anything any more. */
  whenRoom(writer: OctetWriter | undefined): Promise<void> | undefined {
    return this.#link?.whenRoom() ?? (writer && whenWritable(writer))
  }

  /** Forgets what is not written yet. */
  close(): void {
    this.#link?.close()
  }
}

/**
 * Puts slices together; without a copy where they lie side by side, as the parts of one read do.
 *
 * @param chunk - What is returned when the slices are all of it.
 */
function joinSlices(slices: readonly Buffer[], chunk?: Buffer): Buffer {
  const [first] = slices
  if (!first) return Buffer.alloc(0)
  const { buffer, byteOffset } = first
  let end = byteOffset
  for (const slice of slices) {
    if (slice.buffer !== buffer || slice.byteOffset !== end) return Buffer.concat(slices)
    end += slice.length
  }
  const length = end - byteOffset
  const isWhole = chunk?.buffer === buffer && chunk.byteOffset === byteOffset && chunk.length === length
  return isWhole ? chunk : Buffer.from(buffer, byteOffset, length)
}
