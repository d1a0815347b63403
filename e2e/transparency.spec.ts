/** What no rule touches is the same with the mitm as without it, for the page, for the test, and for the server. */
import type { Browser, Page } from '@playwright/test'
import { expect } from 'playwright-mitm'
import { startOrigin } from './support/origin.ts'
import type { Answer } from './support/origin.ts'
import { test } from './support/site.ts'

const PAGE = '<!doctype html><link rel="icon" href="data:,"><title>Same</title>'

type Headers = { name: string; value: string }[]

/** Answers with headers that a proxy is tempted to change. */
const odd: Answer = (_, response) => {
  response.sendDate = false
  response
    .writeHead(
      203,
      'Fine By Me',
      [
        ['X-UPPER', 'Case Stays'],
        ['x-twice', 'one'],
        ['X-Twice', 'two'],
        ['Set-Cookie', 'a=1'],
        ['Set-Cookie', 'b=2; Path=/'],
        ['Via', '1.0 somebody'],
        ['Content-Type', 'text/html'],
        ['Content-Length', String(PAGE.length)],
      ].flat(),
    )
    .end(PAGE)
}

test('the test sees the same response with and without the mitm', async ({ page, browser }) => {
  await using origin = await startOrigin({ answers: { '/': odd } })
  const url = `http://127.0.0.1:${origin.port}/`

  const direct = await withoutMitm(browser, async (plain) => seenBy(plain, url))
  expect(await seenBy(page, url)).toEqual(direct)
  // Not a test that compares nothing with nothing.
  expect(direct.headers).toContainEqual({ name: 'X-UPPER', value: 'Case Stays' })
})

test('the server sees the same request with and without the mitm', async ({ page, browser }) => {
  await using origin = await startOrigin({ answers: { '/': PAGE, '/item': 'ok' } })
  const url = `http://127.0.0.1:${origin.port}/`
  const visit = async (visitor: Page): Promise<void> => {
    await visitor.goto(url)
    await visitor.evaluate(() => fetch('/item?q=ä b', { method: 'POST', headers: { 'X-Odd': 'Yes' }, body: 'body' }))
  }

  await withoutMitm(browser, visit)
  await visit(page)
  const [directPage, directItem, mitmPage, mitmItem] = origin.arrivals
  expect(origin.arrivals).toHaveLength(4)
  expect(mitmPage).toEqual(directPage)
  expect(mitmItem).toEqual(directItem)
})

test('connections are kept alive', async ({ page, site, mitm }) => {
  await page.goto('https://app.test/')
  for (const index of [1, 2, 3]) {
    // One after the other: at once, a browser opens several.
    await page.evaluate((number) => fetch(`/?${number}`).then((response) => response.text()), index)
  }
  expect(site.arrivals).toHaveLength(4)
  expect(site.connectionCount).toBe(1)
  expect(new Set(mitm.requests('https://app.test/**').map(({ connection }) => connection.id)).size).toBe(1)
})

async function withoutMitm<T>(browser: Browser, action: (page: Page) => Promise<T>): Promise<T> {
  // An address that the browser may reach past this proxy, which does not exist.
  const context = await browser.newContext({ proxy: { server: 'http://127.0.0.1:9', bypass: '127.0.0.1' } })
  try {
    return await action(await context.newPage())
  } finally {
    await context.close()
  }
}

async function seenBy(
  page: Page,
  url: string,
): Promise<Record<'headers' | 'requestHeaders', Headers> & Record<string, unknown>> {
  const response = await page.goto(url)
  if (!response) throw new Error('The page was not loaded')
  return {
    status: response.status(),
    statusText: response.statusText(),
    headers: await response.headersArray(),
    requestHeaders: await response.request().headersArray(),
    text: await response.text(),
    sizes: await response.request().sizes(),
    httpVersion: await response.httpVersion(),
    cookies: await page.context().cookies(),
  }
}
