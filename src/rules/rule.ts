/** When … then …: what is done to the exchanges that a filter means. */
import type { MitmError } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import { invalidRule, ruleFailed } from './act.ts'
import type { Blame } from './act.ts'
import { noteCallSite } from './call-site.ts'
import type { CompiledFilter } from './filter.ts'
import { show } from './filter-text.ts'
import { RuleActs } from './rule-acts.ts'

/** What a rule tells its list. */
export interface RuleHooks {
  removed(rule: Rule): void
  /** A function of its filter threw. */
  failed(error: MitmError, exchange: Exchange): void
}

/**
 * What is done to the exchanges that a filter means. Rules are made by `when()`; each method adds to the rule and takes
 * effect at once. A rule may do several things, but decide (`respond`, `json`, `block`) only once. A rule that does
 * nothing is passed over, and not counted.
 *
 * All methods that add throw a {@link MitmError} `MITM_INVALID_RULE` when the rule cannot do what it is told.
 *
 * @example
 * ```ts
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function declineOnce(mitm: TestMitm): void {
 *   mitm.post('https://pay.test/charge').json({ error: 'declined' }, { status: 402 }).once()
 * }
 * ```
 */
export class Rule extends RuleActs implements Disposable {
  /** @internal */
  readonly filter: CompiledFilter
  readonly #hooks: RuleHooks
  readonly #findCallSite: () => string | undefined
  #limit = Number.POSITIVE_INFINITY
  #calls = 0
  #isRemoved = false

  /** @internal Rules are made by `when()`. */
  constructor(filter: CompiledFilter, hooks: RuleHooks) {
    super()
    this.filter = filter
    this.#hooks = hooks
    this.#findCallSite = noteCallSite()
  }

  /** How often it was applied. */
  get calls(): number {
    return this.#calls
  }

  /** `file:line` at which it was made, outside this package. */
  get where(): string | undefined {
    return this.#findCallSite()
  }

  /** Whether it would be applied to an exchange that its filter means. */
  get isLive(): boolean {
    return !this.#isRemoved && this.acts.length > 0 && this.#calls < this.#limit
  }

  /** Lets it be applied once; then it steps aside. */
  once(): this {
    return this.times(1)
  }

  /** Lets it be applied `count` times in all; then it steps aside. */
  times(count: number): this {
    if (!Number.isInteger(count) || count < 0) {
      throw invalidRule('times', `count is ${show(count)}, expected a whole number from 0`)
    }
    this.#limit = count
    return this
  }

  /** Takes the rule out. What it is doing already goes on. */
  remove(): void {
    this.#isRemoved = true
    this.#hooks.removed(this)
  }

  /** Takes the rule out. */
  [Symbol.dispose](): void {
    this.remove()
  }

  /** What it is for, what it does, how often, and how often it was applied. */
  explain(): string {
    return `${this.describe()}; applied ${times(this.#calls)}${this.#isRemoved ? ', removed' : ''}`
  }

  /** @internal What it is for, what it does, and how often. */
  describe(): string {
    const acts = this.acts.map(({ text }) => text).join(', ') || 'nothing'
    const limit = Number.isFinite(this.#limit) ? `, ${times(this.#limit)}` : ''
    return `when ${this.filter.text}: ${acts}${limit}`
  }

  /** @internal Whether the head of the request is what the filter means. */
  headMatches(exchange: Exchange): boolean {
    return this.filter.headMatches(exchange, this.#onThrow)
  }

  /** @internal Whether the rest of it is, once the body has come. */
  restMatches(exchange: Exchange): boolean {
    return this.filter.restMatches(exchange, this.#onThrow)
  }

  /** @internal Counts one use, and notes it on the exchange. */
  use(exchange: Exchange): void {
    this.#calls++
    exchange.rules.push(this.describe())
  }

  readonly #onThrow = (error: unknown, exchange: Exchange): void => {
    this.#hooks.failed(this.blame('choose', error), exchange)
  }

  protected override readonly blame: Blame = (what, cause) => {
    const { where } = this
    return ruleFailed(`${JSON.stringify(this.describe())}${where ? ` (${where})` : ''}`, what, cause)
  }
}

function times(count: number): string {
  return count === 1 ? 'once' : `${count} times`
}
