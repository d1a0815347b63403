/** Streams and long polls are recorded while they run, and what rules make of them is what the page gets. */
import type { Page } from '@playwright/test'
import { expect } from 'playwright-mitm'
import { faults } from 'playwright-mitm/core'
import { listen, readPieces, seenBy, test } from './support/streams.ts'

const EVENTS = 'https://app.test/events'
const STREAM = 'https://app.test/stream'
const POLL = { intervals: [10] }

async function sees(page: Page, ...expected: readonly string[]): Promise<void> {
  await expect.poll(seenBy(page), POLL).toEqual(expected)
}

for (const version of ['HTTP/1.1', 'HTTP/2'] as const) {
  test.describe(version, () => {
    test.use({ http2: version === 'HTTP/2' })
    // In HTTP/2 the server resets the stream.
    const serverGone = version === 'HTTP/2' ? 'server-reset' : 'server-closed'

    test.describe('an event stream', () => {
      test('is recorded while it runs', async ({ proxied, stage, mitm }) => {
        await listen(proxied)
        const stream = (await stage.next()).begin()
        stream.write('retry: 60000\n\nid: 1\ndata: one\n\n')
        expect(await mitm.waitForServerSentEvent(EVENTS)).toEqual({ id: '1', data: 'one' })
        const [exchange] = mitm.requests(EVENTS)
        expect(exchange?.response?.events()).toEqual([{ id: '1', data: 'one' }])
        await sees(proxied, 'open', 'message 1: one')

        const second = mitm.waitForServerSentEvent(EVENTS, ({ event }) => event === 'price')
        stream.write('event: price\ndata: 42')
        stream.write('\n\n')
        expect(await second).toEqual({ event: 'price', data: '42' })
        expect(exchange?.endReason).toBeUndefined()
        expect(await mitm.waitForIdle()).toBe(true)

        stream.end()
        await sees(proxied, 'open', 'message 1: one', 'error: connecting')
        expect(exchange?.endReason).toBe('complete')
        expect(exchange?.response?.events()).toHaveLength(2)
      })

      test('that the page hangs up is recorded as that', async ({ proxied, stage, mitm }) => {
        await listen(proxied)
        const stream = (await stage.next()).begin()
        stream.write('data: one\n\n')
        await sees(proxied, 'open', 'message: one')
        await proxied.close()
        await stream.closed
        const [exchange] = mitm.requests(EVENTS)
        await expect.poll(() => exchange?.endReason, POLL).toMatch(/^client-(?:closed|reset)$/)
        expect(exchange?.response?.events()).toEqual([{ data: 'one' }])
      })

      test('that the server breaks off is recorded as that', async ({ proxied, stage, mitm }) => {
        await listen(proxied)
        const stream = (await stage.next()).begin()
        stream.write('retry: 60000\ndata: one\n\ndata: tw')
        await sees(proxied, 'open', 'message: one')
        stream.breakOff()
        await sees(proxied, 'open', 'message: one', 'error: connecting')
        const [exchange] = mitm.requests(EVENTS)
        expect(exchange?.endReason).toBe(serverGone)
        expect(exchange?.response?.events()).toEqual([{ retry: 60_000, data: 'one' }])
      })

      test('is edited event by event, while it runs', async ({ proxied, stage, mitm }) => {
        mitm.get(EVENTS).rewriteEvents(async (event) => {
          if (event.data === 'two') return null
          if (event.data === 'three') return [event, { ...event, id: '3b', data: 'three and a bit' }]
          return event.data === 'four' ? { data: { n: 4 } } : undefined
        })
        await listen(proxied)
        const stream = (await stage.next()).begin()
        stream.write('id: 1\ndata: one\n\n')
        await sees(proxied, 'open', 'message 1: one')
        stream.write('id: 2\ndata: two\n\nid: 3\ndata: three\n\n')
        await sees(proxied, 'open', 'message 1: one', 'message 3: three', 'message 3b: three and a bit')
        stream.write('data: four\n\n')
        await expect.poll(async () => (await seenBy(proxied)()).at(-1), POLL).toBe('message 3b: {"n":4}')

        const [exchange] = mitm.requests(EVENTS)
        expect(exchange?.response?.events().map(({ data }) => data)).toEqual([
          'one',
          'three',
          'three and a bit',
          '{"n":4}',
        ])
        expect(exchange?.serverResponse?.events().map(({ data }) => data)).toEqual(['one', 'two', 'three', 'four'])
      })

      test('of a rule is what EventSource makes of it, and edited as well', async ({ proxied, stage, mitm }) => {
        const rule = mitm.get(EVENTS).sse([{ id: '1', data: 'one', retry: 20 }, 'two'], { keepOpen: false })
        rule.rewriteEvents((event) => ({ ...event, data: event.data.toUpperCase() })).once()
        await listen(proxied)
        await sees(proxied, 'open', 'message 1: ONE', 'message 1: TWO', 'error: connecting')
        // The rule was for once; the server is told where to go on.
        expect((await stage.next()).lastEventId).toBe('1')
      })

      test('is cut behind an event of a rule that changes it, and connects anew after retry', async ({
        proxied,
        stage,
        mitm,
      }) => {
        const rule = mitm.get(EVENTS).rewriteEvents(({ id, data }) => ({ id, data: `${data}!`, retry: 20 }))
        rule.fault(faults.closeAfterEvents({ count: 2 })).once()
        await listen(proxied)
        const stream = (await stage.next()).begin()
        stream.write('id: 1\ndata: one\n\nid: 2\ndata: two\n\nid: 3\ndata: three\n\n')
        await sees(proxied, 'open', 'message 1: one!', 'message 2: two!', 'error: connecting')
        expect((await stage.next()).lastEventId).toBe('2')
        await expect(mitm).toHaveRequested({ url: EVENTS, fault: 'closeAfterEvents' })
        expect(mitm.requests(EVENTS)[0]?.endReason).toBe('fault')
      })

      test('is stalled behind an event, and goes on when the fault is gone', async ({ proxied, stage, mitm }) => {
        const rule = mitm.get(EVENTS).fault(faults.stallAfterEvents({ count: 1 }))
        await listen(proxied)
        const stream = (await stage.next()).begin()
        stream.write('data: one\n\n')
        await sees(proxied, 'open', 'message: one')
        stream.write('data: two\n\n')
        await expect(mitm).toHaveRequested({ url: EVENTS, fault: 'stallAfterEvents' })
        expect(await seenBy(proxied)()).toEqual(['open', 'message: one'])
        rule.remove()
        await sees(proxied, 'open', 'message: one', 'message: two')
      })

      test('that answers 204 or 503 by a rule is given up', async ({ proxied, stage, mitm }) => {
        for (const status of [204, 503]) {
          mitm.get(EVENTS).respond(status).once()
          await listen(proxied)
          await sees(proxied, 'error: closed')
        }
        mitm.get(EVENTS).fault(faults.wrongContentType()).once()
        await listen(proxied)
        ;(await stage.next()).begin().write('data: one\n\n')
        await sees(proxied, 'error: closed')
        await expect(mitm).toHaveRequestedTimes(EVENTS, 3)
      })
    })

    test.describe('a streamed response', () => {
      test('is recorded while it runs', async ({ proxied, stage, mitm }) => {
        await readPieces(proxied)
        const stream = (await stage.next()).begin(200, { 'content-type': 'text/plain' })
        const { response } = await mitm.waitForResponse(STREAM)
        stream.write('one')
        await sees(proxied, 'status 200', 'one')
        expect([response?.body.toString(), response?.isComplete]).toEqual(['one', false])
        stream.end('two')
        await sees(proxied, 'status 200', 'one', 'two', 'end')
        expect([response?.body.toString(), response?.isComplete]).toEqual(['onetwo', true])
      })
    })

    test.describe('a long poll', () => {
      test('is in flight until it is answered', async ({ proxied, stage, mitm }) => {
        await readPieces(proxied)
        const stream = await stage.next()
        const exchange = await mitm.waitForRequest(STREAM)
        expect(await mitm.waitForIdle({ timeoutMs: 300 })).toBe(false)
        expect([exchange.request.isComplete, exchange.response, exchange.endReason]).toEqual([
          true,
          undefined,
          undefined,
        ])

        stream.begin(200, { 'content-type': 'text/plain' }).end('news')
        await sees(proxied, 'status 200', 'news', 'end')
        expect(await mitm.waitForIdle()).toBe(true)
        expect([exchange.response?.text(), exchange.endReason]).toEqual(['news', 'complete'])
        expect(exchange.timings.responseStartMs).toBeGreaterThan(300)
      })

      const ways: Readonly<Record<string, (page: Page) => Promise<unknown>>> = {
        'a page that is closed': (page) => page.close(),
        'a page that goes elsewhere': (page) => page.goto('about:blank'),
        'a context that is closed': (page) => page.context().close(),
        'a page that aborts it': (page) => page.evaluate(() => (Reflect.get(globalThis, 'abort') as () => void)()),
      }
      for (const [who, leave] of Object.entries(ways)) {
        test(`is abandoned by ${who}`, async ({ proxied, stage, mitm }) => {
          await proxied.evaluate(() => {
            const controller = new AbortController()
            Reflect.set(globalThis, 'abort', () => controller.abort())
            fetch('/stream', { signal: controller.signal }).catch(() => undefined)
          })
          const stream = await stage.next()
          await leave(proxied)
          await stream.closed
          const exchange = await mitm.waitForRequest(STREAM)
          await expect.poll(() => exchange.endReason, POLL).toMatch(/^client-(?:closed|reset)$/)
          expect([exchange.request.isComplete, exchange.response]).toEqual([true, undefined])
          expect(exchange.timings.endMs).toBeGreaterThan(0)
        })
      }
    })
  })
}
