/** `expect(mitm).toHaveRequestedTimes(filter, times)`. */
import { compileFilter, MitmError } from '../src/index.ts'
import type { ExchangeFilter } from '../src/index.ts'
import { timeoutOf } from './context.ts'
import type { MatcherContext, MatcherOptions, MatcherResult } from './context.ts'
import { matcherResult } from './failure-text.ts'
import { demandInspectable } from './inspectable.ts'
import type { Inspectable } from './inspectable.ts'
import { Watch } from './watch.ts'
import type { WatchEnd } from './watch.ts'

/**
 * Passes when exactly `times` requests match once the traffic has settled. It waits for that many, then for the traffic
 * to settle, both within the timeout; one too many fails it at once.
 *
 * With `.not` it passes when any other number has matched by the time the traffic has settled.
 *
 * @throws {@link MitmError} `MITM_INVALID_RECEIVER`, `MITM_INVALID_FILTER`, `MITM_INVALID_OPTION`.
 *
 * @example
 * ```ts
 * import { expect, test } from 'playwright-mitm'
 *
 * test('a double click pays once', async ({ page, mitm }) => {
 *   await page.getByRole('button', { name: 'Pay' }).dblclick()
 *   await expect(mitm).toHaveRequestedTimes({ method: 'POST', url: 'https://pay.test/charge' }, 1)
 * })
 * ```
 */
export async function toHaveRequestedTimes(
  this: MatcherContext,
  mitm: Inspectable,
  filter: ExchangeFilter,
  times: number,
  options: MatcherOptions = {},
): Promise<MatcherResult> {
  demandInspectable(mitm, 'toHaveRequestedTimes')
  demandCount(times)
  const timeoutMs = timeoutOf(this, options, 'toHaveRequestedTimes')
  const compiled = compileFilter(filter)
  const watch = new Watch(mitm, compiled)
  const end = this.isNot ? await watch.untilSettled(times + 1, timeoutMs) : await untilTimes(watch, times, timeoutMs)
  const matches = watch.matches()
  const wanted = `${times} ${times === 1 ? 'request' : 'requests'} matching ${compiled.text}`
  return matcherResult(this, {
    name: 'toHaveRequestedTimes',
    argument: `filter, ${times}`,
    expected: this.isNot ? `any number but ${wanted}` : wanted,
    // The right number before the traffic has settled proves nothing when the test ends there.
    pass: matches.length === times && (this.isNot === true || end !== 'ended'),
    showMisses: matches.length < times,
    mitm,
    filter: compiled,
    matches,
    end,
    timeoutMs,
  })
}

async function untilTimes(watch: Watch, times: number, timeoutMs: number): Promise<WatchEnd> {
  const startMs = performance.now()
  const end = await watch.untilCount(times, timeoutMs)
  if (end !== 'met') return end
  return watch.untilSettled(times + 1, Math.max(0, timeoutMs - (performance.now() - startMs)))
}

function demandCount(times: unknown): void {
  if (typeof times === 'number' && Number.isSafeInteger(times) && times >= 0) return
  throw new MitmError(
    'MITM_INVALID_OPTION',
    `toHaveRequestedTimes() expects a number of requests as its second argument: got ${String(times)}, expected a whole number from 0 on`,
  )
}
