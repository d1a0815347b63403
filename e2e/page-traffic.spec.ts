/** All that a page causes passes through the mitm, also what Playwright's own routing does not see. */
import { expect } from 'playwright-mitm'
import { test } from './support/site.ts'

const CORS = {
  'access-control-allow-origin': 'https://app.test',
  'access-control-allow-methods': 'PUT',
  'access-control-allow-headers': 'x-token',
}

test('every hop of a redirect', async ({ page, mitm }) => {
  await page.goto('https://app.test/first')

  expect(page.url()).toBe('https://other.test/third')
  expect(mitm.exchanges.map(String)).toEqual([
    'GET https://app.test/first -> 302',
    'GET https://app.test/second -> 307',
    'GET https://other.test/third -> 200',
  ])
})

test('a hop in the middle can be mocked', async ({ page, mitm }) => {
  mitm.get('https://app.test/second').respond(302, undefined, { location: 'https://app.test/' })
  await page.goto('https://app.test/first')
  expect(page.url()).toBe('https://app.test/')
})

test('a CORS preflight, as the server answers it', async ({ page, mitm, site }) => {
  await page.goto('https://app.test/')
  const status = await page.evaluate(async () => {
    const response = await fetch('https://api.test/item', { method: 'PUT', headers: { 'x-token': 't' } })
    return response.status
  })

  expect(status).toBe(200)
  await expect(mitm).toHaveRequestedTimes({ method: 'OPTIONS', url: 'https://api.test/item', status: 204 }, 1)
  await expect(mitm).toHaveRequestedTimes({ method: 'PUT', url: 'https://api.test/item' }, 1)
  expect(site.arrivals.map(({ method }) => method)).toEqual(['GET', 'OPTIONS', 'PUT'])
})

test('a beacon that is sent as the page goes', async ({ page, mitm }) => {
  await page.goto('https://app.test/')
  await page.evaluate(`addEventListener('pagehide', () => navigator.sendBeacon('/beacon', 'bye'))`)
  await page.goto('https://other.test/')

  await expect(mitm).toHaveRequested({ method: 'POST', url: 'https://app.test/beacon', body: 'bye' })
})

test('what a shared worker fetches', async ({ page, mitm }) => {
  await page.goto('https://app.test/')
  const answer = await page.evaluate(`new Promise((resolve) => {
    const { port } = new SharedWorker('/shared.js')
    port.onmessage = (event) => resolve(event.data)
  })`)

  expect(answer).toBe('from the server')
  await expect(mitm).toHaveRequested('https://app.test/shared.js')
  await expect(mitm).toHaveRequested('https://app.test/data?by=shared')
})

test('a service worker, its script and what it fetches', async ({ page, mitm }) => {
  await page.goto('https://app.test/')
  await page.evaluate(
    `navigator.serviceWorker.register('/sw.js').then(() => navigator.serviceWorker.ready).then(() => {})`,
  )
  await page.reload()
  const answer = await page.evaluate(async () => (await fetch('/through-worker')).text())

  expect(answer).toBe('worker says: from the server')
  await expect(mitm).toHaveRequested('https://app.test/sw.js')
  await expect(mitm).toHaveRequested('https://app.test/data?by=service')
  await expect(mitm).not.toHaveRequested('https://app.test/through-worker')
})

test('an event stream, while it is open', async ({ page, mitm }) => {
  await page.goto('https://app.test/')
  const first = await page.evaluate(`new Promise((resolve) => {
    new EventSource('/events').onmessage = (event) => resolve(event.data)
  })`)

  expect(first).toBe('one')
  await expect(mitm).toHaveRequestedTimes({ url: 'https://app.test/events' }, 1)
  expect(mitm.requests('https://app.test/events')[0]?.endReason).toBeUndefined()
})

test('a download', async ({ page, mitm }) => {
  await page.goto('https://app.test/')
  const [download] = await Promise.all([page.waitForEvent('download'), page.evaluate(`location.href = '/report.csv'`)])
  const chunks: Buffer[] = []
  for await (const chunk of await download.createReadStream()) chunks.push(Buffer.from(chunk as Uint8Array))

  expect(Buffer.concat(chunks).toString()).toBe('a;b\n1;2\n')
  expect(mitm.requests('https://app.test/report.csv')[0]?.response?.text()).toBe('a;b\n1;2\n')
})

test.use({
  answers: {
    '/first': (_, response) => void response.writeHead(302, { location: '/second' }).end(),
    '/second': (_, response) => void response.writeHead(307, { location: 'https://other.test/third' }).end(),
    '/third': '<title>Third</title><link rel="icon" href="data:,">',
    '/item': (request, response) => void response.writeHead(request.method === 'OPTIONS' ? 204 : 200, CORS).end(),
    '/beacon': (_, response) => void response.writeHead(204).end(),
    '/data': 'from the server',
    '/shared.js': `onconnect = async ({ ports: [port] }) => {
      port.postMessage(await (await fetch('/data?by=shared')).text())
    }`,
    '/sw.js': `
      addEventListener('install', () => skipWaiting())
      addEventListener('activate', (event) => event.waitUntil(clients.claim()))
      addEventListener('fetch', (event) => {
        if (!event.request.url.endsWith('/through-worker')) return
        event.respondWith(fetch('/data?by=service').then(async (answer) => new Response('worker says: ' + await answer.text())))
      })`,
    '/events': (_, response) =>
      void response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: one\n\n'),
    '/report.csv': (_, response) =>
      void response
        .writeHead(200, { 'content-type': 'text/csv', 'content-disposition': 'attachment; filename="report.csv"' })
        .end('a;b\n1;2\n'),
  },
})
