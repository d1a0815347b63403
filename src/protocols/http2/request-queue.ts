/** Requests to a server, which says how many it takes at once (SETTINGS_MAX_CONCURRENT_STREAMS): the others wait. */
import type { Field } from '../../exchange.ts'
import type { Http2Stream } from './stream.ts'

/** A request that is to be sent. */
export interface QueuedRequest {
  readonly stream: Http2Stream
  readonly section: readonly Field[]
  readonly endStream: boolean
  readonly sensitive: readonly string[]
}

/** The requests that wait. */
export class RequestQueue {
  /** How many the server takes. */
  most: number = Infinity
  readonly #opens: (stream: Http2Stream) => void
  readonly #waiting: QueuedRequest[] = []
  #count = 0

  /** @param opens - Gives a stream its number. */
  constructor(opens: (stream: Http2Stream) => void) {
    this.#opens = opens
  }

  /** Sends a request, now or when its turn comes. */
  add(request: QueuedRequest): void {
    this.#waiting.push(request)
    this.open()
  }

  /** Sends as many as the server takes. */
  open(): void {
    while (this.#count < this.most) {
      const next = this.#waiting.shift()
      if (!next) return
      const { stream, section, endStream, sensitive } = next
      this.#count++
      this.#opens(stream)
      stream.respond(section, { endStream, sensitive })
    }
  }

  /** One that was sent is over. */
  closed(): void {
    this.#count--
    this.open()
  }

  /** One that waits is given up. */
  remove(stream: Http2Stream): void {
    const at = this.#waiting.findIndex((each) => each.stream === stream)
    if (at >= 0) this.#waiting.splice(at, 1)
  }

  /** Gives all up that wait. */
  takeAll(): readonly Http2Stream[] {
    return this.#waiting.splice(0).map(({ stream }) => stream)
  }
}
