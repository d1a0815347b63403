/** What handlers answer with, as it goes on the wire. */
import { STATUS_CODES } from 'node:http'

import type { MitmError } from '../errors.ts'
import type { Field } from '../exchange.ts'
import type { RewrittenResponse } from '../middleware.ts'
import { octetsOf } from '../rules/answer-stream.ts'

/** Fields about the connection of whoever wrote them. */
const HOP_BY_HOP = /^(?:connection|keep-alive|proxy-connection|transfer-encoding|trailer|upgrade)$/
/** Fields about octets that `fetch` has decoded. */
const OF_THE_WIRE = /^content-(?:encoding|length)$/

/** Whether a handler says by it that the request is to go to its server. */
export function isPassthrough(response: Response): boolean {
  return response.status === 302 && response.headers.get('x-msw-intention') === 'passthrough'
}

/** Whether a handler says by it that there is no answer (`HttpResponse.error()`). */
export function isNetworkError(response: Response): boolean {
  return response.type === 'error' || response.status === 0
}

/**
 * A response as it is sent. Its body is sent as it comes; what a handler says of its coding must be so, but in a response
 * that comes from `fetch`, which has been decoded.
 *
 * @param blame - Makes the error for what its body fails with.
 * @throws TypeError when its body has been read already.
 */
export function rewrittenResponse(response: Response, blame: (cause: unknown) => MitmError): RewrittenResponse {
  const { status, statusText, headers, body } = response
  const isFetched = response.type !== 'default'
  // Several cookies stay several fields.
  const fields = [...headers].filter(
    ([name]): boolean => !HOP_BY_HOP.test(name) && !(isFetched && OF_THE_WIRE.test(name)),
  )
  return {
    status,
    statusText: statusText === '' ? (STATUS_CODES[status] ?? '') : statusText,
    fields: fields satisfies readonly Field[],
    body: body === null ? Buffer.alloc(0) : undefined,
    ...(body !== null && { stream: octetsOf(body, blame) }),
  }
}
