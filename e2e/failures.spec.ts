/** What a user sees when a test fails. Each test here runs Playwright on tests that fail. */
import { expect, test } from '@playwright/test'
import { runPlaywright } from './support/run-playwright.ts'

test.describe.configure({ timeout: 90_000 })

test('a failed matcher shows what came instead, and points at its line', async ({}, testInfo) => {
  const run = await runPlaywright(
    testInfo,
    `test('pays', async ({ page, mitm }) => {
      mitm.get('https://app.test/**').respond(200, '<title>x</title><link rel="icon" href="data:,">')
      await page.goto('https://app.test/pay')
      await expect(mitm).toHaveRequested({ method: 'POST', url: 'https://app.test/pay' }, { timeout: 300 })
    })
    test('is soft', async ({ mitm }) => {
      await expect.soft(mitm).toHaveRequested('https://app.test/', { timeout: 50 })
      await expect(mitm).not.toHaveRequested('https://app.test/')
    })`,
  )

  const [text = ''] = run.errors('pays')
  expect(run.errors('pays')).toHaveLength(1)
  expect(text.replace(/:\d+$/m, ':PORT').split('\n').slice(0, 9)).toEqual([
    'Error: expect(mitm).toHaveRequested(filter) failed',
    '',
    'Proxy:    http://127.0.0.1:PORT',
    'Expected: POST https://app.test/pay',
    'Received: 1 request, none matching',
    'Timeout:  300ms',
    '',
    'Nearest misses:',
    '  GET https://app.test/pay -> 200',
  ])
  expect(run.output).toContain("> 5 |       await expect(mitm).toHaveRequested({ method: 'POST'")
  expect(run.errors('is soft')).toHaveLength(1)
  expect(run.errors('is soft')[0]).toContain('No request reached this mitm')
})

test('a test that times out shows what it waited for', async ({}, testInfo) => {
  const run = await runPlaywright(
    testInfo,
    `test('waits', async ({ mitm }) => {
      test.setTimeout(3000)
      mitm.get('https://app.test/other').respond(200)
      await mitm.fetch('https://app.test/other')
      await expect(mitm).toHaveRequested('https://app.test/never')
    })
    test('goes on', async ({ mitm }) => {
      expect(mitm.exchanges).toEqual([])
    })`,
  )

  expect(run.result('waits').status).toBe('timedOut')
  const [timeout, matcher] = run.errors('waits')
  expect(timeout).toContain('Test timeout of 3000ms exceeded.')
  expect(matcher).toContain('Expected: https://app.test/never')
  expect(matcher).toContain('Received: 1 request, none matching; still waiting when the test ended')
  expect(matcher).toContain('GET https://app.test/other -> 200')
  expect(run.output).toContain("> 6 |       await expect(mitm).toHaveRequested('https://app.test/never')")
  expect(run.result('goes on').status).toBe('passed')
})

test('a function of the test that throws fails it, and is shown', async ({}, testInfo) => {
  const run = await runPlaywright(
    testInfo,
    `test('one', async ({ mitm }) => {
      mitm.get('https://app.test/').respond(200).rewriteResponse(() => {
        throw new TypeError('not like this')
      })
      await mitm.fetch('https://app.test/').catch(() => {})
      await mitm.fetch('https://app.test/').catch(() => {})
    })
    test('two', async ({ mitm }) => {
      mitm.get('https://app.test/a').respond(200).rewriteResponse(() => { throw new Error('first') })
      mitm.get('https://app.test/b').respond(200).rewriteResponse(() => { throw new Error('second') })
      await mitm.fetch('https://app.test/a').catch(() => {})
      await mitm.fetch('https://app.test/b').catch(() => {})
    })
    test('middleware', async ({ mitm }) => {
      mitm.get('https://app.test/').respond(200)
      mitm.use({ clientData() { throw new Error('in the middle') } })
      await mitm.fetch('https://app.test/').catch(() => {})
    })
    test('forgiven', async ({ mitm }) => {
      mitm.get('https://app.test/').respond(200).rewriteResponse(() => { throw new Error('expected') })
      await mitm.fetch('https://app.test/').catch(() => {})
      expect(mitm.errors).toHaveLength(1)
      mitm.reset()
    })`,
  )

  expect(run.result('one').status).toBe('failed')
  expect(run.errors('one')).toHaveLength(1)
  expect(run.errors('one')[0]).toMatch(/^MitmError: .*not like this \[MITM_RULE_FAILED\]/)
  expect(run.errors('one')[0]).toContain('(run.spec.ts:3)')
  expect(run.output).toContain("> 4 |         throw new TypeError('not like this')")
  expect(run.errors('two')[0]).toMatch(/2 functions of the test failed:[^]*first[^]*second/)
  expect(run.errors('middleware')[0]).toContain('MITM_MIDDLEWARE_FAILED')
  expect(run.result('forgiven').status).toBe('passed')
})

