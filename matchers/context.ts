/** What Playwright's and vitest's `expect.extend` have in common. */
import { MitmError } from '../src/index.ts'

type Paint = (text: string) => string

/** `this` of a matcher, as far as it is used: Playwright's and vitest's both fit. */
export interface MatcherContext {
  /** Whether `.not` stands before the matcher. */
  readonly isNot?: boolean
  /** `resolves` or `rejects` where that stands before the matcher. */
  readonly promise?: string
  /** The expect timeout in milliseconds; only Playwright has one. */
  readonly timeout?: number
  /** Colours; the text is the same without them. */
  readonly utils?: {
    matcherHint?(
      name: string,
      received: string,
      expected: string,
      options?: { isNot?: boolean; promise?: string },
    ): string
    readonly EXPECTED_COLOR?: Paint
    readonly RECEIVED_COLOR?: Paint
  }
}

/** What a matcher gives back to its runner. */
export interface MatcherResult {
  /** Whether the thing was found; with `.not` the runner fails a true one. */
  pass: boolean
  message: () => string
  name: string
  expected: string
  actual: string
  /** The traffic that was looked at, a line each. */
  log: string[]
  /** The timeout in milliseconds, where it was what ended the wait. */
  timeout?: number
}

/** The last argument of every matcher. */
export interface MatcherOptions {
  /**
   * Longest wait in milliseconds; 0 waits until the test ends.
   *
   * @defaultValue Playwright's expect timeout; elsewhere 5000
   */
  timeout?: number | undefined
}

/** What Node's timers can hold, 24 days: as good as no limit. */
const MAX_TIMER_MS = 2 ** 31 - 1

/**
 * How long a matcher may wait, in milliseconds.
 *
 * @throws {@link MitmError} `MITM_INVALID_OPTION`.
 *
 * @internal
 */
export function timeoutOf(context: MatcherContext, options: MatcherOptions, matcher: string): number {
  const unknown = typeof options === 'object' ? Object.keys(options).find((key) => key !== 'timeout') : String(options)
  if (unknown !== undefined) {
    throw new MitmError(
      'MITM_INVALID_OPTION',
      `Cannot use option ${JSON.stringify(unknown)} in ${matcher}(): expected { timeout } in milliseconds`,
    )
  }
  const timeout = options.timeout ?? context.timeout ?? 5000
  if (typeof timeout !== 'number' || !(timeout >= 0)) {
    throw new MitmError(
      'MITM_INVALID_OPTION',
      `Cannot use timeout ${String(timeout)} in ${matcher}(): expected milliseconds from 0 on`,
    )
  }
  return timeout === 0 ? MAX_TIMER_MS : Math.min(timeout, MAX_TIMER_MS)
}
