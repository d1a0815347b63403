/** Faults that a browser would hide by trying again by itself: the page sees them all the same, and once. */
import type { Page, Request } from '@playwright/test'
import { expect } from 'playwright-mitm'
import type { Fault } from 'playwright-mitm'
import { faults } from 'playwright-mitm/core'
import { test } from './support/site.ts'

const CHARGE = 'https://app.test/charge'

test.use({ answers: { '/charge': '{"id":1}', '/price': '{"eur":42}' } })

/** What a page's POST comes to: the status, or the browser's code. */
async function charge(page: Page): Promise<number | string> {
  const isOurs = (request: Request): boolean => request.url() === CHARGE
  const failed = page.waitForEvent('requestfailed', { predicate: isOurs, timeout: 0 }).catch(() => undefined)
  const status = await page.evaluate(async (url) => {
    try {
      return (await fetch(url, { method: 'POST', body: '{"eur":42}' })).status
    } catch {
      return undefined
    }
  }, CHARGE)
  return status ?? (await failed)?.failure()?.errorText ?? ''
}

/** Leaves a connection that is kept for what follows. */
async function warmUp(page: Page): Promise<void> {
  await page.goto('https://app.test/')
  await page.evaluate(async () => (await fetch('/price')).text())
}

const BREAKS: readonly { readonly fault: Fault; readonly seen: string }[] = [
  { fault: faults.resetPeer(), seen: 'net::ERR_CONNECTION_RESET' },
  { fault: faults.emptyResponse(), seen: 'net::ERR_EMPTY_RESPONSE' },
]

for (const { fault, seen } of BREAKS) {
  test(`${fault.name} once on a kept connection is seen by the page, and counted once`, async ({
    page,
    mitm,
    site,
  }) => {
    await warmUp(page)
    const rule = mitm.post(CHARGE).fault(fault).once()

    expect(await charge(page)).toBe(seen)
    expect(rule.calls).toBe(1)
    expect(site.arrivals.filter(({ url }) => url === '/charge')).toEqual([])
    await expect(mitm).toHaveRequestedTimes(CHARGE, 1)
    await expect(mitm).toHaveRequested({ url: CHARGE, fault: fault.name })
    const exchanges = mitm.exchanges.filter(({ request }) => request.url === CHARGE)
    expect(exchanges.map(({ isResent }) => isResent)).toEqual([true, false])
    expect(exchanges.map((exchange) => exchange.faults.map(({ name }) => name))).toEqual([[fault.name], [fault.name]])

    expect(await charge(page)).toBe(200)
    await expect(mitm).toHaveRequestedTimes(CHARGE, 2)
  })
}

test('resetPeer twice on kept connections is seen twice', async ({ page, mitm }) => {
  await warmUp(page)
  mitm.post(CHARGE).fault(faults.resetPeer()).times(2)

  const seen = [await charge(page)]
  await warmUp(page)
  seen.push(await charge(page))
  await warmUp(page)
  seen.push(await charge(page))
  expect(seen).toEqual(['net::ERR_CONNECTION_RESET', 'net::ERR_CONNECTION_RESET', 200])
  await expect(mitm).toHaveRequestedTimes(CHARGE, 3)
})

test('a receipt that is lost once: the server was charged, and the page does not know', async ({
  page,
  mitm,
  site,
}) => {
  await warmUp(page)
  mitm
    .post(CHARGE)
    .fault(faults.resetPeer({ forward: true }))
    .once()

  expect(await charge(page)).toBe('net::ERR_CONNECTION_RESET')
  // Chromium has sent it again, and that one was lost as well.
  expect(site.arrivals.filter(({ url }) => url === '/charge')).toHaveLength(2)
  await expect(mitm).toHaveRequestedTimes(CHARGE, 1)
})

const HANDSHAKES: readonly { readonly fault: Fault; readonly seen: string }[] = [
  { fault: faults.tlsReset(), seen: 'net::ERR_CONNECTION_RESET' },
  { fault: faults.tlsClose(), seen: 'net::ERR_CONNECTION_CLOSED' },
  { fault: faults.tlsAlert('internal_error'), seen: 'net::ERR_SSL_PROTOCOL_ERROR' },
  { fault: faults.certExpired(), seen: 'net::ERR_CERT_AUTHORITY_INVALID' },
  { fault: faults.refuseConnection(), seen: 'net::ERR_SOCKS_CONNECTION_FAILED' },
]

for (const { fault, seen } of HANDSHAKES) {
  test(`${fault.text} once is seen by the page, although Chromium tries a handshake again`, async ({
    context,
    mitm,
  }) => {
    mitm.when({ host: 'app.test' }).fault(fault).once()

    const refused = await context.newPage()
    await expect(refused.goto('https://app.test/')).rejects.toThrow(seen)
    // Another one: the browser's own page about the error may still be loading.
    const page = await context.newPage()
    await page.goto('https://app.test/')
    await expect(page.getByRole('heading')).toHaveText('Hello')
  })
}

test('a fault of handshakes meets a page that has a connection already', async ({ page, mitm }) => {
  await warmUp(page)
  mitm.when({ host: 'app.test' }).fault(faults.tlsReset()).once()

  expect(await charge(page)).toBe('net::ERR_CONNECTION_RESET')
  expect(await charge(page)).toBe(200)
})
