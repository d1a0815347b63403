/** What a page gets of the answers of rules: across origins, piece by piece, and before they come. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { get as requestBy } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import type { Page } from '@playwright/test'
import { expect } from 'playwright-mitm'
import { fetchIn as fetchAndTell } from './support/fetch-in.ts'
import type { PageRequest } from './support/fetch-in.ts'
import { test } from './support/site.ts'

/** Fetches in the page; a failure comes as the name of its error. */
const fetchIn = (page: Page, url: string, init: PageRequest = {}): Promise<string> =>
  fetchAndTell(page, url, init, 'name')

test.beforeEach(async ({ page }) => {
  await page.goto('https://app.test/')
})

test.describe('across origins, at a host that does not exist', () => {
  test('a simple request is answered, and all of its header fields can be read', async ({ page, mitm }) => {
    mitm.get('https://pay.test/price').json({ eur: 42 }, { headers: { 'x-request-id': '7' } })
    const answer = await page.evaluate(async () => {
      const response = await fetch('https://pay.test/price')
      return [await response.text(), response.headers.get('x-request-id')]
    })
    expect(answer).toEqual(['{"eur":42}', '7'])
  })

  test('a preflighted request is answered, and its preflight is no use of the rule', async ({ page, mitm }) => {
    const rule = mitm.post('https://pay.test/charge').json({ id: 1 }, { status: 201 }).once()
    const init = { method: 'POST', body: '{}', headers: { 'content-type': 'application/json', 'x-token': 't' } }
    expect(await fetchIn(page, 'https://pay.test/charge', init)).toBe('201 {"id":1}')
    expect(rule.calls).toBe(1)
    await expect(mitm).toHaveRequestedTimes({ method: 'OPTIONS', url: 'https://pay.test/charge', status: 204 }, 1)
  })

  test('a request with credentials is answered', async ({ page, mitm }) => {
    mitm.put('https://pay.test/cart').respond(200, 'kept')
    expect(await fetchIn(page, 'https://pay.test/cart', { method: 'PUT', credentials: 'include' })).toBe('200 kept')
  })

  test('events, streams and redirects are shared too', async ({ page, mitm }) => {
    mitm.get('https://pay.test/events').sse(['one'])
    mitm.get('https://pay.test/stream').respond(() => new Response('streamed'))
    mitm.get('https://pay.test/old').redirect('/stream')
    expect(await fetchIn(page, 'https://pay.test/events')).toBe('200 data: one\n\n')
    expect(await fetchIn(page, 'https://pay.test/old')).toBe('200 streamed')
  })

  test('with cors(false) the browser refuses, the request and the preflight', async ({ page, mitm }) => {
    mitm.when('https://pay.test/**').json({}).cors(false)
    expect(await fetchIn(page, 'https://pay.test/price')).toBe('TypeError')
    expect(await fetchIn(page, 'https://pay.test/price', { method: 'PUT' })).toBe('TypeError')
    await expect(mitm).not.toHaveRequested({ method: 'PUT' })
  })

  test('with cors() the browser goes by what it says', async ({ page, mitm }) => {
    mitm
      .when('https://pay.test/all')
      .respond(200, 'all')
      .cors({ origin: '*', methods: ['PUT'] })
    mitm.when('https://pay.test/other').respond(200, 'other').cors({ origin: 'https://other.test' })
    expect(await fetchIn(page, 'https://pay.test/all', { method: 'PUT' })).toBe('200 all')
    expect(await fetchIn(page, 'https://pay.test/all', { method: 'DELETE' })).toBe('TypeError')
    expect(await fetchIn(page, 'https://pay.test/all', { credentials: 'include' })).toBe('TypeError')
    expect(await fetchIn(page, 'https://pay.test/other')).toBe('TypeError')
  })
})

test('server-sent events come as they happen, with type, id and lines', async ({ page, mitm }) => {
  let goOn = (): void => undefined
  const clicked = new Promise<void>((resolve) => {
    goOn = resolve
  })
  mitm.get('https://app.test/events').sse(
    async function* events() {
      yield 'first\nof two lines'
      await clicked
      yield { event: 'price', id: '7', data: { eur: 1 } }
    },
    { keepOpen: true },
  )
  await page.evaluate(() => {
    const seen: string[] = []
    Object.assign(globalThis, { seen })
    const source = new EventSource('/events')
    source.addEventListener('message', ({ data }) => seen.push(String(data)))
    source.addEventListener('price', (event) => {
      const { data, lastEventId } = event as MessageEvent
      seen.push(`${lastEventId} ${String(data)}`)
    })
  })
  const seen = (): Promise<unknown> => page.evaluate('seen')
  await expect.poll(seen).toEqual(['first\nof two lines'])
  goOn()
  await expect.poll(seen).toEqual(['first\nof two lines', '7 {"eur":1}'])
})

