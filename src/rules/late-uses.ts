/** What rules do to exchanges that were under way when they were told to. */
import type { Exchange } from '../exchange.ts'
import type { FaultFeed } from '../fault.ts'
import type { WebSocketHandler } from '../web-socket.ts'
import type { Act } from './act.ts'
import type { Chance } from './chance.ts'
import { UseFeed } from './fault-feed.ts'
import type { RuleUse } from './rule-use.ts'
import type { Rule } from './rule.ts'

/** What an exchange has of rules. */
interface Applied {
  /** The newest rule first. */
  uses: readonly RuleUse[]
  /** Those whose faults act on it. */
  readonly fed: Set<RuleUse>
  /** The acts that it was given. */
  readonly acts: Set<Act>
}

/** The uses of rules by exchange, and what comes to them later. */
export class LateUses {
  readonly #applied = new WeakMap<Exchange, Applied>()
  readonly #chance: Chance

  constructor(chance: Chance) {
    this.#chance = chance
  }

  /** Rules are applied to an exchange from its beginning on. */
  began(exchange: Exchange, uses: readonly RuleUse[]): void {
    this.#applied.set(exchange, { uses, fed: new Set(uses), acts: new Set(uses.flatMap(({ acts }) => acts)) })
  }

  /** An exchange is over. */
  ended(exchange: Exchange): void {
    for (const use of this.#applied.get(exchange)?.uses ?? []) use.rule.ended(use)
    this.#applied.delete(exchange)
  }

  /** The faults that an exchange has not had before; undefined when there are none. */
  faults(exchange: Exchange, rules: readonly Rule[]): FaultFeed | undefined {
    const { uses, fed } = this.#join(exchange, rules)
    const late = uses.filter((use) => !fed.has(use) && use.faults.length > 0)
    if (late.length === 0) return undefined
    for (const use of late) fed.add(use)
    return new UseFeed(late.toReversed(), 'late', this.#chance, () => undefined)
  }

  /** What is done to an open WebSocket that was not done before, the oldest rule first. */
  webSocket(exchange: Exchange, rules: readonly Rule[]): readonly WebSocketHandler[] {
    const { uses, acts } = this.#join(exchange, rules)
    const late = uses.toReversed().flatMap((use) => use.acts.filter((act) => !acts.has(act)))
    for (const act of late) acts.add(act)
    return late.flatMap((act) => (act.kind === 'webSocket' ? [act.handler] : []))
  }

  /** Applies the rules for everything that were not applied before. */
  #join(exchange: Exchange, rules: readonly Rule[]): Applied {
    const applied = this.#applied.get(exchange) ?? { uses: [], fed: new Set(), acts: new Set() }
    const known = new Set(applied.uses.map(({ rule }) => rule))
    const meant = rules.filter((rule) => !known.has(rule) && rule.isForRunning && rule.headMatches(exchange))
    const late = meant.flatMap((rule) => rule.take(exchange) ?? [])
    if (late.length === 0) return applied
    for (const { text } of late) exchange.rules.push(`${text} (from now on)`)
    applied.uses = [...late, ...applied.uses]
    this.#applied.set(exchange, applied)
    return applied
  }
}
