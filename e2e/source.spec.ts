/** Who made a request: the page with all that belongs to it, Playwright's `request`, a server, or the test itself. */
import { connect } from 'node:net'
import { once } from 'node:events'
import type { APIRequestContext, Page } from '@playwright/test'
import { expect } from 'playwright-mitm'
import type { TestMitm } from 'playwright-mitm'
import { startOrigin } from './support/origin.ts'
import type { Answer } from './support/origin.ts'
import { test } from './support/site.ts'

const PAGE =
  '<!doctype html><link rel="icon" href="data:,"><link rel="stylesheet" href="/page.css"><script src="/page.js"></script>'
/** As text, because it is a program for browsers. */
const SCRIPT = `
  const event = (target, name) => new Promise((resolve) => target.addEventListener(name, resolve))
  async function sendAll() {
    await fetch('/page?fetch')
    await fetch('/page?post', { method: 'POST', body: 'a', headers: { 'user-agent': 'own', 'x-own': '1' } })
    await fetch('https://api.test/cors/page', { method: 'PUT', headers: { 'x-own': '1' } })
    const xhr = new XMLHttpRequest()
    xhr.open('GET', '/page?xhr')
    xhr.send()
    await event(xhr, 'loadend')
    await event(new Worker('/page-worker.js'), 'message')
    const source = new EventSource('/page?events')
    await event(source, 'error')
    source.close()
    await event(new WebSocket(location.origin.replace('http', 'ws') + '/page?socket'), 'error')
    navigator.sendBeacon('/page?beacon', 'b')
  }`
const ANSWERS: Readonly<Record<string, Answer>> = {
  '/': PAGE,
  '/page.css': '',
  '/page.js': SCRIPT,
  '/page': '{}',
  '/request': '{}',
  '/page-worker.js': "fetch('/page?worker').then(() => postMessage('done'))",
  '/cors/page': (_, response) => {
    const allow = { 'access-control-allow-origin': '*', 'access-control-allow-methods': '*' }
    response.writeHead(200, { ...allow, 'access-control-allow-headers': '*' }).end('{}')
  },
}
test.use({ answers: ANSWERS })

/** Everything that a page can send. */
async function browse(page: Page, origin: string): Promise<void> {
  await page.goto(`${origin}/`)
  await page.evaluate('sendAll()')
  await page.route('**/page?continued', (route) =>
    route.continue({ headers: { ...route.request().headers(), 'user-agent': 'changed' } }),
  )
  await page.evaluate("fetch('/page?continued')")
}

/** Everything that Playwright can send by itself. */
async function request(by: APIRequestContext, origin: string): Promise<void> {
  await by.get(`${origin}/request`)
  await by.post(`${origin}/request?json`, { data: { a: 1 }, headers: { 'User-Agent': 'Mine', 'X-Own': '1' } })
  await by.post(`${origin}/request?form`, { form: { a: 1 } })
  await by.post(`${origin}/request?multipart`, { multipart: { a: '1' } })
  await by.fetch(`${origin}/request?host`, { method: 'DELETE', headers: { host: new URL(origin).host } })
}

async function expectSources(mitm: TestMitm): Promise<void> {
  await expect(mitm).toHaveRequested({ url: '**/page?beacon', source: 'page' })
  await mitm.waitForIdle()
  // Each thing that the page sends, and the preflight of one; and five of either kind of request.
  expect(mitm.requests({ source: 'page' })).toHaveLength(14)
  expect(mitm.requests({ source: 'page', method: 'OPTIONS' })).toHaveLength(1)
  expect(mitm.requests({ source: 'request' })).toHaveLength(10)
  const wrong = mitm.exchanges.filter(
    ({ request: { url }, source }) => source !== (new URL(url).pathname === '/request' ? 'request' : 'page'),
  )
  expect(wrong.map((exchange) => `${exchange.source}: ${exchange}`)).toEqual([])
}

test('the page and request are told apart over HTTPS', async ({ page, request: fixture, mitm }) => {
  await browse(page, 'https://app.test')
  await request(fixture, 'https://app.test')
  await request(page.request, 'https://app.test')
  await expectSources(mitm)
})

test('the page and request are told apart over HTTP', async ({ page, request: fixture, mitm }) => {
  await using plain = await startOrigin({ answers: ANSWERS })
  const origin = `http://127.0.0.1:${plain.port}`
  await browse(page, origin)
  await request(fixture, origin)
  await request(page.request, origin)
  await expectSources(mitm)
})

test('mitm.fetch is told from processes that use the proxy', async ({ mitm, site }) => {
  await mitm.fetch('https://app.test/request')
  const socket = connect(mitm.port, '127.0.0.1')
  mitm.get('http://app.test/server').respond(204)
  socket.write('GET http://app.test/server HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n')
  await once(socket.resume(), 'close')

  expect(mitm.exchanges.map(({ source }) => source)).toEqual(['node', 'server'])
  expect(site.arrivals[0]?.rawHeaders.join()).not.toContain('playwright-mitm')
})
