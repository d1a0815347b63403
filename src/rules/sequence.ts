/** A different act for each call: the steps of a sequence. */
import type { MitmError } from '../errors.ts'
import type { Fault } from '../fault.ts'
import { isPromise } from '../internal/maybe-promise.ts'
import type { Act, Blame } from './act.ts'
import { show } from './filter-text.ts'
import { RuleActs } from './rule-acts.ts'

/**
 * What is done to one call: a function that is given something with the acts of a rule; a fault; a number, to answer with
 * that status; or `'pass'`, to leave it alone.
 */
export type SequenceStep = ((rule: RuleActs) => unknown) | Fault | number | 'pass'

/** What steps need of their rule. */
export interface StepHost {
  readonly blame: Blame
  /** @throws {@link MitmError} `MITM_INVALID_RULE` when the rule cannot do this. */
  demandPossible(act: Act): void
  added(act: Act): void
  corsSetting(): RuleActs['corsSetting']
  refuse(method: string, problem: string): MitmError
  describe(): string
}

/** The acts of one step. */
export class SequenceActs extends RuleActs {
  /** Counted from 1. */
  readonly number: number
  readonly #host: StepHost
  protected override readonly blame: Blame

  constructor(number: number, host: StepHost) {
    super()
    this.number = number
    this.#host = host
    this.blame = host.blame
  }

  /** What `cors()` said here; else what it said to the rule. */
  override get corsSetting(): RuleActs['corsSetting'] {
    return super.corsSetting ?? this.#host.corsSetting()
  }

  protected override add(act: Act): this {
    this.#host.demandPossible(act)
    super.add(act)
    this.#host.added(act)
    return this
  }

  /** @internal */
  override describe(): string {
    return `step ${this.number} of ${this.#host.describe()}`
  }

  /** What it does, in words. */
  get text(): string {
    return this.acts.map(({ text }) => text).join(' + ') || 'pass'
  }
}

/**
 * Makes the steps of a sequence. Functions are called at once.
 *
 * @throws {@link MitmError} `MITM_INVALID_RULE` naming the step.
 */
export function makeSteps(steps: readonly SequenceStep[], host: StepHost): readonly SequenceActs[] {
  if (steps.length === 0) throw host.refuse('sequence', 'there are no steps, expected one for each call')
  return steps.map((step, at) => makeStep(step, at + 1, host))
}

function makeStep(step: SequenceStep, number: number, host: StepHost): SequenceActs {
  const refuse = (problem: string): MitmError => host.refuse('sequence', `step ${number} ${problem}`)
  const acts = new SequenceActs(number, host)
  if (step === 'pass') return acts
  if (typeof step === 'number') return acts.respond(step)
  if (typeof step === 'object' && step !== null && Array.isArray(step.parts)) return acts.fault(step)
  if (typeof step !== 'function') {
    throw refuse(`is ${show(step)}, expected a function, a fault, a status or 'pass'`)
  }
  const result = step(acts)
  if (isPromise(result)) {
    result.catch(() => undefined) // nobody else will look at it
    throw refuse('is an asynchronous function, expected one that says at once what is done')
  }
  if (acts.acts.length === 0) throw refuse("does nothing, expected an act, or 'pass'")
  return acts
}
