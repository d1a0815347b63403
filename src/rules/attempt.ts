/** What the list of rules keeps of an exchange while it is finding out what becomes of it. */
import type { Exchange } from '../exchange.ts'
import type { Rewrite, RewrittenRequest } from '../middleware.ts'
import type { ListedHandler } from './listed-handler.ts'
import type { RuleUse } from './rule-use.ts'
import type { Rule } from './rule.ts'

/** What stands in the one order in which requests are tried. */
export type Entry = Rule | ListedHandler

/** What is being found out for an exchange. */
export interface Attempt {
  readonly exchange: Exchange
  /** The rules and handlers that could mean it, newest first. */
  readonly candidates: readonly Entry[]
  /** All rules there were when it came. */
  readonly rules: readonly Rule[]
  readonly isPreflight: boolean
  /** Whether no rule was asked yet if the server can be reached. */
  readonly isUndialled: boolean
  readonly uses: RuleUse[]
  /** What takes back all that was counted. */
  readonly undo: (() => void)[]
  /** Whether a handler was for it, whatever it said. */
  isHandled: boolean
  /** Takes the mark off by which a client keeps handlers from being asked. */
  unmark: Rewrite<RewrittenRequest> | undefined
}
