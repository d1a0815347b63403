/** The rules that act on connections, before there is a request. */
import type { Connection } from '../connection.ts'
import type { ConnectionIntervention, ConnectionMoment } from '../middleware.ts'
import type { Chance } from './chance.ts'
import { UseFeed } from './fault-feed.ts'
import { faultAt, isDecisiveAt } from './fault-stages.ts'
import type { RuleUse } from './rule-use.ts'
import type { Rule } from './rule.ts'

/** What was decided for a connection. */
interface Decided {
  /** By rule: its use, or undefined when a limit kept it from being applied. */
  /** The rules whose faults act on its octets. */
  readonly relayed: Set<Rule>
  readonly uses: Map<Rule, RuleUse | undefined>
  /** Whether it was decided if the server can be reached. */
  isDialled: boolean
}

/** Remembers for each connection which rules were asked, so that none counts it twice. */
export class ConnectionUses {
  readonly #decided = new WeakMap<Connection, Decided>()
  readonly #chance: Chance

  constructor(chance: Chance) {
    this.#chance = chance
  }

  /** Whether rules were asked if the server of a connection can be reached. */
  isDialled(connection: Connection): boolean {
    return this.#decided.get(connection)?.isDialled === true
  }

  /**
   * What goes wrong with a connection at a moment; undefined: nothing.
   *
   * @param rules - Those with faults that act on connections, newest first.
   */
  intercept(
    rules: readonly Rule[],
    connection: Connection,
    { stage, destination, isUnderWay = false, isPassthrough = false }: ConnectionMoment,
  ): ConnectionIntervention | undefined {
    const moment = stage === 'tls' && isPassthrough ? 'passthrough' : stage
    const decided = this.#of(connection)
    if (stage === 'tunnel') decided.isDialled = true
    const uses: RuleUse[] = []
    for (const rule of rules) {
      const { profile } = rule
      // What acts on the octets already is asked for only what is new.
      if (isUnderWay && decided.relayed.has(rule)) continue
      if (!(stage === 'tunnel' ? profile.dial || profile.tunnel : profile[moment])) continue
      if (!decided.uses.has(rule)) {
        if (!rule.matchesConnection(destination, connection)) continue
        decided.uses.set(rule, rule.takeForConnection(connection, { stage, destination }))
      }
      const use = decided.uses.get(rule)
      const faults = use?.faults.filter(({ fault }) => faultAt(moment, fault)) ?? []
      if (!use || faults.length === 0) continue
      if (stage === 'tls') rule.expectSecondTry(use, connection, destination)
      if (stage === 'relay') decided.relayed.add(rule)
      uses.push(use)
      if (faults.some(({ fault }) => isDecisiveAt(stage, fault))) break
    }
    if (uses.length === 0) return undefined
    const takeBack = (): void => {
      for (const use of uses) use.takeBack()
    }
    return { faults: new UseFeed(uses.toReversed(), moment, this.#chance, takeBack) }
  }

  /** A connection is over. */
  ended(connection: Connection): void {
    for (const [rule, use] of this.#decided.get(connection)?.uses ?? []) if (use) rule.ended(use)
    this.#decided.delete(connection)
  }

  #of(connection: Connection): Decided {
    let decided = this.#decided.get(connection)
    if (!decided) this.#decided.set(connection, (decided = { uses: new Map(), relayed: new Set(), isDialled: false }))
    return decided
  }
}
