/** What rules and their list have of each other. */
import type { MitmError } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import type { Act } from './act.ts'
import type { Chance } from './chance.ts'
import type { Rule } from './rule.ts'

/** What a rule tells its list, and has from it. */
export interface RuleHooks {
  /** What is left to chance. */
  readonly chance: Chance
  /** Names the rule to chance: the same in every run. */
  readonly label: string
  removed(rule: Rule): void
  /** It may do something else than before, or more or less often. */
  changed(rule: Rule): void
  /** It was given something to do. */
  actAdded(rule: Rule): void
  /** It was given something that may act on what is under way: a fault, or something for open WebSockets. */
  lateActAdded(rule: Rule): void
  /** It was given a fault by which connections fail before there is a request. */
  connectionFaultAdded(rule: Rule): void
  /** Why an act of it can never be done, in words, as far as its list knows; undefined when it can. */
  problemWith(act: Act): string | undefined
  /** What its list has to say of it in `explain()`, with a semicolon before it. */
  remark(rule: Rule): string
  /** A function of its filter threw. */
  failed(error: MitmError, exchange: Exchange): void
}
