/** How often, and when, a rule is applied. */
import type { MitmError } from '../errors.ts'
import type { Random } from '../internal/random.ts'
import { show } from './filter-text.ts'

/** A span of time, which begins when the rule is made. */
export interface DuringOptions {
  /** Milliseconds from the making of the rule to the beginning. @defaultValue 0 */
  afterMs?: number | undefined
  /** Milliseconds from the beginning to the end. @defaultValue no end */
  forMs?: number | undefined
}

/** What becomes of something that the filter of a rule means. */
export type Admission =
  /** The rule is applied; it is the use of this number, counted from 0. */
  | { readonly kind: 'use'; readonly number: number }
  /** It passes as if the rule were not there. */
  | { readonly kind: 'skip'; readonly why: string; readonly isEarly: boolean }

/** Makes the error for a method that was told what it cannot do. */
export type Refuse = (method: string, problem: string) => MitmError

/** The limits of a rule. What the filter means is asked of them in this order: during, after, probability, times. */
export class Limits {
  readonly #refuse: Refuse
  readonly #draw: Random
  readonly #madeAt = performance.now()
  #times: number | undefined
  /** The method that set `#times`. */
  #timesBy = ''
  #after: number | undefined
  #probability: number | undefined
  #during: { readonly afterMs: number; readonly forMs: number } | undefined
  #calls = 0
  #skipped = 0
  /** How many have passed because of `after`. */
  #early = 0
  /** Number of the next use that is not had again. */
  #next = 0
  /** What was taken back: those that come next have it again, so that nothing else is shifted. */
  #again: Admission[] = []

  /** @param draw - Decides `probability`. */
  constructor(refuse: Refuse, draw: Random) {
    this.#refuse = refuse
    this.#draw = draw
  }

  /** How often the rule was applied. */
  get calls(): number {
    return this.#calls
  }

  /** How many have passed because of `after` and `probability`. */
  get skipped(): number {
    return this.#skipped
  }

