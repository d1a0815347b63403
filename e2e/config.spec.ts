/** How the fixtures go together with Playwright's config and its runner. Each test here runs Playwright. */
import { expect, test } from '@playwright/test'
import { runPlaywright } from './support/run-playwright.ts'

test.describe.configure({ timeout: 90_000 })

test('options come from the config, a file, a describe or a function', async ({}, testInfo) => {
  const run = await runPlaywright(
    testInfo,
    `test('config', ({ mitm }) => expect(mitm.options).toMatchObject({ idleTimeoutMs: 1111, maxHeadBytes: 5000 }))
    test.describe('inner', () => {
      test.use({ mitmOptions: { idleTimeoutMs: 2222 } })
      test('describe', ({ mitm }) => expect(mitm.options).toMatchObject({ idleTimeoutMs: 2222, maxHeadBytes: 262144 }))
    })
    test.describe('function', () => {
      test.use({ mitmOptions: async ({ mitmOptions }, use) => use({ ...mitmOptions, idleTimeoutMs: 3333 }) })
      test('function', ({ mitm }) => expect(mitm.options).toMatchObject({ idleTimeoutMs: 3333, maxHeadBytes: 5000 }))
    })`,
    { config: 'use: { mitmOptions: { idleTimeoutMs: 1111, maxHeadBytes: 5000 } }' },
  )
  expect(run.output).toContain('3 passed')
  expect(run.exitCode).toBe(0)
})

test('retries start with a new mitm, and a worker that is done ends', async ({}, testInfo) => {
  const run = await runPlaywright(
    testInfo,
    `test('second time lucky', async ({ page, mitm }) => {
      mitm.get('https://app.test/').respond(200, '<title>x</title><link rel="icon" href="data:,">')
      await page.goto('https://app.test/')
      await expect(mitm).toHaveRequestedTimes('https://app.test/', 1)
      expect(test.info().retry).toBe(1)
    })`,
    { config: 'retries: 1' },
  )
  expect(run.output).toContain('1 flaky')
  expect(run.exitCode).toBe(0)
})

test('reports hold no steps of the mitm, and no attachments', async ({}, testInfo) => {
  const run = await runPlaywright(
    testInfo,
    `test.describe('steps', () => {
      test.use({ mitm: defineMitm((mitm) => mitm.get('https://app.test/').respond(200, '<title>x</title>')) })
      test('steps', async ({ mitm }) => {
        await test.step('asks', async () => mitm.fetch('https://app.test/'))
        await expect(mitm).toHaveRequested('https://app.test/')
      })
    })`,
  )
  const shown = run.steps['steps']?.filter((step) => !step.startsWith('hook:'))
  expect(shown).toEqual(['test.step: asks', 'expect: Expect "toHaveRequested"'])
  expect(run.result('steps').attachments).toEqual([])
})

test('the fixtures go together with others, and with a test of the user', async ({}, testInfo) => {
  const run = await runPlaywright(
    testInfo,
    `import { expect as baseExpect, mergeExpects, mergeTests, test as base } from '@playwright/test'
    import { expect as mitmExpect, mitmFixtures, mitmMatchers, test as mitmTest } from 'playwright-mitm'

    const other = base.extend({ user: async ({ page }, use) => use({ page, name: 'Ada' }) })
    const page = '<title>Ada</title><link rel="icon" href="data:,">'
    const merged = mergeTests(mitmTest, other)
    const expect = mergeExpects(mitmExpect, baseExpect.extend({ toBeAda: (name) => ({ pass: name === 'Ada', message: () => name }) }))

    merged('merged', async ({ user, mitm }) => {
      mitm.get('https://app.test/').respond(200, page)
      await user.page.goto('https://app.test/')
      await expect(mitm).toHaveRequested('https://app.test/')
      expect(user.name).toBeAda()
    })

    const extended = mitmTest.extend({ home: async ({ page, mitm }, use) => {
      mitm.get('https://app.test/').respond(200, '<title>Home</title><link rel="icon" href="data:,">')
      await page.goto('https://app.test/')
      await use(page)
    } })
    extended('extended', async ({ home }) => { await expect(home).toHaveTitle('Home') })

    const own = other.extend(mitmFixtures)
    own('bare', async ({ user, mitm }) => {
      mitm.get('https://app.test/').respond(200, page)
      await user.page.goto('https://app.test/')
      await baseExpect.extend(mitmMatchers)(mitm).toHaveRequested('https://app.test/')
    })`,
  )
  expect(run.output).toContain('3 passed')
})

