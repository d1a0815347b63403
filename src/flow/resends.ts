/** What browsers send again by themselves, without telling the page: which exchange is a repetition of which. */
import type { Exchange } from '../exchange.ts'

/** How long the next try is expected: it comes at once, but perhaps on a new connection by a slow network. */
const WITHIN_MS = 5000

interface Expected {
  readonly exchange: Exchange
  readonly untilMs: number
}

/** Links each try with the one before. */
export class Resends {
  #expected: readonly Expected[] = []

  /** An exchange has ended in a way in which its browser sends it again. */
  note(exchange: Exchange): void {
    if (exchange.isResent) return
    exchange.isResent = true
    this.#expected = [...this.#expected, { exchange, untilMs: performance.now() + WITHIN_MS }]
  }

  /** A new exchange: tells it of which one it is the repetition, if it is one. */
  link(exchange: Exchange): void {
    if (this.#expected.length === 0 || exchange.source !== 'page') return
    const now = performance.now()
    const { method, url } = exchange.request
    const found = this.#expected.find(
      ({ exchange: { request }, untilMs }) => untilMs >= now && request.method === method && request.url === url,
    )
    this.#expected = this.#expected.filter((each) => each !== found && each.untilMs >= now)
    if (!found) return
    exchange.resentFrom = found.exchange
    exchange.faults.push(...found.exchange.faults)
  }
}