test('what is wrong with a setting is said before the test begins', async ({}, testInfo) => {
  const run = await runPlaywright(
    testInfo,
    `test.describe('a', () => {
      test.use({ mitmOptions: { idleTimeoutMs: -1 } })
      test('bad option', () => {})
    })
    test.describe('b', () => {
      test.use({ contextOptions: { proxy: { server: 'socks4://corp.test:1', username: 'me', password: 'hunter2' } } })
      test('bad proxy', () => {})
    })
    test.describe('c', () => {
      test.use({ mitm: defineMitm(() => { throw new Error('set-up failed') }) })
      test('bad set-up', () => {})
    })`,
  )

  expect(run.errors('bad option')[0]).toContain(
    'Cannot use option "idleTimeoutMs": it is -1, expected a whole number from 1 to 2147483647 [MITM_INVALID_OPTION]',
  )
  expect(run.errors('bad proxy')[0]).toContain(
    `"upstream.proxy": it has the scheme "socks4:", expected an 'http://', 'https://' or 'socks5://' URL [MITM_INVALID_OPTION]`,
  )
  expect(run.output).not.toContain('hunter2')
  expect(run.errors('bad set-up')[0]).toContain('set-up failed')
})

test('settings that lead past the mitm are refused, with what to do', async ({}, testInfo) => {
  const spec = `
    import { test } from 'playwright-mitm'
    test('goes past', () => {})`
  const replaced = await runPlaywright(testInfo, `${spec}; test.use({ launchOptions: { slowMo: 1 } })`)
  expect(replaced.errors('goes past')[0]).toMatch(/the launchOptions of this file replace .*\[MITM_BROWSER_SETUP\]/)

  const remote = await runPlaywright(testInfo, spec, {
    config: `use: { connectOptions: { wsEndpoint: 'wss://me:hunter2@grid.test/playwright?key=hunter2' } }`,
  })
  expect(remote.errors('goes past')[0]).toMatch(/the browser at wss:\/\/grid\.test\/playwright is on another machine/)
  expect(remote.output).not.toContain('hunter2')

  const env = { PLAYWRIGHT_DISABLE_FORCED_CHROMIUM_PROXIED_LOOPBACK: '1' }
  const past = await runPlaywright(testInfo, spec, { env })
  expect(past.errors('goes past')[0]).toMatch(/PLAYWRIGHT_DISABLE_FORCED_.* unset it/)
})

test('a matcher that nobody awaits fails its own test, not the next', async ({}, testInfo) => {
  const run = await runPlaywright(
    testInfo,
    `test('forgetful', async ({ mitm }) => {
      expect(mitm).toHaveRequested('https://app.test/never')
    })
    test('innocent', async ({ mitm }) => {
      await new Promise((resolve) => setTimeout(resolve, 100))
    })`,
  )
  expect(run.output).toContain('still waiting when the test ended')
  expect(run.output).toMatch(/1 failed\s+.*forgetful/)
  expect(run.output).toContain('1 passed')
})

test('a test that fails after something was left to chance tells its seed, which a retry has again', async ({}, testInfo) => {
  const run = await runPlaywright(
    testInfo,
    `test('lucky', async ({ mitm }) => {
      mitm.when('**').respond(201)
      mitm.when('**').respond(200).probability(0.5)
      const drawn = []
      for (let call = 0; call < 20; call++) drawn.push((await mitm.fetch('http://app.test/')).status)
      throw new Error(drawn.join())
    })
    test('certain', async ({ mitm }) => {
      mitm.when('**').respond(200)
      throw new Error('fails')
    })`,
    { config: 'retries: 1' },
  )
  const [first, again] = run.results('lucky')
  const seeds = (result: typeof first): unknown[] =>
    (result?.annotations ?? []).flatMap(({ type, description }) => (type === 'mitm seed' ? [description] : []))
  expect(seeds(first)).toEqual([expect.stringMatching(/^(\d+); .*seed: \1 /)])
  expect(seeds(again)).toEqual(seeds(first))
  expect(first?.error?.message).toMatch(/200.*201|201.*200/)
  expect(again?.error?.message).toBe(first?.error?.message)
  expect(seeds(run.result('certain'))).toEqual([])
})
