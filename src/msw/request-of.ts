/** Requests as handlers are given them: those of the Fetch standard. */
import { MitmError } from '../errors.ts'
import type { Exchange, Field } from '../exchange.ts'

/** Methods that no `Request` can have. */
const FORBIDDEN_METHOD = /^(?:CONNECT|TRACE|TRACK)$/i

/** What MSW marks a request with that no handler is to be asked about (`bypass()`): in `accept`. */
const MARK = 'msw/passthrough'

/** Whether an exchange can be shown to handlers at all. */
export function isRequestable({ request }: Exchange): boolean {
  return !FORBIDDEN_METHOD.test(request.method) && /^(?:https?|wss?):/i.test(request.url)
}

/**
 * The request of an exchange, which has come whole or is too large to be held. A body that `GET` and `HEAD` have against
 * all custom is left out; reading one that is too large fails.
 *
 * @param signal - Aborts when the client has gone away.
 */
export function requestOf({ request }: Exchange, signal: AbortSignal, method: string = request.method): Request {
  const url = new URL(request.url)
  url.username = url.password = ''
  const isBodiless = /^(?:GET|HEAD)$/i.test(method) || request.bodySize === 0
  return new Request(url, {
    method,
    headers: headersOf(request.fields),
    signal,
    // The browser follows redirects itself; functions that fetch the real response expect to be given the last one.
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

function headersOf(fields: readonly Field[]): Headers {
  const headers = new Headers()
  for (const [name, value] of fields) {
    try {
      headers.append(name, value)
    } catch {
      // Pseudo fields, and values that may pass on the wire but not in `Headers`.
    }
  }
  return headers
}

/** Whether an application has marked its request as one that no handler is to be asked about. */
export function isMarked({ request }: Exchange): boolean {
  return request.header('accept')?.includes(MARK) === true
}

/** Whether a request that a handler sends is to go to the real server. */
export function isBypassed(request: Request): boolean {
  return request.headers.get('accept')?.includes(MARK) === true
}

/** The fields without the mark. */
export function withoutMark(fields: readonly Field[]): readonly Field[] {
  return fields.flatMap(([name, value]): Field[] => {
    if (!/^accept$/i.test(name) || !value.includes(MARK)) return [[name, value]]
    const rest = value
      .split(',')
      .map((each) => each.trim())
      .filter((each) => each !== '' && each !== MARK)
    return rest.length > 0 ? [[name, rest.join(', ')]] : []
  })
}
