/** What relative paths of handlers are resolved against. */
import type { Exchange } from '../exchange.ts'

/**
 * The origin of the page that made a request, as far as the request says so; else `baseURL`. A page that is being loaded
 * is its own origin.
 *
 * @param baseURL - Where the request does not tell.
 */
export function baseUrlOf({ request, source }: Exchange, baseURL: string | undefined): string | undefined {
  const own = originOf(request.url)
  const isNavigation =
    request.header('sec-fetch-mode') === 'navigate' ||
    (request.header('sec-fetch-mode') === undefined && request.header('upgrade-insecure-requests') === '1')
  if (isNavigation) return own
  const told = originOf(request.header('origin')) ?? originOf(request.header('referer'))
  if (told !== undefined) return told
  // With a `Referrer-Policy` of `no-referrer` this is all that is left.
  if (request.header('sec-fetch-site') === 'same-origin') return own
  return baseURL ?? (source === 'page' ? own : undefined)
}

function originOf(url: string | undefined): string | undefined {
  if (url === undefined || !URL.canParse(url)) return undefined
  const { protocol, host } = new URL(url)
  if (host === '') return undefined
  return `${protocol.replace(/^ws/, 'http')}//${host}`
}
