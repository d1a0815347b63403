/** What compiles and what does not: read by `tsc`, never run. */
import { expect as base } from '@playwright/test'
import type { Page } from '@playwright/test'
import { expect as vitest } from 'vitest'

import { mitmMatchers } from './index.ts'
import type { Inspectable, MitmMatchers } from './index.ts'

export const expect: ReturnType<typeof base.extend<typeof mitmMatchers>> = base.extend(mitmMatchers)

export async function positive(mitm: Inspectable): Promise<void> {
  const settled: Promise<void> = expect(mitm).toHaveRequested('https://pay.test/**')
  await settled
  await expect(mitm).toHaveRequested({ method: 'POST', json: { eur: 42 } }, { timeout: 100 })
  await expect(mitm).not.toHaveRequested(/charge/)
  await expect.soft(mitm).toHaveRequestedTimes((exchange) => exchange.response?.status === 201, 2, { timeout: 100 })
  await expect(mitm).not.toHaveRequestedTimes('**/charge', 1)
}

export function negative(mitm: Inspectable, page: Page): unknown {
  return [
    // @ts-expect-error not a mitm
    expect({}).toHaveRequested,
    // @ts-expect-error a page is not a mitm
    expect(page).toHaveRequested,
    // @ts-expect-error nothing is said to be a mitm
    expect({ url: '', exchanges: [] }).toHaveRequestedTimes,
    // @ts-expect-error no filter
    expect(mitm).toHaveRequested(),
    // @ts-expect-error no number
    expect(mitm).toHaveRequestedTimes('**'),
    // @ts-expect-error no such key
    expect(mitm).toHaveRequested({ verb: 'POST' }),
    // @ts-expect-error timeout is a number
    expect(mitm).toHaveRequested('**', { timeout: '1s' }),
  ]
}

/** vitest's `Assertion` is augmented in `matchers.test.ts`, as the documentation of {@link MitmMatchers} tells. */
export async function inVitest(mitm: Inspectable, ours: MitmMatchers, other: MitmMatchers<string>): Promise<void> {
  const settled: Promise<void> = vitest(mitm).toHaveRequested('**')
  await settled
  await vitest(mitm).not.toHaveRequestedTimes('**', 1, { timeout: 5 })
  await ours.toHaveRequestedTimes('**', 1)
  // @ts-expect-error a string is not a mitm
  await other.toHaveRequested('**')
  // @ts-expect-error an object that is not a mitm
  await vitest({ url: '' }).toHaveRequested('**')
}
