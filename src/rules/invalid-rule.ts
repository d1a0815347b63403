/** The error for what a rule cannot do. */
import { isMitmError, MitmError } from '../errors.ts'
import { noteCallSite } from '../internal/call-site.ts'

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

/** An error that {@link invalidRule} made without knowing the rule, with the rule in its text. */
export function ofRule(error: unknown, rule: string): unknown {
  if (!isMitmError(error) || error.code !== 'MITM_INVALID_RULE' || / of the rule "/.test(error.message)) return error
  const text = error.message.replace(/ \[MITM_INVALID_RULE\]$/, '')
  return new MitmError('MITM_INVALID_RULE', text.replace('()', `() of the rule ${JSON.stringify(rule)}`), {
    cause: error.cause,
  })
}
