/**
 * What a proxy per test is good for, on a shop with an API and a bank: each test sees, mocks, changes or breaks what the
 * page does on the network, and asserts on it. The shop itself knows nothing of the proxy.
 */
import { test as base, defineMitm, expect, faults } from 'playwright-mitm'
import { startShop } from './start-shop.ts'
import type { Shop } from './start-shop.ts'

const PRICE = 'https://api.shop.test/price'
const CHARGE = 'https://pay.test/charge'

const test = base.extend<{ shop: Shop }>({
  shop: async ({}, use) => {
    const shop = await startShop()
    await use(shop)
    await shop.close()
  },
  mitmOptions: async ({ shop }, use) => {
    await use({ hosts: shop.hosts, upstream: { ca: shop.certificate } })
  },
})

// Not needed: it shows what was recorded.
test.afterEach(({ mitm }, testInfo) => {
  const rows = mitm.exchanges.map((exchange) => {
    const duration = exchange.timings.endMs === undefined ? 'pending' : `${exchange.timings.endMs.toFixed(1)} ms`
    return `  ${duration.padStart(9)}  ${exchange.toString()}${exchange.rules.length > 0 ? '  (by a rule)' : ''}`
  })
  console.log(`\n${testInfo.title}: ${mitm.connections.length} connections\n${rows.join('\n')}\n`)
})

test('paying charges the price once', async ({ page, mitm, shop }) => {
  await page.goto('https://shop.test/')
  await page.getByRole('button', { name: 'Pay' }).click()
  await expect(page.getByRole('status')).toHaveText('Paid 42 €')

  await expect(mitm).toHaveRequestedTimes({ method: 'POST', url: CHARGE, json: { eur: 42 } }, 1)
  // The browser asks first whether it may; page.route() never sees that.
  await expect(mitm).toHaveRequested({ method: 'OPTIONS', url: CHARGE })
  expect(shop.payments).toEqual([{ eur: 42 }])
})

test.describe('with a price of our own', () => {
  test.use({ mitm: defineMitm((mitm) => mitm.get(PRICE).json({ eur: 7 })) })

  test('the page charges what the API says', async ({ page, mitm, shop }) => {
    await page.goto('https://shop.test/')
    await expect(page.getByLabel('Total')).toHaveText('7 €')
    await page.getByRole('button', { name: 'Pay' }).click()

    await expect(mitm).toHaveRequestedTimes({ method: 'POST', url: CHARGE, json: { eur: 7 } }, 1)
    await expect(page.getByRole('status')).toHaveText('Paid 7 €')
    expect(shop.payments).toEqual([{ eur: 7 }])
  })
})

test('a card that is declined is not charged again', async ({ page, mitm, shop }) => {
  mitm.post(CHARGE).respond(402, 'Declined')
  await page.goto('https://shop.test/')
  await page.getByRole('button', { name: 'Pay' }).click()

  await expect(page.getByRole('alert')).toHaveText('Payment failed: the bank said 402')
  await expect(mitm).toHaveRequestedTimes({ method: 'POST', url: CHARGE }, 1)
  expect(shop.payments).toEqual([])
})

test('a price can be changed on its way', async ({ page, mitm }) => {
  // The API answers, CORS headers and all; only the body is another.
  mitm.get(PRICE).rewriteResponse({ json: { eur: 1 } })
  await page.goto('https://shop.test/')

  await expect(page.getByLabel('Total')).toHaveText('1 €')
})

test('octets can be changed on their way', async ({ page, mitm }) => {
  mitm
    .get('https://shop.test/products.json')
    .serverData((data) => Buffer.from(data.toString('latin1').replaceAll('Coffee', 'Cookie'), 'latin1'))
  await page.goto('https://shop.test/')

  await expect(page.getByRole('listitem')).toHaveText(['Espresso machine, 35 €', 'Cookie, 500 g, 7 €'])
})

test('a payment whose connection is reset twice is tried again', async ({ page, mitm, shop }) => {
  mitm.post(CHARGE).fault(faults.resetPeer()).times(2)
  await page.goto('https://shop.test/')
  await page.getByRole('button', { name: 'Pay' }).click()

  await expect(page.getByRole('status')).toHaveText('Paid 42 €')
  await expect(mitm).toHaveRequestedTimes({ method: 'POST', url: CHARGE, json: { eur: 42 } }, 3)
  await expect(mitm).toHaveRequestedTimes({ url: CHARGE, fault: 'resetPeer' }, 2)
  expect(shop.payments).toEqual([{ eur: 42 }])
})

test('a receipt that is lost makes the shop pay again: it should send an idempotency key', async ({
  page,
  mitm,
  shop,
}) => {
  // The bank gets the payment, and only its answer is lost.
  mitm
    .post(CHARGE)
    .fault(faults.resetPeer({ forward: true }))
    .once()
  await page.goto('https://shop.test/')
  await page.getByRole('button', { name: 'Pay' }).click()

  await expect(page.getByRole('status')).toHaveText('Paid 42 €')
  await expect(mitm).toHaveRequestedTimes({ method: 'POST', url: CHARGE }, 2)
  // At least: where the connection was kept from the preflight, the browser sends it again by itself as well.
  expect(shop.payments.length).toBeGreaterThanOrEqual(2)
})

test('a price that breaks off closes the shop', async ({ page, mitm }) => {
  mitm.get(PRICE).fault(faults.limitData({ bytes: 3 }))
  await page.goto('https://shop.test/')

  await expect(page.getByRole('alert')).toContainText('The shop is closed')
  await expect(page.getByRole('button', { name: 'Pay' })).toBeDisabled()
  await expect(mitm).toHaveRequested({ url: PRICE, fault: 'limitData' })
})

test('a bank that cannot be reached is said so, and nothing is charged', async ({ page, mitm, shop }) => {
  mitm.when({ host: 'pay.test' }).fault(faults.refuseConnection())
  await page.goto('https://shop.test/')
  await page.getByRole('button', { name: 'Pay' }).click()

  await expect(page.getByRole('alert')).toContainText('Payment failed')
  await expect(page.getByRole('button', { name: 'Pay' })).toBeEnabled()
  expect(shop.payments).toEqual([])
})
