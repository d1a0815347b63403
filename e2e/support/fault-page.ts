/** What Chromium reports of a fault. */
import type { Page } from '@playwright/test'
import { judge } from './fault-case.ts'
import type { FaultCase, Seen } from './fault-case.ts'
import type { Asking } from './fault-clients.ts'
import { HOST, urlOf } from './fault-origin.ts'

/** What the page itself gets to know. */
interface PageOutcome {
  readonly status: number
  readonly text: string
  /** Where it was rejected. */
  readonly failed: 'fetch' | 'body' | undefined
  readonly elapsedMs: number
}

/** Loads a page from which to ask. */
export async function openPage(page: Page): Promise<void> {
  await page.goto(`https://${HOST}/`)
}

/** Asks with the page's `fetch`. What failed is told in the browser's own code, which a page never sees. */
export function askByPage(page: Page, row: FaultCase): Asking {
  const { href: url } = urlOf(row)
  // Also emitted for what followed from redirects.
  const codes: string[] = []
  page.on('requestfailed', (request) => codes.push(request.failure()?.errorText ?? ''))
  const ask = async (): Promise<Seen> => {
    const { status, text, failed, elapsedMs } = await page.evaluate(fetchIt, { url, uploads: row.uploads ?? 0 })
    if (!failed) return judge(status, text, elapsedMs, row.lateMs)
    // The browser may tell Playwright later than the page.
    if (codes.length === 0) await page.waitForEvent('requestfailed')
    return `${failed === 'body' ? 'body: ' : ''}${codes.at(-1)?.replace(/^net::/, '')}`
  }
  const seen = ask().catch((error: unknown) => String(error))
  return { hasHead: () => page.evaluate(() => Reflect.get(globalThis, 'hasHead') === true), seen }
}

/** Runs in the page. */
async function fetchIt({ url, uploads }: { url: string; uploads: number }): Promise<PageOutcome> {
  const startMs = performance.now()
  let status = 0
  Reflect.set(globalThis, 'hasHead', false)
  try {
    const response = await fetch(url, uploads > 0 ? { method: 'POST', body: 'u'.repeat(uploads) } : {})
    status = response.status
    Reflect.set(globalThis, 'hasHead', true)
    return { status, text: await response.text(), failed: undefined, elapsedMs: performance.now() - startMs }
  } catch {
    return { status, text: '', failed: status > 0 ? 'body' : 'fetch', elapsedMs: performance.now() - startMs }
  }
}
