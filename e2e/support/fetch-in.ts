/** `fetch` of a page, and what it sees of it. */
import type { Page } from '@playwright/test'

/** What of a request a test says. */
export interface PageRequest {
  method?: string
  body?: string
  headers?: Record<string, string>
  credentials?: 'include'
}

/** Fetches in the page: status and text. A failure comes as `told` of its error. */
export function fetchIn(page: Page, url: string, init: PageRequest, told: 'name' | 'message'): Promise<string> {
  return page.evaluate(
    async ([address, options, part]) => {
      try {
        const response = await fetch(address, options)
        return `${response.status} ${await response.text()}`
      } catch (error) {
        return (error as Error)[part] // A boundary: fetch throws errors.
      }
    },
    [url, init, told] as const,
  )
}