test('an EventSource that is closed ends the exchange and the generator', async ({ page, mitm }) => {
  let isClosed = false
  mitm.get('https://app.test/events').sse(async function* events() {
    try {
      for (;;) {
        yield 'tick'
        await new Promise((resolve) => {
          setTimeout(resolve, 20)
        })
      }
    } finally {
      isClosed = true
    }
  })
  await page.evaluate(
    `new Promise((resolve) => {
      const source = new EventSource('/events')
      source.onmessage = () => resolve(source.close())
    })`,
  )
  await expect.poll(() => isClosed).toBe(true)
  await expect.poll(() => mitm.requests('https://app.test/events')[0]?.endReason).toMatch(/^client-/)
})

test('a stream is read in the page chunk by chunk', async ({ page, mitm }) => {
  let goOn = (): void => undefined
  const asked = new Promise<void>((resolve) => {
    goOn = resolve
  })
  mitm.get('https://app.test/stream').respond(
    200,
    (async function* body() {
      yield 'first'
      await asked
      yield 'second'
    })(),
  )
  mitm.post('https://app.test/go-on').respond(() => {
    goOn()
    return { status: 204 }
  })
  const chunks = await page.evaluate(async () => {
    const { body } = await fetch('/stream')
    const reader = body?.pipeThrough(new TextDecoderStream()).getReader()
    const first = await reader?.read()
    await fetch('/go-on', { method: 'POST' })
    const second = await reader?.read()
    return [first?.value, second?.value, (await reader?.read())?.done]
  })
  expect(chunks).toEqual(['first', 'second', true])
})

test('a stream that fails half way fails in the page', async ({ page, mitm, site }) => {
  mitm.get('https://app.test/bad').respond(
    200,
    (async function* body() {
      yield 'half'
      throw new Error('ouch')
    })(),
  )
  expect(await fetchIn(page, 'https://app.test/bad')).toBe('TypeError')
  await expect.poll(() => mitm.errors[0]?.message).toContain('answers.spec.ts')
  expect(site.arrivals.map(({ url }) => url)).not.toContain('/bad')
  mitm.reset() // the test would fail for that error
})

test('the page of the server is changed while it streams', async ({ page, mitm }) => {
  mitm.get('https://app.test/').transformResponse(
    () =>
      new TransformStream({
        transform: (chunk, controller) =>
          controller.enqueue(Buffer.from(Buffer.from(chunk).toString().replace('Hello', 'Changed'))),
      }),
  )
  await page.goto('https://app.test/')
  await expect(page.locator('h1')).toHaveText('Changed')
})

test('a redirect leads the page elsewhere, with its method or without', async ({ page, mitm }) => {
  mitm.get('https://app.test/old').redirect('https://app.test/', 301)
  await page.goto('https://app.test/old')
  expect(page.url()).toBe('https://app.test/')
  mitm.post('https://app.test/form').redirect('/done', 307)
  mitm.when('https://app.test/done').respond(({ request }) => ({ body: `${request.method} ${request.text()}` }))
  expect(await fetchIn(page, '/form', { method: 'POST', body: 'kept' })).toBe('200 POST kept')
})

test('Early Hints come before the page', async ({ page, mitm }) => {
  mitm.get('https://app.test/hinted').earlyHints('</style.css>; rel=preload; as=style').respond(200, '<h1>Hinted</h1>')
  await page.goto('https://app.test/hinted')
  await expect(page.locator('h1')).toHaveText('Hinted')
  expect(mitm.requests('https://app.test/hinted')[0]?.interim.map(({ status }) => status)).toEqual([103])
})

test('a file is the page', async ({ page, mitm }) => {
  const folder = await mkdtemp(join(tmpdir(), 'answers-'))
  try {
    await writeFile(join(folder, 'page.html'), '<h1>Größe</h1><script src="script.js"></script>')
    await writeFile(join(folder, 'script.js'), 'document.title = "ran"')
    mitm.get('https://app.test/page').respond(200, { path: join(folder, 'page.html') })
    mitm.get('https://app.test/script.js').respond({ path: join(folder, 'script.js') })
    await page.goto('https://app.test/page')
    await expect(page).toHaveTitle('ran')
    await expect(page.locator('h1')).toHaveText('Größe')
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('trailers reach a client of Node', async ({ mitm }) => {
  mitm.get('http://pay.test/sum').respond({ body: 'text', trailers: { 'x-sum': '4' } })
  const trailers = await new Promise((resolve, reject) => {
    requestBy({ port: mitm.port, path: 'http://pay.test/sum', headers: { host: 'pay.test' } }, (response) => {
      response.resume()
      response.once('end', () => resolve(response.trailers))
    }).once('error', reject)
  })
  expect(trailers).toEqual({ 'x-sum': '4' })
})

test('a delay that the page does not wait for ends with it', async ({ page, mitm }) => {
  mitm.get('https://app.test/slow').delay(60_000).respond(200)
  expect(
    await page.evaluate(() =>
      fetch('/slow', { signal: AbortSignal.timeout(200) }).then(
        () => 'answered',
        (error: unknown) => (error as Error).name,
      ),
    ),
  ).toBe('TimeoutError')
  await expect.poll(() => mitm.requests('https://app.test/slow')[0]?.endReason).toBe('client-closed')
})
