/** What may stand for a value in a filter: a matcher, a function or a RegExp, and how each is asked. */
import { types } from 'node:util'

/**
 * A matcher as `expect.objectContaining(…)` and the like make it. What counts is a function `asymmetricMatch`; it is
 * optional here only because Playwright types its matchers as bare records.
 */
export interface AsymmetricMatcher {
  asymmetricMatch?(actual: unknown): unknown
}

/** Whether `value` is a matcher as `expect.objectContaining(…)` and the like make it. */
export function isAsymmetricMatcher(value: unknown): value is Required<AsymmetricMatcher> {
  return (
    typeof value === 'object' &&
    value !== null &&
    'asymmetricMatch' in value &&
    typeof value.asymmetricMatch === 'function'
  )
}

/**
 * What a predicate or a matcher said.
 *
 * @throws TypeError when it said it with a promise, which would always count as yes.
 */
export function verdict(result: unknown): boolean {
  if (types.isPromise(result)) {
    result.catch(() => {}) // nobody else will look at it
    throw new TypeError('returned a promise, expected true or false')
  }
  return Boolean(result)
}

/** Tests without regard to what a RegExp with `g` or `y` remembers of its last use. */
export function testRegExp(pattern: RegExp, text: string): boolean {
  if (!pattern.global && !pattern.sticky) return pattern.test(text)
  const { lastIndex } = pattern
  pattern.lastIndex = 0
  const isMatch = pattern.test(text)
  pattern.lastIndex = lastIndex
  return isMatch
}
