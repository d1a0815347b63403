/** What an EventSource of Chromium sees of each fault. */
import { expect } from 'playwright-mitm'
import { faults } from 'playwright-mitm/core'
import { EVENT_CASES, GIVES_UP, TRIES_AGAIN, resumed } from './support/fault-cases-events.ts'
import { hasActed } from './support/fault-clients.ts'
import { test } from './support/site.ts'

const URL = 'https://app.test/events'
const EVENTS = ['one', 'two', 'three'].map((name, index) => `id: ${index + 1}\ndata: ${name}\n\n`).join('')

test.use({
  answers: {
    '/events': (request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      const id = request.headers['last-event-id']
      // A header that comes twice does not concern this one.
      if (id !== undefined) response.write(`data: ${resumed(String(id))}\n\n`)
      else response.write(`retry: 20\n${EVENTS}`)
    },
  },
})

for (const version of ['HTTP/1.1', 'HTTP/2'] as const) {
  test.describe(version, () => {
    test.use({ http2: version === 'HTTP/2' })

    for (const row of EVENT_CASES) {
      test(`${row.code}: ${row.seen.join(', ')}`, async ({ page, mitm }) => {
        await page.goto('https://app.test/')
        const fault = row.fault(faults)
        const rule = mitm.get(URL).fault(fault).once()
        await page.evaluate(listen, { url: URL, again: TRIES_AGAIN, up: GIVES_UP })
        const seen = (): Promise<unknown> => page.evaluate(() => Reflect.get(globalThis, 'seen'))

        await expect.poll(seen, { intervals: [20] }).toEqual(row.seen)
        expect(hasActed(mitm, fault.name)).toBe(true)
        if (row.hangs) {
          await page.waitForTimeout(300)
          expect(await seen()).toEqual(row.seen)
        }
        rule.remove()
        expect(await page.evaluate(async () => (await fetch('/')).status)).toBe(200)
        expect(mitm.errors).toEqual([])
      })
    }
  })
}

/** Runs in the page. */
function listen({ url, again, up }: { url: string; again: string; up: string }): void {
  const seen: string[] = []
  Reflect.set(globalThis, 'seen', seen)
  const source = new EventSource(url)
  source.addEventListener('message', ({ data }) => seen.push(String(data)))
  source.addEventListener('error', () => seen.push(source.readyState === EventSource.CLOSED ? up : again))
}
