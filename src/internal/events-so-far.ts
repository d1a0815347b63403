/** The server-sent events in a body that is still coming. */
import { decodeContentSoFar } from './content.ts'
import { EventStreamReader } from './event-stream.ts'
import type { ReceivedEvent } from './event-stream.ts'

/** Reads events out of a body as often as somebody looks, and nothing of it twice that has no content coding. */
export class EventsSoFar {
  #events: ReceivedEvent[] = []
  #reader = new EventStreamReader(Number.POSITIVE_INFINITY)
  /** Octets of the body that have been looked at. */
  #size = 0

  /**
   * The events that have come whole.
   *
   * @param size - How many octets of the body there are.
   * @param octetsFrom - Gives those from an index on.
   * @throws {@link MitmError} `MITM_BODY_UNDECODABLE` when they are not coded as `contentEncoding` says.
   */
  read(
    size: number,
    octetsFrom: (index: number) => readonly Buffer[],
    contentEncoding: string | undefined,
  ): readonly ReceivedEvent[] {
    if (size > this.#size) {
      if (contentEncoding === undefined) for (const octets of octetsFrom(this.#size)) this.#take(octets)
      else this.#takeAgain(decodeContentSoFar(Buffer.concat(octetsFrom(0)), contentEncoding))
      this.#size = size
    }
    return [...this.#events]
  }

  /** From the beginning: zlib cannot go on synchronously from where it was. */
  #takeAgain(octets: Buffer): void {
    this.#reader = new EventStreamReader(Number.POSITIVE_INFINITY)
    this.#events = []
    this.#take(octets)
  }

  #take(octets: Buffer): void {
    for (const { event } of this.#reader.push(octets)) if (event) this.#events.push(event)
  }
}
