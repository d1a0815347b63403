/** Streams reach the page as they do without the mitm: piece by piece, with the same ends, and the same way to connect anew. */
import { constants, createGzip } from 'node:zlib'
import type { Page } from '@playwright/test'
import { expect } from 'playwright-mitm'
import { hangUp, listen, readPieces, seenBy, test } from './support/streams.ts'
import type { Stage } from './support/streams.ts'

const POLL = { intervals: [10] }

/** One behaviour: what the page is to see, whichever way it reaches the site. */
interface Row {
  readonly what: string
  run(page: Page, stage: Stage): Promise<void>
}

const ROWS: readonly Row[] = [
  {
    what: 'fetch gets each piece before the server sends the next one',
    async run(page, stage) {
      await readPieces(page)
      const stream = (await stage.next()).begin(200, { 'content-type': 'text/plain' })
      await sees(page, 'status 200')
      stream.write('one')
      await sees(page, 'status 200', 'one')
      stream.write('zwölf')
      await sees(page, 'status 200', 'one', 'zwölf')
      stream.end()
      await sees(page, 'status 200', 'one', 'zwölf', 'end')
    },
  },
  {
    what: 'fetch gets pieces of a body with a length, too',
    async run(page, stage) {
      await readPieces(page)
      const stream = (await stage.next()).begin(200, { 'content-type': 'text/plain', 'content-length': '6' })
      stream.write('one')
      await sees(page, 'status 200', 'one')
      stream.end('two')
      await sees(page, 'status 200', 'one', 'two', 'end')
    },
  },
  {
    what: 'fetch gets pieces of a body in gzip as far as each was flushed',
    async run(page, stage) {
      await readPieces(page)
      const stream = await stage.next()
      stream.begin(200, { 'content-type': 'text/plain', 'content-encoding': 'gzip' })
      const gzip = createGzip({ flush: constants.Z_SYNC_FLUSH })
      gzip.pipe(stream.response)
      gzip.write('one')
      await sees(page, 'status 200', 'one')
      gzip.write('two')
      await sees(page, 'status 200', 'one', 'two')
      gzip.end()
      await sees(page, 'status 200', 'one', 'two', 'end')
    },
  },
  {
    what: 'fetch is told of a body that breaks off',
    async run(page, stage) {
      await readPieces(page)
      const stream = (await stage.next()).begin()
      stream.write('one')
      await sees(page, 'status 200', 'one')
      stream.breakOff()
      await sees(page, 'status 200', 'one', 'TypeError: network error')
    },
  },
  {
    what: 'fetch is told of a connection that is reset',
    async run(page, stage) {
      await readPieces(page)
      const stream = (await stage.next()).begin()
      stream.write('one')
      await sees(page, 'status 200', 'one')
      stream.reset()
      await sees(page, 'status 200', 'one', 'TypeError: network error')
    },
  },
  {
    what: 'the server learns that a page has given a response up',
    async run(page, stage) {
      await readPieces(page)
      const stream = (await stage.next()).begin()
      stream.write('one')
      await sees(page, 'status 200', 'one')
      await page.reload()
      await stream.closed
    },
  },
  {
    what: 'EventSource gets each event before the server sends the next one',
    async run(page, stage) {
      await listen(page, '/events', ['message', 'price'])
      const stream = (await stage.next()).begin()
      await sees(page, 'open')
      stream.write(': hello\n\ndata: one\n\n')
      await sees(page, 'open', 'message: one')
      stream.write('id: 7\nevent: price\ndata: 42\ndata: €\r\n\r')
      await sees(page, 'open', 'message: one', 'price 7: 42\n€')
      stream.write('\ndata\n\n')
      await sees(page, 'open', 'message: one', 'price 7: 42\n€', 'message 7: ')
    },
  },
  {
    what: 'EventSource connects anew when a stream ends, and says which event was its last',
    async run(page, stage) {
      await listen(page)
      const first = (await stage.next()).begin()
      expect(first.lastEventId).toBeUndefined()
      first.end('retry: 20\nid: 1\ndata: one\n\n')
      await sees(page, 'open', 'message 1: one', 'error: connecting')
      const second = (await stage.next()).begin()
      expect(second.lastEventId).toBe('1')
      second.end('id\ndata: two\n\n')
      await sees(page, 'open', 'message 1: one', 'error: connecting', 'open', 'message: two', 'error: connecting')
      expect((await stage.next()).lastEventId).toBeUndefined()
    },
  },
  {
    what: 'EventSource connects anew when a stream breaks off, and discards an event that has not come whole',
    async run(page, stage) {
      await listen(page)
      const first = (await stage.next()).begin()
      first.write('retry: 20\nid: 1\ndata: one\n\nid: 2\ndata: tw')
      await sees(page, 'open', 'message 1: one')
      first.breakOff()
      await sees(page, 'open', 'message 1: one', 'error: connecting')
      const second = (await stage.next()).begin()
      expect(second.lastEventId).toBe('1')
      second.write('data: two\n\n')
      await sees(page, 'open', 'message 1: one', 'error: connecting', 'open', 'message 1: two')
    },
  },
  {
    what: 'EventSource connects anew when its connection is reset',
    async run(page, stage) {
      await listen(page)
      const first = (await stage.next()).begin()
      first.write('retry: 20\nid: 1\ndata: one\n\n')
      await sees(page, 'open', 'message 1: one')
      first.reset()
      await sees(page, 'open', 'message 1: one', 'error: connecting')
      expect((await stage.next()).lastEventId).toBe('1')
    },
  },
  {
    what: 'EventSource connects anew when a stream ends in the midst of an event, which it discards',
    async run(page, stage) {
      await listen(page)
      const first = (await stage.next()).begin()
      first.end('retry: 20\n\nid: 2\ndata: two\n')
      await sees(page, 'open', 'error: connecting')
      const second = await stage.next()
      expect(second.lastEventId).toBeUndefined()
      await hangUp(page)
      await second.closed
    },
  },
  {
    what: 'EventSource waits as long as the server says',
    async run(page, stage) {
      await listen(page)
      const first = (await stage.next()).begin()
      first.write('retry: 700\n\ndata: one\n\n')
      await sees(page, 'open', 'message: one')
      const startMs = performance.now()
      first.end()
      await stage.next()
      const tookMs = performance.now() - startMs
      // Chromium may wait longer, and its timers begin a little before the end has come to it.
      expect(tookMs).toBeGreaterThan(600)
      expect(tookMs).toBeLessThan(2500)
    },
  },
  {
    what: 'EventSource connects anew after its default time where there was no response',
    async run(page, stage) {
      await listen(page)
      const first = await stage.next()
      first.breakOff()
      // On the connection that the page came by: in HTTP/1, Chromium sends it again by itself.
      const again = first.isHttp2 ? first : await stage.next()
      const startMs = performance.now()
      again.breakOff()
      await sees(page, 'error: connecting')
      const second = (await stage.next()).begin()
      expect(performance.now() - startMs).toBeGreaterThan(2500)
      second.write('data: one\n\n')
      await sees(page, 'error: connecting', 'open', 'message: one')
    },
  },
  ...[
    { status: 204, headers: {} },
    { status: 500, headers: { 'content-type': 'text/event-stream' } },
    { status: 503, headers: { 'content-type': 'text/event-stream', 'retry-after': '1' } },
    { status: 200, headers: { 'content-type': 'text/plain' } },
    { status: 200, headers: {} },
  ].map(({ status, headers }): Row => {
    const fields = JSON.stringify(headers)
    return {
      what: `EventSource gives up after ${status} with ${fields}`,
      async run(page, stage) {
        await listen(page)
        const stream = await stage.next()
        stream.begin(status, headers).end(status === 204 ? undefined : 'retry: 1\ndata: one\n\n')
        await sees(page, 'error: closed')
        // Long enough for one that would try again after a millisecond.
        expect(await page.evaluate(async () => (await fetch('/after')).text())).toBe('all is well')
        expect(stage.count).toBe(1)
      },
    }
  }),
]

