/** The error for what a rule cannot do. */
import { MitmError } from '../errors.ts'
import { noteCallSite } from './call-site.ts'

/**
 * The error for a method of a rule that was told something it cannot do. It names the line of the call.
 *
 * @param rule - The rule in words, where it is known.
 */
export function invalidRule(method: string, problem: string, rule?: string): MitmError {
  const where = noteCallSite()()
  const named = rule === undefined ? '' : ` of the rule ${JSON.stringify(rule)}`
  return new MitmError('MITM_INVALID_RULE', `Cannot use ${method}()${named}${where ? ` (${where})` : ''}: ${problem}`)
}
