/** What a page loads over HTTPS is seen, changed and answered in the server's place. */
import { defineMitm, expect } from 'playwright-mitm'
import { test } from './support/site.ts'

test.use({ answers: { '/price': '{"eur":42}', '/greeting': 'good morning' } })

test('a page over HTTPS is recorded, and asserted on', async ({ page, mitm, site }) => {
  await page.goto('https://app.test/')
  await page.evaluate(() => fetch('/price', { method: 'POST', body: JSON.stringify({ id: 7 }) }))

  await expect(mitm).toHaveRequested('https://app.test/')
  await expect(mitm).toHaveRequestedTimes({ method: 'POST', url: 'https://app.test/price', json: { id: 7 } }, 1)
  await expect(mitm).not.toHaveRequested('https://tracker.test/**')
  const [exchange] = mitm.requests({ method: 'POST' })
  expect(exchange?.response?.status).toBe(200)
  expect(exchange?.response?.json()).toEqual({ eur: 42 })
  expect(site.arrivals.map(({ method, url }) => `${method} ${url}`)).toEqual(['GET /', 'POST /price'])
})

test('a response is changed on its way', async ({ page, mitm }) => {
  mitm.get('https://app.test/price').rewriteResponse({ json: { eur: 1 } })
  await page.goto('https://app.test/')
  expect(await page.evaluate(async () => (await fetch('/price')).json())).toEqual({ eur: 1 })
})

test('a request is changed on its way', async ({ page, mitm, site }) => {
  mitm.get('https://app.test/price').rewriteRequest({ headers: { 'x-forced': 'yes' } })
  await page.goto('https://app.test/')
  await page.evaluate(() => fetch('/price').then((response) => response.text()))
  expect(site.arrivals.at(-1)?.rawHeaders.map((text) => text.toLowerCase())).toContain('x-forced')
})

test('octets are changed on their way', async ({ page, mitm }) => {
  mitm
    .get('https://app.test/greeting')
    .serverData((data) => Buffer.from(data.toString('latin1').replaceAll('morning', 'evening'), 'latin1'))
  await page.goto('https://app.test/')
  expect(await page.evaluate(async () => (await fetch('/greeting')).text())).toBe('good evening')
})

test('a mocked request never reaches its server', async ({ page, mitm, site }) => {
  mitm.get('https://app.test/').respond(200, '<title>Mocked</title><link rel="icon" href="data:,">')
  await page.goto('https://app.test/')

  await expect(page).toHaveTitle('Mocked')
  expect(site.connectionCount).toBe(0)
})

test('a server that does not exist can be mocked', async ({ page, mitm }) => {
  mitm.get('https://no-such-host.invalid/**').respond(200, '<h1>Here</h1><link rel="icon" href="data:,">')
  await page.goto('https://no-such-host.invalid/page')
  await expect(page.getByRole('heading')).toHaveText('Here')
})

test.describe('a mitm set up for a file', () => {
  test.use({ mitm: defineMitm((mitm) => mitm.get('https://app.test/price').json({ eur: 7 })) })

  test('answers in each test', async ({ page }) => {
    await page.goto('https://app.test/')
    expect(await page.evaluate(async () => (await fetch('/price')).text())).toBe('{"eur":7}')
  })

  test.describe('and for a describe in it', () => {
    const titles: string[] = []
    test.use({
      mitm: defineMitm(async (mitm, testInfo) => {
        titles.push(testInfo.title)
        await Promise.resolve()
        mitm.get('https://app.test/greeting').respond(200, 'good night')
      }),
    })

    test('does both', async ({ page }) => {
      await page.goto('https://app.test/')
      const texts = await page.evaluate(() =>
        Promise.all(['/price', '/greeting'].map(async (path) => (await fetch(path)).text())),
      )
      expect(texts).toEqual(['{"eur":7}', 'good night'])
      expect(titles).toEqual(['does both'])
    })
  })
})
