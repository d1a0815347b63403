/** Octets for messages that the mitm writes itself: changed ones, answers, and reports of its own errors. */
import type { Connection } from '../../connection.ts'
import { MitmError } from '../../errors.ts'
import type { Field, HttpRequest } from '../../exchange.ts'
import type { RewrittenRequest, RewrittenResponse } from '../../middleware.ts'
import type { Destination } from '../../protocol.ts'
import { errorResponse } from '../http/error-response.ts'
import { hasNoBody, saysLengthOf } from '../http/messages.ts'
import type { HeadFacts } from './facts.ts'
import { parseAuthority, parseTarget } from './head.ts'
import { withBodyLength, withChunkedBody, writeRequestHead, writeResponseHead } from './write.ts'

/** What a client that waits for permission to send its body is told (RFC 9110 section 10.1.1). */
export const CONTINUE: Buffer = Buffer.from('HTTP/1.1 100 Continue\r\n\r\n')

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
  // WebKit asks an HTTP proxy for a WebSocket by a URL with its scheme (ws:); it is an http: URL all the same.
  if (target.form === 'absolute') return facts.target.replace(/^ws(?=s?:)/i, 'http')
  const scheme = connection.clientTls ? 'https' : 'http'
  const origin = `${scheme}://${facts.host ?? hostOf(destination, scheme === 'https' ? 443 : 80)}`
  return target.form === 'origin' ? origin + facts.target : origin
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

/** A response with its fields about length put right; `head` and `body` are what goes on the wire. */
export function completeResponse(
  response: RewrittenResponse,
  facts: HeadFacts,
  closes: boolean,
): { readonly fields: readonly Field[]; readonly head: Buffer; readonly body: Buffer } {
  const isBodiless = hasNoBody(facts.method, response.status)
  const given = response.body ?? Buffer.alloc(0)
  const isSized = isBodiless ? saysLengthOf(given, facts.method, response.fields) : true
  const sized = isSized ? withBodyLength(response.fields, given.length) : response.fields
  const isTold = sized.some(([name]) => name.toLowerCase() === 'connection')
  const fields: readonly Field[] = closes && !isTold ? [...sized, ['connection', 'close']] : sized
  return { fields, head: writeResponseHead({ ...response, fields }), body: isBodiless ? Buffer.alloc(0) : given }
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