for (const version of ['HTTP/1.1', 'HTTP/2'] as const) {
  test.describe(version, () => {
    test.use({ http2: version === 'HTTP/2' })

    for (const { what, run } of ROWS) {
      test(`${what}, without the mitm`, async ({ direct, stage }) => {
        await demandVersion(direct, version)
        await run(direct, stage)
      })

      test(`${what}, through the mitm`, async ({ proxied, stage, mitm }) => {
        await demandVersion(proxied, version)
        await run(proxied, stage)
        expect(mitm.errors).toEqual([])
      })

      test(`${what}, through the mitm with a rule for the site`, async ({ mitm, page, stage }) => {
        // In HTTP/2 nothing is relayed as it is where a rule could touch it.
        mitm.when({ host: 'app.test', headers: { 'x-never': 'sent' } }).rewriteResponse({ status: 500 })
        await page.goto('https://app.test/')
        await demandVersion(page, version)
        await run(page, stage)
        expect(mitm.errors).toEqual([])
      })
    }
  })
}

/** Not a test of HTTP/1.1 by another name. */
async function demandVersion(page: Page, version: string): Promise<void> {
  const protocol = await page.evaluate(`performance.getEntriesByType('navigation')[0].nextHopProtocol`)
  expect(protocol).toBe(version === 'HTTP/2' ? 'h2' : 'http/1.1')
}

/** Waits until the page has seen this, and nothing else. */
async function sees(page: Page, ...expected: readonly string[]): Promise<void> {
  await expect.poll(seenBy(page), POLL).toEqual(expected)
}