  /** Whether the rule will never be applied again, unless a use is taken back. */
  get isSpent(): boolean {
    if (this.#times !== undefined && this.#calls >= this.#times) return true
    return this.#during !== undefined && this.#age >= this.#endMs
  }

  /** Whether the rule may be applied now. */
  get isOpen(): boolean {
    return !this.isSpent && (this.#during === undefined || this.#age >= this.#during.afterMs)
  }

  /** Whether the number of uses has been set. */
  get hasTimes(): boolean {
    return this.#times !== undefined
  }

  /** Whether the use of this number is still to come, perhaps again. */
  isLeft(number: number): boolean {
    return number >= this.#next || this.#again.some((each) => each.kind === 'use' && each.number === number)
  }

  /** The number of the next use. */
  get nextUse(): number {
    return this.#again.find((each) => each.kind === 'use')?.number ?? this.#next
  }

  /** Whether it is not for everything, each time. */
  get isLimited(): boolean {
    return [this.#times, this.#after, this.#probability, this.#during].some((limit) => limit !== undefined)
  }

  /** Whether time alone changes {@link Limits.isSpent}. */
  get isTimed(): boolean {
    return this.#during !== undefined
  }

  /** Why it may not be applied now; undefined when it may. */
  get whyClosed(): string | undefined {
    if (this.#calls >= (this.#times ?? Number.POSITIVE_INFINITY)) return `used up (applied ${timesText(this.#calls)})`
    if (this.#age >= this.#endMs) return `its time is over (${this.#duringText()})`
    return this.isOpen ? undefined : `its time has not come (${this.#duringText()})`
  }

  /** The same for somebody who has been told how often it was applied. */
  get closedText(): string | undefined {
    const { whyClosed } = this
    return whyClosed?.startsWith('used up') && this.#calls > 0 ? 'used up' : whyClosed
  }

  get #age(): number {
    return performance.now() - this.#madeAt
  }

  get #endMs(): number {
    return this.#during ? this.#during.afterMs + this.#during.forMs : Number.POSITIVE_INFINITY
  }

  /** Sets the number of uses. @param method - Who sets it. @throws {@link MitmError} `MITM_INVALID_RULE` */
  setTimes(method: string, count: number): void {
    if (!Number.isInteger(count) || count < 0) {
      throw this.#refuse(method, `count is ${show(count)}, expected a whole number from 0`)
    }
    if (this.#times !== undefined && this.#times !== count) {
      const before = this.#timesBy === 'times' ? `times(${this.#times})` : `${this.#timesBy}()`
      throw this.#refuse(
        method,
        `${before} says already that it is applied ${timesText(this.#times)}, expected one of them`,
      )
    }
    this.#times = count
    this.#timesBy = method
  }

  /** Lets the first ones pass. @throws {@link MitmError} `MITM_INVALID_RULE` */
  setAfter(count: number): void {
    if (!Number.isInteger(count) || count < 0) {
      throw this.#refuse('after', `count is ${show(count)}, expected a whole number from 0`)
    }
    this.#after = this.#only('after', this.#after, count)
  }

  /** Leaves it to chance. @throws {@link MitmError} `MITM_INVALID_RULE` */
  setProbability(probability: number): void {
    if (typeof probability !== 'number' || !(probability >= 0 && probability <= 1)) {
      throw this.#refuse('probability', `it is ${show(probability)}, expected a number from 0 to 1`)
    }
    this.#probability = this.#only('probability', this.#probability, probability)
  }

  /** Sets the span of time. @throws {@link MitmError} `MITM_INVALID_RULE` */
  setDuring(span: DuringOptions): void {
    const expected = 'expected { afterMs, forMs } in milliseconds'
    if (Object.prototype.toString.call(span) !== '[object Object]') {
      throw this.#refuse('during', `it is ${show(span)}, ${expected}`)
    }
    const unknown = Object.keys(span).find((key) => key !== 'afterMs' && key !== 'forMs')
    if (unknown !== undefined) throw this.#refuse('during', `${JSON.stringify(unknown)} is not known, ${expected}`)
    const { afterMs = 0, forMs = Number.POSITIVE_INFINITY } = span
    if (typeof afterMs !== 'number' || !(afterMs >= 0 && afterMs < Number.POSITIVE_INFINITY)) {
      throw this.#refuse('during', `afterMs is ${show(afterMs)}, expected milliseconds from 0 on`)
    }
    if (typeof forMs !== 'number' || !(forMs > 0)) {
      throw this.#refuse('during', `forMs is ${show(forMs)}, expected milliseconds above 0`)
    }
    if (afterMs === 0 && forMs === Number.POSITIVE_INFINITY) {
      throw this.#refuse('during', `it has neither afterMs nor forMs, ${expected}`)
    }
    if (this.#during && (this.#during.afterMs !== afterMs || this.#during.forMs !== forMs)) {
      throw this.#refuse(
        'during',
        `${show(span)} is not what was said before (${this.#duringText()}), expected one span`,
      )
    }
    this.#during = { afterMs, forMs }
  }

  /** What becomes of the next one; undefined when the rule may not be applied now. Counts it. */
  admit(): Admission | undefined {
    if (!this.isOpen) return undefined
    const admission = this.#again.shift() ?? this.#decide()
    this.#count(admission, 1)
    return admission
  }

  /** Takes back what was counted: the next one has it again. */
  takeBack(admission: Admission): void {
    this.#count(admission, -1)
    this.#again.push(admission)
  }

  #decide(): Admission {
    if (this.#early < (this.#after ?? 0)) {
      return { kind: 'skip', why: `after(${this.#after}): it was number ${this.#early + 1}`, isEarly: true }
    }
    if (this.#probability !== undefined && this.#draw() >= this.#probability) {
      return { kind: 'skip', why: `probability(${this.#probability}): chance was against it`, isEarly: false }
    }
    return { kind: 'use', number: this.#next++ }
  }

  #count(admission: Admission, step: 1 | -1): void {
    if (admission.kind === 'use') this.#calls += step
    else this.#skipped += step
    if (admission.kind === 'skip' && admission.isEarly) this.#early += step
  }

  #only(method: string, before: number | undefined, value: number): number {
    if (before === undefined || before === value) return value
    throw this.#refuse(method, `${method}(${before}) was said before, and now ${value}: expected one of them`)
  }

  /** In words, each with a comma before it; empty when there are none. */
  text(): string {
    return [
      this.#during && this.#duringText(),
      this.#after !== undefined && `after the first ${this.#after === 1 ? 'one' : this.#after}`,
      this.#probability !== undefined && `with probability ${this.#probability}`,
      // A sequence tells its steps.
      this.#times !== undefined && this.#timesBy !== 'sequence' && timesText(this.#times),
    ]
      .map((text) => (text ? `, ${text}` : ''))
      .join('')
  }

  #duringText(): string {
    const { afterMs = 0, forMs = Number.POSITIVE_INFINITY } = this.#during ?? {}
    const end = Number.isFinite(forMs) ? ` for ${forMs} ms` : ''
    return `from ${afterMs} ms on${end}`
  }
}

/** `once`, `2 times`. */
export function timesText(count: number): string {
  return count === 1 ? 'once' : `${count} times`
}
