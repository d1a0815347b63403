/** `expect(mitm).toHaveRequested(filter)`. */
import { compileFilter } from '../src/index.ts'
import type { ExchangeFilter } from '../src/index.ts'
import { timeoutOf } from './context.ts'
import type { MatcherContext, MatcherOptions, MatcherResult } from './context.ts'
import { matcherResult } from './failure-text.ts'
import { demandInspectable } from './inspectable.ts'
import type { Inspectable } from './inspectable.ts'
import { Watch } from './watch.ts'

/**
 * Passes as soon as a request matches. A filter that looks at the body is asked when the body has come, one that looks
 * at the response when that has.
 *
 * With `.not` it passes when none has matched by the time the traffic has settled (or at the timeout), and fails as
 * soon as one does.
 *
 * @throws {@link MitmError} `MITM_INVALID_RECEIVER`, `MITM_INVALID_FILTER`, `MITM_INVALID_OPTION`.
 *
 * @example
 * ```ts
 * import { expect, test } from 'playwright-mitm'
 *
 * test('the order is paid', async ({ page, mitm }) => {
 *   await page.getByRole('button', { name: 'Pay' }).click()
 *   await expect(mitm).toHaveRequested({ method: 'POST', url: 'https://pay.test/charge' })
 *   await expect(mitm).not.toHaveRequested('https://tracker.test/**')
 * })
 * ```
 */
export async function toHaveRequested(
  this: MatcherContext,
  mitm: Inspectable,
  filter: ExchangeFilter,
  options: MatcherOptions = {},
): Promise<MatcherResult> {
  demandInspectable(mitm, 'toHaveRequested')
  const timeoutMs = timeoutOf(this, options, 'toHaveRequested')
  const compiled = compileFilter(filter)
  const watch = new Watch(mitm, compiled)
  const end = this.isNot ? await watch.untilSettled(1, timeoutMs) : await watch.untilCount(1, timeoutMs)
  const matches = watch.matches()
  return matcherResult(this, {
    name: 'toHaveRequested',
    argument: 'filter',
    expected: this.isNot ? `no request matching ${compiled.text}` : compiled.text,
    pass: matches.length > 0,
    showMisses: matches.length === 0,
    mitm,
    filter: compiled,
    matches,
    end,
    timeoutMs,
  })
}
