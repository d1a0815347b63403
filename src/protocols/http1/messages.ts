/** Octets for messages that the mitm writes itself: changed ones, answers, and reports of its own errors. */
import { STATUS_CODES } from 'node:http'

import type { Connection } from '../../connection.ts'
import { MitmError } from '../../errors.ts'
import type { MitmErrorDetails } from '../../errors.ts'
import type { Field, HttpRequest } from '../../exchange.ts'
import type { RewrittenRequest, RewrittenResponse } from '../../middleware.ts'
import type { Destination } from '../../protocol.ts'
import type { HeadFacts } from './facts.ts'
import { parseAuthority, parseTarget } from './head.ts'
import { withBodyLength, withChunkedBody, writeRequestHead, writeResponseHead } from './write.ts'

/** What a client that waits for permission to send its body is told (RFC 9110 section 10.1.1). */
export const CONTINUE: Buffer = Buffer.from('HTTP/1.1 100 Continue\r\n\r\n')

/** The field in which an answer of the mitm itself carries the code of its error. */
const ERROR_FIELD = 'x-playwright-mitm-error'

/**
 * Where a request outside of tunnels is for, by its target or its Host field.
 *
 * @throws {@link MitmError} `MITM_MALFORMED_HTTP` when neither says so.
 */
export function destinationOf(facts: Pick<HeadFacts, 'target' | 'host' | 'method'>, isTls: boolean): Destination {
  const target = parseTarget(facts.target, facts.method)
  if (target.form === 'absolute' && target.port > 0) {
    return { host: target.host, port: target.port, tls: target.scheme === 'https' || target.scheme === 'wss' }
  }
  const authority = target.form === 'origin' || target.form === 'asterisk' ? facts.host : undefined
  const parsed = authority === undefined ? undefined : parseAuthority(authority, isTls ? 443 : 80)
  if (parsed) return { ...parsed, tls: isTls }
  const text = `Cannot tell where ${JSON.stringify(`${facts.method} ${facts.target}`.slice(0, 200))} goes: its Host field is ${JSON.stringify(facts.host ?? null)}, expected a name, or an absolute URL as target`
  throw new MitmError('MITM_MALFORMED_HTTP', text, { side: 'client' })
}

/** The absolute URL of a request (RFC 9110 section 7.1). */
export function urlOf(
  facts: Pick<HeadFacts, 'target' | 'host' | 'method'>,
  destination: Destination,
  connection: Connection,
): string {
  const target = parseTarget(facts.target, facts.method)
  if (target.form === 'absolute') return facts.target
  const scheme = connection.clientTls ? 'https' : 'http'
  const origin = `${scheme}://${facts.host ?? hostOf(destination, scheme === 'https' ? 443 : 80)}`
  return target.form === 'origin' ? origin + facts.target : origin
}

/** Where a changed URL leads, when that is elsewhere than the original one. */
export function destinationOfUrl(changed: string, original: string): Destination | undefined {
  const url = new URL(changed)
  if (URL.canParse(original) && new URL(original).origin === url.origin) return undefined
  const tls = url.protocol === 'https:' || url.protocol === 'wss:'
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port) || (tls ? 443 : 80), tls }
}

/** Lets the Host field follow a URL that leads elsewhere, unless it was changed too. */
export function followHost(message: RewrittenRequest, originalUrl: string): RewrittenRequest {
  if (message.keepsHost) return message
  const { host } = new URL(message.url)
  const before = URL.canParse(originalUrl) ? new URL(originalUrl).host : undefined
  if (host === before) return message
  const fields = message.fields.map((field): Field =>
    /^host$/i.test(field[0]) && field[1] === before ? [field[0], host] : field,
  )
  return { ...message, fields }
}

function hostOf({ host, port }: Destination, defaultPort: number): string {
  const name = host.includes(':') ? `[${host}]` : host
  return port === defaultPort ? name : `${name}:${port}`
}