test('a file can go without the mitm', async ({}, testInfo) => {
  const run = await runPlaywright(
    testInfo,
    `import { createServer } from 'node:http'
    test.use({ proxy: undefined })
    let instances = 0
    test.use({ mitm: defineMitm(() => { instances++ }) })
    test('alone', async ({ page, request }) => {
      const server = createServer((_, response) => response.end(String(response.req.socket.remotePort)))
      await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
      const url = 'http://127.0.0.1:' + server.address().port
      expect((await page.goto(url)).ok()).toBe(true)
      expect((await request.get(url)).ok()).toBe(true)
      expect(instances).toBe(0)
      server.closeAllConnections()
      server.close()
    })
    test('by hand', async ({ mitm }) => {
      mitm.get('https://app.test/').respond(200, 'still there')
      expect(await (await mitm.fetch('https://app.test/')).text()).toBe('still there')
      expect(instances).toBe(1)
    })`,
  )
  expect(run.output).toContain('2 passed')
})

test('a switch of the user for trusted keys is kept', async ({}, testInfo) => {
  const run = await runPlaywright(
    testInfo,
    `test('both keys', async ({ page, mitm, launchOptions, mitmCertificateAuthority }) => {
      const list = launchOptions.args.filter((arg) => arg.startsWith('--ignore-certificate-errors-spki-list='))
      expect(list).toEqual(['--ignore-certificate-errors-spki-list=AAAA,' + mitmCertificateAuthority.spki])
      mitm.get('https://app.test/').respond(200, '<title>x</title><link rel="icon" href="data:,">')
      await page.goto('https://app.test/')
    })`,
    {
      config: `use: { launchOptions: {
        ...launchOptions, args: ['--ignore-certificate-errors-spki-list=AAAA', ...launchOptions.args],
      } }`,
    },
  )
  expect(run.errors('both keys')).toEqual([])
})

test('an authority kept in a folder is that of every worker', async ({}, testInfo) => {
  const run = await runPlaywright(
    testInfo,
    `import { readFileSync } from 'node:fs'
    for (const number of [1, 2]) {
      test.describe('worker ' + number, () => {
        test('same authority ' + number, async ({ mitmCertificateAuthority, mitm, request }) => {
          expect(mitmCertificateAuthority.certificate).toBe(readFileSync('authority/mitm-ca.pem', 'utf8'))
          mitm.get('https://app.test/').respond(200, 'yes')
          expect(await (await request.get('https://app.test/')).text()).toBe('yes')
        })
      })
    }`,
    { config: `use: { mitmCaFolder: 'authority' }, workers: 2, fullyParallel: true` },
  )
  expect(run.output).toContain('2 passed')
})

test('a page that is made in beforeAll goes on through the mitm of that hook', async ({}, testInfo) => {
  const run = await runPlaywright(
    testInfo,
    `test.describe.serial('shared', () => {
      let page
      test.beforeAll(async ({ browser, mitm }) => {
        mitm.get('https://app.test/').respond(200, '<title>shared</title><link rel="icon" href="data:,">')
        page = await browser.newPage()
      })
      test('first', async () => {
        await page.goto('https://app.test/')
        expect(await page.title()).toBe('shared')
      })
      test('second', async () => {
        await page.reload()
        expect(await page.title()).toBe('shared')
      })
      test.afterAll(() => page.close())
    })`,
  )
  expect(run.output).toContain('2 passed')
  expect(run.exitCode).toBe(0)
})
