/** Streams of a session that have content to send and no room for it. They take turns, so that none keeps the others waiting. */
import type { Http2Stream, StreamCarrier } from './stream.ts'

/** The streams that wait. */
export class SendTurns {
  readonly #carrier: StreamCarrier
  readonly #waiting = new Set<Http2Stream>()

  constructor(carrier: StreamCarrier) {
    this.#carrier = carrier
  }

  add(stream: Http2Stream): void {
    this.#waiting.add(stream)
  }

  delete(stream: Http2Stream): void {
    this.#waiting.delete(stream)
  }

  /** There is room: each sends a frame, until there is none any more. */
  run(): void {
    const carrier = this.#carrier
    for (let hasSent = true; hasSent;) {
      hasSent = false
      for (const stream of [...this.#waiting]) {
        if (carrier.isChoked || carrier.sendWindow <= 0) return
        this.#waiting.delete(stream)
        const before = carrier.sendWindow
        if (stream.sendSome()) this.#waiting.add(stream)
        hasSent ||= carrier.sendWindow < before
      }
    }
  }
}