/** Head and body of a changed request whose body is known. */
export function requestOctets(request: RewrittenRequest, body: Buffer): Buffer {
  const hasLength = body.length > 0 || request.fields.some(([name]) => isLengthField(name))
  const fields = hasLength ? withBodyLength(request.fields, body.length) : request.fields
  return Buffer.concat([requestHead(request, fields), body])
}

/** Head of a changed request whose body streams on as it came. */
export function streamedRequestHead(request: RewrittenRequest, original: HttpRequest): Buffer {
  return requestHead(request, keepFraming(request.fields, original.fields))
}

/** Head of a changed request whose body is chunked. */
export function chunkedRequestHead(request: RewrittenRequest): {
  readonly fields: readonly Field[]
  readonly head: Buffer
} {
  const decoded = request.fields.filter(([name]) => !/^content-encoding$/i.test(name))
  const fields = withChunkedBody(decoded)
  return { fields, head: requestHead(request, fields) }
}

function requestHead(request: RewrittenRequest, fields: readonly Field[]): Buffer {
  const url = new URL(request.url)
  return writeRequestHead({ method: request.method, target: `${url.pathname}${url.search}`, fields })
}

/** Head of a changed response whose body streams on as it came. */
export function streamedResponseHead(response: RewrittenResponse, original: readonly Field[]): Buffer {
  return writeResponseHead({ ...response, fields: keepFraming(response.fields, original) })
}

/** The fields about length follow the body: as that goes on unchanged, so do they. */
function keepFraming(fields: readonly Field[], original: readonly Field[]): readonly Field[] {
  const others = fields.filter(([name]) => !isLengthField(name))
  return [...others, ...original.filter(([name]) => isLengthField(name))]
}

function isLengthField(name: string): boolean {
  return /^(?:content-length|transfer-encoding|trailer)$/i.test(name)
}

/** Whether a response has no body, whatever its fields say (RFC 9110 section 6.4.1). */
export function hasNoBody(method: string, status: number): boolean {
  return method === 'HEAD' || status === 204 || status === 304
}

/** A response with its fields about length put right; `head` and `body` are what goes on the wire. */
export function completeResponse(
  response: RewrittenResponse,
  facts: HeadFacts,
  closes: boolean,
): { readonly fields: readonly Field[]; readonly head: Buffer; readonly body: Buffer } {
  const isBodiless = hasNoBody(facts.method, response.status)
  const given = response.body ?? Buffer.alloc(0)
  // A response to HEAD says how long the body would be (RFC 9110 section 8.6); 204 and 304 say nothing.
  const sized = isBodiless && facts.method !== 'HEAD' ? response.fields : withBodyLength(response.fields, given.length)
  const isTold = sized.some(([name]) => name.toLowerCase() === 'connection')
  const fields: readonly Field[] = closes && !isTold ? [...sized, ['connection', 'close']] : sized
  return { fields, head: writeResponseHead({ ...response, fields }), body: isBodiless ? Buffer.alloc(0) : given }
}

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

/** The same as octets, after which the connection is closed. */
export function errorOctets(status: number, error: MitmError): Buffer {
  const response = errorResponse(status, error)
  const body = response.body ?? Buffer.alloc(0)
  const head = writeResponseHead({
    ...response,
    fields: [...withBodyLength(response.fields, body.length), ['connection', 'close']],
  })
  return Buffer.concat([head, body])
}

/** The status for an error met on the way to the server (RFC 9110 sections 15.6.3 and 15.6.5). */
export function statusFor(error: MitmError): number {
  switch (error.code) {
    case 'MITM_DIAL_TIMEOUT':
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

/** The error for a body that had to be held and cannot be. */
export function bodyTooLarge(what: string, size: number, limit: number, details?: MitmErrorDetails): MitmError {
  const text = `Cannot hold the body of ${what}: ${size} octets have come, maxBodyBytes is ${limit}`
  return new MitmError('MITM_BODY_TOO_LARGE', text, details)
}
