/** What a list of rules may be told. */
import type { MitmError } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import type { Seed } from '../internal/random.ts'
import type { Rule } from './rule.ts'
import type { UnmatchedPolicy } from './unmatched.ts'
import type { PassthroughTest } from './unopened.ts'

/** The options of a `RuleList`. */
export interface RuleListOptions {
  /** Octets held of a body that a filter looks at; a larger one does not match. @defaultValue 10 MiB */
  maxBodyBytes?: number | undefined
  /** Decides what is left to chance. @defaultValue 0 */
  seed?: Seed | undefined
  /** What is done with what no rule answers. @defaultValue it goes on */
  unmatched?: UnmatchedPolicy | undefined
  /** Tells whose TLS is not opened. @defaultValue nobody's */
  isPassedThrough?: PassthroughTest | undefined
  /** Is told when a function in a filter threw. @defaultValue reports it on the exchange's connection */
  onError?: ((error: MitmError, exchange: Exchange) => void) | undefined
  /** Is told when a rule for everything was given a fault that may act on what is under way. */
  onLateFault?: (() => void) | undefined
  /** Is told when a rule was given a fault by which connections fail before there is a request. */
  onConnectionFault?: ((rule: Rule) => void) | undefined
  /** Is told when a rule was given something to do, so that more requests may be intercepted than before. */
  onActAdded?: (() => void) | undefined
}
