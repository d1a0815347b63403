/** What handlers answer with, as it goes on the wire. */
import { STATUS_CODES } from 'node:http'

import type { MitmError } from '../errors.ts'
import type { RewrittenResponse } from '../middleware.ts'
import { octetsOf } from '../rules/answer-stream.ts'

/** Fields about the connection of whoever wrote them (RFC 9110 section 7.6.1). */
const HOP_BY_HOP = /^(?:connection|keep-alive|proxy-connection|transfer-encoding|trailer|upgrade)$/

/** Whether a value is a response, whichever copy of its class made it. */
export function isResponse(value: unknown): value is Response {
  if (typeof value !== 'object' || value === null || !('status' in value) || !('headers' in value)) return false
  const { status, headers } = value
  return typeof status === 'number' && typeof headers === 'object' && headers !== null && Symbol.iterator in headers
}

/** Whether a handler says by it that the request is to go to its server (`passthrough()`). */
export function isPassthrough(response: Response): boolean {
  return response.status === 302 && response.headers.get('x-msw-intention') === 'passthrough'
}

/** Whether a handler says by it that there is no answer (`HttpResponse.error()`). */
export function isNetworkError(response: Response): boolean {
  return response.type === 'error' || response.status === 0
}

/**
 * A response as it is sent: its body as it comes, each cookie in a field of its own.
 *
 * @param blame - Makes the error for what its body fails with.
 * @throws TypeError when its body has been read already.
 */
export function rewrittenResponse(response: Response, blame: (cause: unknown) => MitmError): RewrittenResponse {
  const { status, statusText, headers, body } = response
  if (response.bodyUsed) throw new TypeError('the body of its response has been read already: return response.clone()')
  return {
    status,
    statusText: statusText === '' ? (STATUS_CODES[status] ?? '') : statusText,
    fields: [...headers].filter(([name]) => !HOP_BY_HOP.test(name)),
    body: body === null ? Buffer.alloc(0) : undefined,
    ...(body !== null && { stream: octetsOf(body, blame) }),
  }
}
