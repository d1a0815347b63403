/** What is said of messages alike in all versions of HTTP (RFC 9110). */
import { errorText, isMitmError, MitmError } from '../../errors.ts'
import type { MitmErrorDetails } from '../../errors.ts'
import type { Field, HttpRequest } from '../../exchange.ts'
import type { RewrittenRequest } from '../../middleware.ts'
import type { Destination } from '../../protocol.ts'

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

/**
 * Whether a response without a body is to say how long the given one is (RFC 9110 section 8.6): one to HEAD, unless its
 * fields say it for a body that nobody has made; 204 and 304 say nothing.
 */
export function saysLengthOf(body: Uint8Array, method: string, fields: readonly Field[]): boolean {
  return method === 'HEAD' && (body.length > 0 || !fields.some(([name]) => /^content-length$/i.test(name)))
}

/** Whether a response has no body, whatever its fields say (RFC 9110 section 6.4.1). */
export function hasNoBody(method: string, status: number): boolean {
  return method === 'HEAD' || status === 204 || status === 304
}

/** Whether the client of a request may wait for its response before it sends all of it: of tunnels, and of gRPC. */
export function isOpenEnded(request: HttpRequest): boolean {
  return request.method === 'CONNECT' || request.header('content-type')?.startsWith('application/grpc') === true
}

/** The error for a body that had to be held and cannot be. */
export function bodyTooLarge(what: string, size: number, limit: number, details?: MitmErrorDetails): MitmError {
  const text = `Cannot hold the body of ${what}: ${size} octets have come, maxBodyBytes is ${limit}`
  return new MitmError('MITM_BODY_TOO_LARGE', text, details)
}

/** What a rule failed with, as an error with a code. */
export function codedFailure(error: unknown): MitmError {
  return isMitmError(error)
    ? error
    : new MitmError('MITM_RULE_FAILED', `Cannot apply a rule: ${errorText(error)}`, { cause: error })
}
