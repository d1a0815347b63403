/** Looks for matching exchanges among those that pass. */
import type { CompiledFilter, Exchange } from '../src/index.ts'
import type { Inspectable } from './inspectable.ts'

/** Why a wait was over. */
export type WatchEnd = 'met' | 'settled' | 'timeout' | 'ended'

/** Looks for exchanges that match a filter, each as soon as enough of it has come. */
export class Watch {
  readonly #mitm: Inspectable
  readonly #filter: CompiledFilter
  /** What will not change any more, so that a look at long traffic stays short. */
  readonly #decided = new WeakMap<Exchange, boolean>()

  constructor(mitm: Inspectable, filter: CompiledFilter) {
    this.#mitm = mitm
    this.#filter = filter
  }

  /**
   * The exchanges that match, in the order of their start. Of what the browser has sent again by itself, which the page
   * asked for once, the last one counts; what a handler has asked the real server for nobody else has requested.
   */
  matches(): Exchange[] {
    return this.#mitm.exchanges.filter(
      (exchange) => isCounted(exchange) && (this.#decided.get(exchange) ?? this.#look(exchange)),
    )
  }

  /** Waits until there are `count` matches. */
  async untilCount(count: number, timeoutMs: number): Promise<WatchEnd> {
    const outcome = await this.#mitm.changes.until(() => this.#hasAtLeast(count), { timeoutMs })
    return outcome.state
  }

  /** Waits until the traffic has settled, unless there are `count` matches before: then that is `met`. */
  async untilSettled(count: number, timeoutMs: number): Promise<WatchEnd> {
    const giveUp = new AbortController()
    const { signal } = giveUp
    try {
      return await Promise.race([
        this.#mitm.changes.until(() => this.#hasAtLeast(count), { timeoutMs, signal }).then(({ state }) => state),
        this.#mitm.waitForIdle({ timeoutMs, signal }).then((isIdle) => (isIdle ? 'settled' : 'timeout')),
      ])
    } finally {
      giveUp.abort()
    }
  }

  #hasAtLeast(count: number): true | undefined {
    return this.matches().length >= count ? true : undefined
  }

  #look(exchange: Exchange): boolean {
    // A part whose body or response has not come yet does not match yet.
    const isMatch = this.#filter.headMatches(exchange) && this.#filter.restMatches(exchange)
    if (isMatch || exchange.endReason !== undefined) this.#decided.set(exchange, isMatch)
    return isMatch
  }
}

function isCounted({ isResent, source }: Exchange): boolean {
  return !isResent && source !== 'handler'
}
