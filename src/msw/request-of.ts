/** Requests as handlers are given them: those of the Fetch standard. */
import { MitmError } from '../errors.ts'
import type { Exchange } from '../exchange.ts'

/** Methods that no `Request` can have (Fetch standard, forbidden methods). */
const FORBIDDEN_METHOD = /^(?:CONNECT|TRACE|TRACK)$/i

/** Whether an exchange can be shown to handlers of requests at all. */
export function isRequestable({ request }: Exchange): boolean {
  return !FORBIDDEN_METHOD.test(request.method) && /^https?:/i.test(request.url)
}

/**
 * The request of an exchange, which has come whole or is too large to be held. A body that `GET` and `HEAD` have against
 * all custom is left out; reading one that is too large fails.
 *
 * @param signal - Aborts when the client has gone away.
 * @param method - @defaultValue its own
 */
export function requestOf({ request }: Exchange, signal: AbortSignal, method: string = request.method): Request {
  const url = new URL(request.url)
  // No `Request` may have them, and handlers are not asked about them.
  url.username = ''
  url.password = ''
  const isBodiless = /^(?:GET|HEAD)$/i.test(method) || request.bodySize === 0
  return new Request(url, {
    method,
    headers: headersOf(request),
    signal,
    // A browser follows the redirects of a page by itself; of everything else, `fetch(bypass(request))` gives the last response.
    redirect: request.header('sec-fetch-mode') === 'navigate' ? 'manual' : 'follow',
    ...(!isBodiless && { body: bodyOf(request), duplex: 'half' as const }),
  })
}

function bodyOf(request: Exchange['request']): Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> {
  if (request.isComplete && !request.isBodyTruncated) return new Uint8Array(request.body)
  return new ReadableStream({
    pull(controller) {
      const text = `Cannot read the body of ${request.method} ${request.url} in a handler: it is larger than maxBodyBytes`
      controller.error(new MitmError('MITM_BODY_TOO_LARGE', text, { side: 'client' }))
    },
  })
}

function headersOf({ fields }: Exchange['request']): Headers {
  const headers = new Headers()
  for (const [name, value] of fields) {
    try {
      headers.append(name, value)
    } catch {
      // Pseudo fields of HTTP/2, and values that may pass on the wire but not in `Headers`.
    }
  }
  return headers
}
