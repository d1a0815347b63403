/** No test sees another's traffic, and each has a mitm of its own. */
import { expect } from 'playwright-mitm'
import type { TestMitm } from 'playwright-mitm'
import { test } from './support/site.ts'

const seen = new Set<TestMitm>()

for (const number of [1, 2, 3, 4]) {
  test(`test ${number} of four at once records what it did itself`, async ({ page, request, mitm }) => {
    expect(mitm.exchanges).toEqual([])
    expect(mitm.rules).toEqual([])
    mitm.get('https://app.test/mocked').json({ number })
    await page.goto(`https://app.test/?number=${number}`)
    const answers = await Promise.all([
      page.evaluate(async () => (await fetch('/mocked')).json()),
      request.get('https://app.test/mocked').then((response) => response.json() as Promise<unknown>),
    ])

    expect(answers).toEqual([{ number }, { number }])
    expect(mitm.exchanges.map(({ request: { url } }) => url).toSorted()).toEqual([
      `https://app.test/?number=${number}`,
      'https://app.test/mocked',
      'https://app.test/mocked',
    ])
  })
}

test.describe('hooks', () => {
  test.describe.configure({ mode: 'serial' })

  test.beforeAll(({ mitm }) => {
    seen.add(mitm)
  })
  test.beforeEach(({ mitm }) => {
    expect(seen.has(mitm)).toBe(false)
    seen.add(mitm)
  })

  test('beforeAll has a mitm of its own, beforeEach has that of the test', ({ mitm }) => {
    expect(seen.has(mitm)).toBe(true)
    expect(seen.size).toBe(2)
  })

  test('the mitm of an earlier test is closed, that of beforeAll lives on for the pages made there', ({ mitm }) => {
    const earlier = [...seen].filter((other) => other !== mitm)
    expect(earlier).toHaveLength(2)
    expect(earlier.map(({ isRunning }) => isRunning)).toEqual([true, false])
  })
})
