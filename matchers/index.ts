/**
 * The matchers, for `expect.extend` of Playwright and of vitest.
 *
 * In Playwright, `expect` of `playwright-mitm` has them already; here they can be added to one of your own:
 *
 * ```ts
 * import { expect as base } from '@playwright/test'
 * import { mitmMatchers } from 'playwright-mitm/matchers'
 *
 * export const expect = base.extend(mitmMatchers)
 * ```
 *
 * In vitest, in a setup file, with {@link MitmMatchers} for the types:
 *
 * ```ts
 * import { mitmMatchers } from 'playwright-mitm/matchers'
 * import type { MitmMatchers } from 'playwright-mitm/matchers'
 * import { expect } from 'vitest'
 *
 * expect.extend(mitmMatchers)
 *
 * declare module 'vitest' {
 *   interface Assertion<T> extends MitmMatchers<T> {}
 * }
 * ```
 */
import type { ExchangeFilter } from '../src/index.ts'
import type { MatcherOptions } from './context.ts'
import type { Inspectable } from './inspectable.ts'
import { toHaveRequestedTimes } from './to-have-requested-times.ts'
import { toHaveRequested } from './to-have-requested.ts'

export { toHaveRequested, toHaveRequestedTimes }
export type { MatcherContext, MatcherOptions, MatcherResult } from './context.ts'
export type { Inspectable, InspectableChanges, InspectableOutcome } from './inspectable.ts'

/** The type of {@link mitmMatchers}: a `type`, because `expect.extend` takes records only. */
export type MitmMatcherFunctions = {
  /** See {@link toHaveRequested}. */
  toHaveRequested: typeof toHaveRequested
  /** See {@link toHaveRequestedTimes}. */
  toHaveRequestedTimes: typeof toHaveRequestedTimes
}

/** The matchers, as `expect.extend` takes them. */
export const mitmMatchers: MitmMatcherFunctions = { toHaveRequested, toHaveRequestedTimes }

/**
 * What the matchers look like on `expect(received)`, for vitest's `Assertion`. On anything but a mitm they cannot be
 * called.
 */
export interface MitmMatchers<Received = Inspectable> {
  /** See {@link toHaveRequested}. */
  toHaveRequested: Received extends Inspectable
    ? (filter: ExchangeFilter, options?: MatcherOptions) => Promise<void>
    : never
  /** See {@link toHaveRequestedTimes}. */
  toHaveRequestedTimes: Received extends Inspectable
    ? (filter: ExchangeFilter, times: number, options?: MatcherOptions) => Promise<void>
    : never
}
