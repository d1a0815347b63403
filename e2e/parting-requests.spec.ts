/** What a page sends as it goes is recorded, and reaches the server as it does without the mitm. */
import type { Page } from '@playwright/test'
import { expect } from 'playwright-mitm'
import { test } from './support/streams.ts'

/** How a page goes. Closing its context is not among them: Chromium then sends nothing, with and without a proxy. */
const WAYS: Readonly<Record<string, (page: Page) => Promise<unknown>>> = {
  'is closed': (page) => page.close(),
  'is closed with its beforeunload': async (page) => {
    const closed = page.waitForEvent('close')
    await page.close({ runBeforeUnload: true })
    await closed
  },
  'goes elsewhere': (page) => page.goto('about:blank'),
  'is loaded again': (page) => page.reload(),
}

const BODIES: Readonly<Record<string, string>> = {
  '/text': 'bye',
  '/octets': '{"left":true}',
  '/form': 'left=yes&at=1',
  '/kept': 'kept alive',
}

test.use({ answers: { '/text': '', '/octets': '', '/form': '', '/kept': 'ok' } })

for (const version of ['HTTP/1.1', 'HTTP/2'] as const) {
  test.describe(version, () => {
    test.use({ http2: version === 'HTTP/2' })

    for (const [way, leave] of Object.entries(WAYS)) {
      test(`beacons and keepalive requests of a page that ${way}`, async ({ direct, proxied, site, mitm }) => {
        const parting = (): Readonly<Record<string, string>> =>
          Object.fromEntries(
            site.arrivals.filter(({ method }) => method === 'POST').map(({ url, body }) => [url, body]),
          )

        await sayGoodbye(direct)
        await leave(direct)
        await expect.poll(parting).toEqual(BODIES)
        const count = site.arrivals.filter(({ method }) => method === 'POST').length

        await sayGoodbye(proxied)
        await leave(proxied)
        for (const [path, body] of Object.entries(BODIES)) {
          const { request } = await mitm.waitForRequest({ method: 'POST', path })
          await request.whenComplete()
          expect(request.text()).toBe(body)
        }
        await expect.poll(() => site.arrivals.filter(({ method }) => method === 'POST')).toHaveLength(count * 2)
        expect(await mitm.waitForIdle()).toBe(true)
        // Nobody is left to read the answers: Chromium may not wait for them.
        const ends = mitm.requests({ method: 'POST' }).map(({ endReason }) => endReason)
        expect(ends.filter((end) => !['complete', 'client-reset', 'client-closed'].includes(String(end)))).toEqual([])
        await expect(mitm).toHaveRequestedTimes({ method: 'POST', source: 'page' }, count)
      })
    }

    test('the beacon of a window that closes itself', async ({ proxied, mitm }) => {
      const opened = proxied.waitForEvent('popup')
      await proxied.evaluate(`void open('/')`)
      const popup = await opened
      await popup.waitForLoadState()
      await sayGoodbye(popup)
      const closed = popup.waitForEvent('close')
      await popup.evaluate(`void setTimeout(() => close())`)
      await closed

      await expect(mitm).toHaveRequested({ method: 'POST', path: '/text', body: 'bye' })
    })

    test('a beacon to another origin, and the answer of a rule to it', async ({ proxied, site, mitm }) => {
      mitm.post('https://metrics.test/**').respond(204)
      await proxied.evaluate(
        `addEventListener('pagehide', () => navigator.sendBeacon('https://metrics.test/left', '1'))`,
      )
      const before = site.arrivals.length
      await proxied.close()

      await expect(mitm).toHaveRequested({ url: 'https://metrics.test/left', body: '1', status: 204 })
      expect(site.arrivals).toHaveLength(before)
    })

    test.describe('at the end of a test', () => {
      const mitm = test.extend<object>({
        mitm: async ({ mitm: own }, use) => {
          await use(own)
          // Behind the end of the page, and before that of the mitm.
          const { request } = await own.waitForRequest({ method: 'POST', path: '/text' }, { timeoutMs: 5000 })
          expect(request.text()).toBe('bye')
        },
      })

      mitm('what a page that was just closed sends is recorded', async ({ proxied }) => {
        await sayGoodbye(proxied)
        await proxied.close()
      })
    })
  })
}

/** Lets the page send a beacon of each kind, and a keepalive request, when it goes. */
async function sayGoodbye(page: Page): Promise<void> {
  await page.evaluate(`addEventListener('pagehide', () => {
    navigator.sendBeacon('/text', 'bye')
    // Not a Blob: Chromium reads that later, and may be too late.
    navigator.sendBeacon('/octets', new TextEncoder().encode('{"left":true}'))
    navigator.sendBeacon('/form', new URLSearchParams({ left: 'yes', at: '1' }))
    fetch('/kept', { method: 'POST', body: 'kept alive', keepalive: true })
  })`)
}
