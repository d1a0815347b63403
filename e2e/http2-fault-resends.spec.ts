/** Faults of HTTP/2 in a page: what Chromium sends again by itself is not counted, and rules act between two clicks. */
import type { Page, Request } from '@playwright/test'
import { expect } from 'playwright-mitm'
import type { Fault, TestMitm } from 'playwright-mitm'
import { faults } from 'playwright-mitm/core'
import { test } from './support/site.ts'

const CHARGE = 'https://app.test/charge'

const waiting: (() => void)[] = []

test.use({
  http2: true,
  answers: {
    '/charge': '{"id":1}',
    '/price': '{"eur":42}',
    '/slow': (_, response) => {
      response.writeHead(200, { 'content-type': 'text/plain' })
      response.write('begun, ')
      waiting.push(() => response.end('done'))
    },
  },
})

/** What a page's request comes to: the status, or the browser's code. */
async function ask(page: Page, url: string = CHARGE, method = 'POST'): Promise<number | string> {
  const isOurs = (request: Request): boolean => request.url() === url
  const failed = page.waitForEvent('requestfailed', { predicate: isOurs, timeout: 0 }).catch(() => undefined)
  const status = await page.evaluate(
    async (given) => {
      try {
        const response = await fetch(given.url, { method: given.method })
        await response.text()
        return response.status
      } catch {
        return undefined
      }
    },
    { url, method },
  )
  return status ?? (await failed)?.failure()?.errorText ?? ''
}

async function warmUp(page: Page): Promise<void> {
  await page.goto('https://app.test/')
  await ask(page, 'https://app.test/price', 'GET')
}

/** The tries of a request: whether it was sent again, by which version, and what acted on it. */
function triesOf(mitm: TestMitm, url: string = CHARGE): unknown[] {
  return mitm.exchanges
    .filter(({ request }) => request.url === url)
    .map(({ isResent, http2, faults: acted }) => [isResent, http2 ? 2 : 1, acted.map(({ name }) => name).join()])
}

const REFUSALS: readonly Fault[] = [
  faults.http2Reset('REFUSED_STREAM'),
  faults.http2GoAway({ lastStream: 'before' }),
  faults.http2GoAway({ lastStream: 0 }),
]

for (const fault of REFUSALS) {
  test(`${fault.text} once is seen by the page, and counted once`, async ({ page, mitm, site }) => {
    await warmUp(page)
    const rule = mitm.post(CHARGE).fault(fault).once()

    expect(await ask(page)).toBe('net::ERR_HTTP2_SERVER_REFUSED_STREAM')
    expect(rule.calls).toBe(1)
    expect(site.arrivals.filter(({ url }) => url === '/charge')).toEqual([])
    await expect(mitm).toHaveRequestedTimes(CHARGE, 1)
    await expect(mitm).toHaveRequested({ url: CHARGE, fault: fault.name })
    expect(triesOf(mitm)).toEqual([
      [true, 2, fault.name],
      [true, 2, fault.name],
      [false, 2, fault.name],
    ])

    expect(await ask(page)).toBe(200)
    await expect(mitm).toHaveRequestedTimes(CHARGE, 2)
    expect(mitm.errors).toEqual([])
  })

  test(`${fault.text} twice is seen twice`, async ({ page, mitm }) => {
    await warmUp(page)
    mitm.post(CHARGE).fault(fault).times(2)
    const seen = [await ask(page), await ask(page), await ask(page)]
    const refused = 'net::ERR_HTTP2_SERVER_REFUSED_STREAM'
    expect(seen).toEqual([refused, refused, 200])
    await expect(mitm).toHaveRequestedTimes(CHARGE, 3)
  })
}

const DEMANDS: readonly Fault[] = [
  faults.http2Reset('HTTP_1_1_REQUIRED'),
  faults.http2GoAway({ code: 'HTTP_1_1_REQUIRED', lastStream: 'before' }),
]

for (const fault of DEMANDS) {
  test(`${fault.text} once makes Chromium speak HTTP/1.1, and is counted once`, async ({ page, mitm, site }) => {
    await warmUp(page)
    const rule = mitm.post(CHARGE).fault(fault).once()

    expect(await ask(page)).toBe(200)
    expect(rule.calls).toBe(1)
    expect(site.arrivals.filter(({ url }) => url === '/charge')).toHaveLength(1)
    await expect(mitm).toHaveRequestedTimes(CHARGE, 1)
    await expect(mitm).toHaveRequested({ url: CHARGE, fault: fault.name })
    expect(triesOf(mitm)).toEqual([
      [true, 2, fault.name],
      [false, 1, fault.name],
    ])
    // It has learnt that for good.
    expect(await ask(page)).toBe(200)
    expect(triesOf(mitm).at(-1)).toEqual([false, 1, ''])
  })
}

