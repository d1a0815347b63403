/** What a user sees of handlers of MSW when a test fails. Each test here runs Playwright on tests that fail. */
import { expect, test } from '@playwright/test'
import { runPlaywright } from './support/run-playwright.ts'

test.describe.configure({ timeout: 90_000 })

for (const msw of ['msw-2', 'msw-3']) {
  test(`a handler of ${msw} that throws fails the test, at its own line, though the page swallows the 500`, async ({}, testInfo) => {
    const run = await runPlaywright(
      testInfo,
      `import { http, HttpResponse } from '${msw}'
      import { expect, test } from 'playwright-mitm'
      const page = () => HttpResponse.html('<title>x</title><link rel="icon" href="data:,">')
      test.use({
        mitmOptions: {
          handlers: [
            http.get('https://app.test/', page),
            http.get('/broken', () => {
              throw new Error('oops')
            }),
          ],
        },
      })
      test('throws', async ({ page, mitm }) => {
        await page.goto('https://app.test/')
        expect(await page.evaluate("fetch('/broken').then(({ status }) => status)")).toBe(500)
      })
      test('tells', async ({ page, mitm }) => {
        await page.goto('https://app.test/')
        await expect(mitm).toHaveRequested('https://app.test/other', { timeout: 50 })
      })`,
    )
    const [text = '', ...others] = run.errors('throws')
    expect(others).toEqual([])
    expect(text).toContain('MitmError: Cannot answer by the handler GET /broken')
    expect(text).toContain('oops [MITM_HANDLER_FAILED]')
    expect(run.output).toContain(">  9 |               throw new Error('oops')")
    expect(run.errors('tells')[0]).toMatch(
      /GET https:\/\/app\.test\/ -> 200 \(answered by the handler GET https:\/\/app\.test\/(?:, \S+run\.spec\.ts:8)?\)/,
    )
  })
}

test('what no handler is for fails the test in the words of MSW, with a handler to paste', async ({}, testInfo) => {
  const run = await runPlaywright(
    testInfo,
    `import { once } from 'node:events'
    import { createServer } from 'node:http'
    import { http, HttpResponse } from 'msw-2'
    import { expect, test } from 'playwright-mitm'
    test.use({ mitmOptions: { unmatched: 'error', handlers: [http.get('https://app.test/', () => HttpResponse.text('x'))] } })
    test('asks', async ({ mitm }) => {
      expect((await mitm.fetch('https://app.test/')).status).toBe(200)
      expect((await mitm.fetch('https://app.test/other', { method: 'POST' })).status).toBe(502)
    })
    test.describe('with warn', () => {
      test.use({ mitmOptions: { unmatched: 'warn' } })
      test('warns', async ({ mitm }) => {
        const server = createServer((_, response) => response.end()).listen(0, '127.0.0.1')
        await once(server, 'listening')
        const url = 'http://127.0.0.1:' + server.address().port + '/warned'
        for (let turn = 0; turn < 2; turn++) expect((await mitm.fetch(url)).status).toBe(200)
        server.close()
      })
    })`,
  )
  const [text = ''] = run.errors('asks')
  expect(text).toContain('POST https://app.test/other matches no rule')
  expect(text).toContain("http.post('https://app.test/other', () => HttpResponse.json({}))")
  expect(run.errors('warns')).toEqual([])
  expect(run.output.match(/playwright-mitm: GET http:\/\/127\.0\.0\.1:\d+\/warned matches no rule/g)).toHaveLength(1)
})

test('what is no handler is refused where it is handed over', async ({}, testInfo) => {
  const run = await runPlaywright(
    testInfo,
    `import { http } from 'msw-2'
    const handlers = [http.get('https://app.test/', () => undefined)]
    test('nests', async ({ mitm }) => { mitm.use(handlers) })
    test.describe(() => {
      test.use({ mitmOptions: { handlers: [handlers] } })
      test('nests in options', async ({ mitm }) => {})
    })
    test.describe(() => {
      test.use({ mitm: defineMitm(['GET /']) })
      test('is a text', async ({ mitm }) => {})
    })`,
  )
  expect(run.errors('nests')[0]).toContain(
    'Cannot take an array of 1 in use(): expected its elements one by one: use(...handlers)',
  )
  expect(run.errors('nests in options')[0]).toContain('Cannot take an array of 1 in handlers')
  expect(run.errors('is a text')[0]).toContain('Cannot take "GET /" in defineMitm()')
})
