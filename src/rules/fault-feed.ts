/** The faults of the rules that were applied, as they come and go. */
import type { Fault, FaultFeed, InjectedFault, Pace, PacePart } from '../fault.ts'
import type { Act } from './act.ts'
import type { Chance } from './chance.ts'
import { faultAt } from './fault-stages.ts'
import type { FaultMoment } from './fault-stages.ts'
import type { RuleUse } from './rule-use.ts'

/** Paces that all exchanges and connections of a rule share. */
export class SharedPaces {
  readonly #paces = new Map<PacePart, Pace>()
  readonly #chance: Chance
  readonly #label: string

  constructor(chance: Chance, label: string) {
    this.#chance = chance
    this.#label = label
  }

  /** The one of a part; made when it is first asked for. */
  of(part: PacePart): Pace {
    let pace = this.#paces.get(part)
    if (!pace) {
      pace = part.open(this.#chance.stream(`${this.#label} link ${this.#paces.size}`))
      this.#paces.set(part, pace)
    }
    return pace
  }
}

/** The faults of the uses of rules, at one moment. It holds nothing of the rules while nobody has subscribed. */
export class UseFeed implements FaultFeed {
  readonly #uses: readonly RuleUse[]
  readonly #moment: FaultMoment
  readonly #chance: Chance
  readonly #takeBack: () => void
  // What is injected stays the same thing as long as it is there, since those who inject it keep state by it.
  readonly #injected = new Map<Act, InjectedFault | undefined>()
  #faults: readonly InjectedFault[] = []
  #version = -1

  /**
   * @param uses - The oldest rule first.
   * @param takeBack - Takes back all that was counted for this.
   */
  constructor(uses: readonly RuleUse[], moment: FaultMoment, chance: Chance, takeBack: () => void) {
    this.#uses = uses
    this.#moment = moment
    this.#chance = chance
    this.#takeBack = takeBack
  }

  get faults(): readonly InjectedFault[] {
    // Versions only grow, so that no two states have the same sum.
    const version = this.#uses.reduce((sum, { rule }) => sum + rule.version, 0)
    if (version === this.#version) return this.#faults
    this.#version = version
    this.#faults = this.#uses.flatMap((use) =>
      use.faults.flatMap(({ act, fault, label }) => this.#inject(use, act, fault, label) ?? []),
    )
    return this.#faults
  }

  subscribe(onChange: () => void): () => void {
    const rules = new Set(this.#uses.map(({ rule }) => rule))
    const stops = [...rules].map((rule) => rule.onChange(onChange))
    return () => {
      for (const stop of stops) stop()
    }
  }

  notCounted(): void {
    this.#takeBack()
  }

  #inject(use: RuleUse, act: Act, whole: Fault, label: string): InjectedFault | undefined {
    if (this.#injected.has(act)) return this.#injected.get(act)
    const isForDial = this.#moment === 'exchange' && use.rule.dialsForExchanges(false)
    const fault = faultAt(isForDial ? 'exchangeUndialled' : this.#moment, whole)
    const random = this.#chance.stream(label)
    const injected = fault && {
      fault,
      random,
      paceOf: (part: PacePart): Pace => (part.scope === 'link' ? use.rule.paces.of(part) : part.open(random)),
    }
    this.#injected.set(act, injected)
    return injected
  }
}
