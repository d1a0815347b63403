/** The responses in which a mitm tells clients of errors of its own. */
import { STATUS_CODES } from 'node:http'

import { MitmError } from '../../errors.ts'
import type { Exchange } from '../../exchange.ts'
import type { RewrittenResponse } from '../../middleware.ts'
import { authorityOf } from '../../protocol.ts'
import type { Destination } from '../../protocol.ts'

/** The field in which an answer of the mitm itself carries the code of its error. */
const ERROR_FIELD = 'x-playwright-mitm-error'

/** The response in which a mitm reports an error of its own to the client. */
export function errorResponse(status: number, error: MitmError): RewrittenResponse {
  return {
    status,
    statusText: STATUS_CODES[status] ?? '',
    fields: [
      ['content-type', 'text/plain; charset=utf-8'],
      ['cache-control', 'no-store'],
      [ERROR_FIELD, error.code],
    ],
    body: Buffer.from(`playwright-mitm: ${error.message}\n`),
  }
}

/** The status for an error met on the way to the server (RFC 9110 sections 15.6.3 and 15.6.5). */
export function statusFor(error: MitmError): number {
  switch (error.code) {
    case 'MITM_DNS_TIMEOUT':
    case 'MITM_DIAL_TIMEOUT':
    case 'MITM_UPSTREAM_PROXY_TIMEOUT':
    case 'MITM_SERVER_TLS_TIMEOUT':
    case 'MITM_RESPONSE_TIMEOUT':
      return 504
    case 'MITM_LOOP':
      return 508
    case 'MITM_RULE_FAILED':
    case 'MITM_MIDDLEWARE_FAILED':
    case 'MITM_INVALID_RULE':
      return 500
    case 'MITM_MALFORMED_HTTP':
      return 400
    case 'MITM_HEAD_TOO_LARGE':
      return 431
    default:
      return 502
  }
}

/** The response to a request that a WebSocket was to answer, and that cannot be one (RFC 6455 section 4.2.2). */
export function handshakeRefused({ request }: Exchange, problem: string): RewrittenResponse {
  return {
    status: 400,
    statusText: STATUS_CODES[400] ?? '',
    fields: [
      ['content-type', 'text/plain; charset=utf-8'],
      ['sec-websocket-version', '13'],
    ],
    body: Buffer.from(`playwright-mitm: Cannot open the WebSocket ${request.url}: ${problem}\n`),
  }
}

/** The error for a server that has not begun to answer in time. */
export function noResponse(exchange: Exchange, destination: Destination, timeoutMs: number | undefined): MitmError {
  const { method, url } = exchange.request
  const text = `No response to ${method} ${url}: ${exchange.serverAddress} has had the request for ${timeoutMs} ms`
  return new MitmError('MITM_RESPONSE_TIMEOUT', text, { side: 'server', authority: authorityOf(destination) })
}
