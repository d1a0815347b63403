/** A network that is slow, or not there, for a whole test. */
import type { Page } from '@playwright/test'
import { expect } from 'playwright-mitm'
import { test } from './support/site.ts'

const BYTES = 200_000

test.use({ answers: { '/download': 'd'.repeat(BYTES), '/price': '{"eur":42}' } })

/** How long a page waits for a path, and how much it gets. */
function download(page: Page, path: string): Promise<{ ms: number; bytes: number }> {
  return page.evaluate(async (url) => {
    const startMs = performance.now()
    const { byteLength } = await (await fetch(url)).arrayBuffer()
    return { ms: performance.now() - startMs, bytes: byteLength }
  }, path)
}

test('without a network a page cannot be loaded, nor can what it asks for', async ({ page, mitm, site }) => {
  await page.goto('https://app.test/')
  const offline = mitm.offline()
  const before = site.arrivals.length

  const failed = page.waitForEvent('requestfailed')
  expect(await page.evaluate(() => fetch('/price').catch(String))).toBe('TypeError: Failed to fetch')
  expect((await failed).failure()?.errorText).toBe('net::ERR_SOCKS_CONNECTION_FAILED')
  await expect(page.goto('https://other.test/')).rejects.toThrow('net::ERR_SOCKS_CONNECTION_FAILED')
  await expect(mitm.fetch('https://app.test/price')).rejects.toThrow('fetch failed')
  expect(site.arrivals).toHaveLength(before)
  expect(mitm.connections.filter(({ faults }) => faults.some(({ name }) => name === 'offline')).length).toBeGreaterThan(
    2,
  )

  offline.remove()
  // Chromium is on its way to its error page, which would interrupt what comes next.
  await page.waitForURL('chrome-error://chromewebdata/')
  await page.goto('https://app.test/')
  await expect(page.getByRole('heading')).toHaveText('Hello')
})

test('a download that is under way breaks off without a network', async ({ page, mitm }) => {
  await page.goto('https://app.test/')
  mitm.slow({ downKbps: 100, upKbps: 100, rttMs: 0 })
  const failed = page.waitForEvent('requestfailed')
  const begun = page.waitForResponse('**/download')
  const caught = page.evaluate(async () => (await fetch('/download')).text().catch(() => 'broken off in the body'))
  await begun
  mitm.offline()
  expect((await failed).failure()?.errorText).toBe('net::ERR_CONNECTION_RESET')
  expect(await caught).toBe('broken off in the body')
})

test('a slow link takes the time that it would take', async ({ page, mitm }) => {
  await page.goto('https://app.test/')
  const fast = await download(page, '/download')
  mitm.slow('Slow 4G')
  const slow = await download(page, '/download')

  // 200 kB at 1.6 Mbit/s are 1000 ms, and a connection that is there costs one round trip of 150 ms.
  expect(slow.bytes).toBe(BYTES)
  expect(slow.ms).toBeGreaterThan(1100)
  expect(slow.ms).toBeLessThan(2300)
  expect(fast.ms).toBeLessThan(slow.ms / 3)
  await expect(mitm).toHaveRequested({ url: 'https://app.test/download', fault: 'network' })
})

test('a slow link that is removed lets go of what it held', async ({ page, mitm }) => {
  await page.goto('https://app.test/')
  // Alone, this would take most of a minute.
  const link = mitm.slow({ downKbps: 40, upKbps: 40, rttMs: 20 })
  const downloaded = download(page, '/download')
  await mitm.waitForResponse('https://app.test/download')
  link.remove()

  const { ms, bytes } = await downloaded
  expect(bytes).toBe(BYTES)
  expect(ms).toBeLessThan(10_000)
})

test('a new connection costs its round trips', async ({ page, mitm }) => {
  mitm.slow({ downKbps: 100_000, upKbps: 100_000, rttMs: 200 })
  const startMs = performance.now()
  await page.goto('https://app.test/')
  // One for the connection, one for TLS, one for the request.
  expect(performance.now() - startMs).toBeGreaterThan(590)
})