test('a connection that breaks takes the others with it; what Chromium sends again is not counted', async ({
  page,
  mitm,
}) => {
  await warmUp(page)
  const other = mitm.get('https://app.test/other').delay(60_000).respond(200).once()
  const rule = mitm.post(CHARGE).fault(faults.resetPeer()).once()
  await ask(page, 'https://app.test/price', 'GET')
  const asked = ask(page, 'https://app.test/other', 'GET')
  await mitm.waitForRequest('https://app.test/other')

  expect(await ask(page)).toBe('net::ERR_CONNECTION_RESET')
  expect([rule.calls, other.calls]).toEqual([1, 1])
  expect(triesOf(mitm)).toEqual([
    [true, 2, 'resetPeer'],
    [false, 2, 'resetPeer'],
  ])
  await expect(mitm).toHaveRequestedTimes('https://app.test/other', 1)
  await page.close()
  await asked.catch(() => undefined)
})

test('requests are not sent again whose connection breaks before it has proven itself by any response', async ({
  page,
  mitm,
}) => {
  await page.goto('https://app.test/')
  // So that it is by HTTP/2, although nobody knows what the server speaks.
  mitm.when('https://api.test/**').fault(faults.http2Settings({ maxConcurrentStreams: 100 }))
  mitm.get('https://api.test/first').delay(60_000).respond(200)
  mitm.get('https://api.test/second').respond(200)
  mitm.get('https://api.test/second').fault(faults.resetPeer()).once()
  const first = ask(page, 'https://api.test/first', 'GET')
  await mitm.waitForRequest('https://api.test/first')
  // Until the browser has been told anything at all on it.
  await page.waitForTimeout(300)
  expect(await ask(page, 'https://api.test/second', 'GET')).toBe('net::ERR_CONNECTION_RESET')
  expect(await first).toBe('net::ERR_CONNECTION_RESET')
  const tries = (path: string): unknown[] => triesOf(mitm, `https://api.test/${path}`).map((each) => [each].flat()[0])
  expect([tries('first'), tries('second')]).toEqual([[false], [false]])
})

test('a rule that is made between two clicks acts on the second', async ({ page, mitm }) => {
  await warmUp(page)
  const [connection] = mitm.connections
  // Nobody could touch it: it was relayed.
  expect(connection?.clientTls?.alpn).toBe('h2')
  expect(await ask(page)).toBe(200)

  const rule = mitm.post(CHARGE).fault(faults.http2Reset('ENHANCE_YOUR_CALM'))
  expect(await ask(page)).toBe('net::ERR_HTTP2_PROTOCOL_ERROR')
  expect(mitm.connections).toHaveLength(2)
  rule.remove()
  expect(await ask(page)).toBe(200)
  expect(mitm.errors).toEqual([])
})

test('what is under way when a rule is made comes whole', async ({ page, mitm }) => {
  await page.goto('https://app.test/')
  const body = page.evaluate(async () => (await fetch('/slow')).text())
  await mitm.waitForResponse('https://app.test/slow')
  mitm.post(CHARGE).fault(faults.http2Reset('ENHANCE_YOUR_CALM'))
  expect(await ask(page)).toBe('net::ERR_HTTP2_PROTOCOL_ERROR')
  for (const end of waiting.splice(0)) end()
  expect(await body).toBe('begun, done')
})

test.describe('a site that speaks HTTP/1.1 only', () => {
  test.use({ http2: false })

  test('is spoken to in HTTP/2 where a fault needs that, and in HTTP/1.1 before', async ({ page, mitm }) => {
    await warmUp(page)
    expect(triesOf(mitm, 'https://app.test/')).toEqual([[false, 1, '']])
    mitm.post(CHARGE).fault(faults.http2Reset('CANCEL')).once()
    expect(await ask(page)).toBe('net::ERR_HTTP2_PROTOCOL_ERROR')
    expect(await ask(page)).toBe(200)
    expect(triesOf(mitm)).toEqual([
      [false, 2, 'http2Reset'],
      [false, 2, ''],
    ])
  })
})

test('a fault that there is in HTTP/1.1 only is met by HTTP/1.1', async ({ page, mitm }) => {
  await warmUp(page)
  const rule = mitm.post(CHARGE).fault(faults.malformedHead('nul'))
  expect(await ask(page)).toBe('net::ERR_INVALID_HTTP_RESPONSE')
  expect(triesOf(mitm)).toEqual([[false, 1, 'malformedHead']])
  rule.remove()
  expect(await ask(page)).toBe(200)
})
