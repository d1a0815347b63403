/** Not only the page: `request`, and contexts made by hand, go through the mitm of the test and trust it. */
import { expect } from 'playwright-mitm'
import { startOrigin } from './support/origin.ts'
import { test } from './support/site.ts'

test.use({
  answers: {
    '/data': '{"answer":42}',
    '/hop': (_, response) => void response.writeHead(302, { location: 'https://other.test/data' }).end(),
    '/echo': (_, response, body) => void response.writeHead(200, { 'content-type': 'text/plain' }).end(body),
    '/cookie': (_, response) => void response.writeHead(204, { 'set-cookie': 'seen=1; Path=/' }).end(),
  },
})

test('the request fixture goes through the mitm, over HTTPS without any setting', async ({ request, mitm }) => {
  const response = await request.get('https://app.test/data')
  expect(await response.json()).toEqual({ answer: 42 })
  await expect(mitm).toHaveRequestedTimes({ method: 'GET', url: 'https://app.test/data' }, 1)
})

test('request follows redirects through the mitm, and is answered by rules', async ({ request, mitm, site }) => {
  mitm.get('https://other.test/data').json({ answer: 'mocked' })
  const response = await request.get('https://app.test/hop')

  expect(await response.json()).toEqual({ answer: 'mocked' })
  expect(mitm.exchanges.map(String)).toEqual(['GET https://app.test/hop -> 302', 'GET https://other.test/data -> 200'])
  expect(site.arrivals).toHaveLength(1)
})

test('plain HTTP goes through the mitm, also to an address', async ({ request, mitm }) => {
  await using plain = await startOrigin({ answers: { '/': 'plain' } })
  const url = `http://127.0.0.1:${plain.port}/`

  expect(await (await request.get(url)).text()).toBe('plain')
  await expect(mitm).toHaveRequested({ url })
})

test('page.request shares the cookies of the page, and goes through the mitm', async ({ page, mitm, site }) => {
  await page.goto('https://app.test/')
  await page.evaluate(() => fetch('/cookie'))
  const response = await page.request.post('https://app.test/echo', { data: 'hello' })

  expect(await response.text()).toBe('hello')
  await expect(mitm).toHaveRequested({ method: 'POST', url: 'https://app.test/echo', body: 'hello' })
  expect(site.arrivals.at(-1)?.rawHeaders).toContain('seen=1')
})

test('a request context made by hand goes through the mitm', async ({ playwright, mitm }) => {
  const context = await playwright.request.newContext({ baseURL: 'https://app.test' })
  expect(await (await context.get('/data')).json()).toEqual({ answer: 42 })
  await context.dispose()
  await expect(mitm).toHaveRequested('https://app.test/data')
})

test('browser contexts made by hand go through the mitm', async ({ browser, mitm }) => {
  const contexts = await Promise.all([browser.newContext(), browser.newContext()])
  await Promise.all(
    contexts.map(async (context, index) => {
      const page = await context.newPage()
      await page.goto(`https://app.test/?context=${index}`)
      await context.close()
    }),
  )
  await expect(mitm).toHaveRequestedTimes('https://app.test/?context=0', 1)
  await expect(mitm).toHaveRequestedTimes('https://app.test/?context=1', 1)
})

test('a context with a proxy of its own does not', async ({ browser, mitm }) => {
  await using other = await startOrigin({ answers: { '/': '<title>Other</title><link rel="icon" href="data:,">' } })
  const context = await browser.newContext({ proxy: { server: 'socks5://127.0.0.1:9', bypass: '127.0.0.1' } })
  const page = await context.newPage()
  await page.goto(`http://127.0.0.1:${other.port}/`)
  await expect(page).toHaveTitle('Other')
  await context.close()
  expect(mitm.exchanges).toEqual([])
})

test('a persistent context goes through the mitm, and trusts it', async ({ playwright, mitm }, testInfo) => {
  const context = await playwright.chromium.launchPersistentContext(testInfo.outputPath('profile'))
  const page = await context.newPage()
  await page.goto('https://app.test/')
  await expect(page.getByRole('heading')).toHaveText('Hello')
  await context.close()
  await expect(mitm).toHaveRequested('https://app.test/')
})

test('mitm.fetch goes through the mitm', async ({ mitm }) => {
  const response = await mitm.fetch('https://app.test/data')
  expect(await response.json()).toEqual({ answer: 42 })
  await expect(mitm).toHaveRequested('https://app.test/data')
})
