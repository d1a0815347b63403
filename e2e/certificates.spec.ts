/** A server's bad certificate is bad for the page and for `request`, as it would be without the mitm. */
import { expect } from 'playwright-mitm'
import { test } from './support/site.ts'

const REFUSED = /net::ERR_CERT_AUTHORITY_INVALID/

// The mitm is led to the site, but not told to trust the authority that signs for it.
test.use({
  mitmOptions: async ({ mitmOptions }, use) => {
    const { upstream: _, ...rest } = mitmOptions
    await use(rest)
  },
})

test('a page is refused', async ({ page, mitm, site }) => {
  await expect(page.goto('https://app.test/')).rejects.toThrow(REFUSED)

  expect(site.arrivals).toEqual([])
  expect(mitm.connections.at(-1)?.serverTls?.authorizationError).toBe('SELF_SIGNED_CERT_IN_CHAIN')
})

test('a request is refused', async ({ request, page, site }) => {
  await expect(request.get('https://app.test/')).rejects.toThrow(/certificate/)
  await expect(page.request.get('https://app.test/')).rejects.toThrow(/certificate/)
  expect(site.arrivals).toEqual([])
})

test('a page that asks a bad server for data is told so', async ({ page, mitm }) => {
  mitm.get('https://app.test/').respond(200, '<title>Mocked</title><link rel="icon" href="data:,">')
  await page.goto('https://app.test/')
  const failed = page.waitForEvent('requestfailed')
  await page.evaluate(() => fetch('https://api.test/').catch(() => undefined))
  expect((await failed).failure()?.errorText).toMatch(REFUSED)
})

test.describe('a test that ignores HTTPS errors', () => {
  test.use({ ignoreHTTPSErrors: true })

  test('loads the page', async ({ page, mitm }) => {
    await page.goto('https://app.test/')
    await expect(page.getByRole('heading')).toHaveText('Hello')
    await expect(mitm).toHaveRequested('https://app.test/')
  })

  test('is answered by request', async ({ request, page }) => {
    expect((await request.get('https://app.test/')).status()).toBe(200)
    expect((await page.request.get('https://app.test/')).status()).toBe(200)
  })
})

test.describe('a mitm that does not verify', () => {
  test.use({
    mitmOptions: async ({ mitmOptions }, use) => use({ ...mitmOptions, upstream: { rejectUnauthorized: false } }),
  })

  test('shows the page a good certificate', async ({ page }) => {
    await page.goto('https://app.test/')
    await expect(page.getByRole('heading')).toHaveText('Hello')
  })
})
