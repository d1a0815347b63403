/** What became of the uses of a rule, and why there were no others. */
import type { Exchange } from '../exchange.ts'
import { timesText } from './limits.ts'
import type { RuleUse } from './rule-use.ts'

/** What a rule has done, as far as its limits do not count it. It keeps nothing of exchanges that are over. */
export class RuleHistory {
  readonly #running = new Set<RuleUse>()
  /** How often each fault acted in the uses that are over. */
  readonly #fired = new Map<string, number>()
  readonly #skips = new WeakMap<Exchange, string>()
  #lastMiss: string | undefined

  /** A use begins. */
  began(use: RuleUse): void {
    this.#running.add(use)
  }

  /** A use is over. */
  ended(use: RuleUse): void {
    if (this.#running.delete(use)) count(this.#fired, use)
  }

  /** The rule was kept from an exchange that its filter means. */
  skipped(exchange: Exchange, why: string): void {
    this.#skips.set(exchange, why)
  }

  /** Why it was; undefined when it was not. */
  whySkipped(exchange: Exchange): string | undefined {
    return this.#skips.get(exchange)
  }

  /** The body of a request was not what the filter means, though its head was. */
  missed({ request }: Exchange, misses: readonly string[]): void {
    this.#lastMiss = `${request.method} ${request.url} because ${misses.join(', and ')}`
  }

  /** In words, each part with a semicolon before it: which faults acted, and the last request that its body kept off. */
  text(): string {
    const fired = new Map(this.#fired)
    for (const use of this.#running) count(fired, use)
    const acted = [...fired].map(([text, times]) => `${text} ${timesText(times)}`)
    const last = this.#lastMiss === undefined ? '' : `; last passed over ${this.#lastMiss}`
    return `${acted.length > 0 ? `; acted: ${acted.join(', ')}` : ''}${last}`
  }
}

function count(fired: Map<string, number>, use: RuleUse): void {
  for (const text of use.fired()) fired.set(text, (fired.get(text) ?? 0) + 1)
}
