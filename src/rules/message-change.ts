/** Changes of requests and responses, as users give them. */
import { STATUS_CODES } from 'node:http'

import type { RewrittenRequest, RewrittenResponse } from '../middleware.ts'
import type { Exchange } from '../exchange.ts'
import { changeContent, CONTENT_KEYS, isEdit, problemWithContent } from './content-change.ts'
import type { ContentInput } from './content-change.ts'
import { show } from './filter-text.ts'
import { applyHeaders, fieldValue, namesField, problemWithHeaders, setField } from './headers-input.ts'
import type { HeadersInput } from './headers-input.ts'

/** What becomes of a request. What is not given, or undefined, stays. */
export interface RequestChange extends ContentInput {
  readonly method?: string | undefined
  /** May be relative to the URL so far: `/v2/charge`, `?page=2`. Another host here sends the request there. */
  readonly url?: string | undefined
  readonly headers?: HeadersInput | undefined
}

/** What becomes of a response. What is not given, or undefined, stays. Content has no effect on one of 204 or 304. */
export interface ResponseChange extends ContentInput {
  /** From 200 to 599; sets the reason phrase too. */
  readonly status?: number | undefined
  /** The reason phrase; no effect in HTTP/2. */
  readonly statusText?: string | undefined
  readonly headers?: HeadersInput | undefined
  /** Fields behind the body, which is chunked for them; not to a client of HTTP/1.0. An object adds to those there are. */
  readonly trailers?: HeadersInput | undefined
}

const REQUEST_KEYS = ['method', 'url', 'headers', ...CONTENT_KEYS]
const RESPONSE_KEYS = ['status', 'statusText', 'headers', 'trailers', ...CONTENT_KEYS]

/** What is wrong with a change of a request, in words; undefined when nothing is. */
export function problemWithRequestChange(change: unknown): string | undefined {
  const given = keysOf(change, REQUEST_KEYS)
  if (typeof given === 'string') return given
  const method = given.get('method')
  if (method !== undefined && (typeof method !== 'string' || !/^[\w!#$%&'*+.^`|~-]+$/.test(method))) {
    return `method is ${show(method)}, expected an HTTP method`
  }
  const url = given.get('url')
  if (url !== undefined && (typeof url !== 'string' || !isHttpUrl(url, 'http://origin.test/'))) {
    return `url is ${show(url)}, expected a URL of http or https, or one relative to the request's`
  }
  return problemWithHeaders(given.get('headers')) ?? problemWithContent(given)
}

/** What is wrong with a change of a response, in words; undefined when nothing is. */
export function problemWithResponseChange(change: unknown): string | undefined {
  const given = keysOf(change, RESPONSE_KEYS)
  if (typeof given === 'string') return given
  const status = given.get('status')
  const problem = status === undefined ? undefined : problemWithStatus(status)
  if (problem) return problem
  const problemWithText = problemWithStatusText(given.get('statusText'))
  if (problemWithText) return problemWithText
  if (hasNoBody(status) && (isContent(given.get('body')) || given.get('json') !== undefined)) {
    return `status ${show(status)} has no body, but one is given`
  }
  return (
    problemWithHeaders(given.get('headers')) ?? problemWithTrailers(given.get('trailers')) ?? problemWithContent(given)
  )
}

/** What is wrong with trailer fields, in words; undefined when nothing is. */
export function problemWithTrailers(trailers: unknown): string | undefined {
  const problem = problemWithHeaders(trailers)?.replace(/^headers/, 'trailers')
  if (problem) return problem
  // Boundary: just found to be fields.
  const names = applyHeaders([], trailers as HeadersInput | undefined).map(([name]) => name.toLowerCase())
  // RFC 9110 section 6.5.1: what says where the message ends must come before it.
  const framing = names.find((name) =>
    /^(?:content-length|transfer-encoding|trailer|host|content-encoding)$/.test(name),
  )
  return framing === undefined ? undefined : `trailers has ${framing}, which must stand in the head`
}

/** What is wrong with a reason phrase, in words; undefined when nothing is. */
export function problemWithStatusText(statusText: unknown): string | undefined {
  if (statusText === undefined) return undefined
  return typeof statusText === 'string' && !/[^\t\x20-\x7e\x80-\xff]/.test(statusText)
    ? undefined
    : `statusText is ${show(statusText)}, expected a reason phrase of one line`
}

/** What is wrong with the status of a final response, in words; undefined when nothing is. */
export function problemWithStatus(status: unknown): string | undefined {
  const fits = typeof status === 'number' && Number.isInteger(status) && status >= 200 && status <= 599
  return fits ? undefined : `status is ${show(status)}, expected a whole number from 200 to 599`
}

/** Whether responses of this status end with their head (RFC 9110 section 6.4.1). */
export function hasNoBody(status: unknown): boolean {
  return status === 204 || status === 304
}

/** The request that `change`, which has been checked, makes of `request`. */
export function changeRequest(request: RewrittenRequest, change: RequestChange): RewrittenRequest {
  const url = change.url === undefined ? request.url : resolveUrl(change.url, request.url)
  let fields = applyHeaders(request.fields, change.headers)
  if (url !== request.url && fieldValue(fields, 'host') !== undefined && !namesField(change.headers, 'host')) {
    const host = new URL(url).host
    // RFC 9110 section 7.2: host names the URL's authority, so the two change together.
    if (!URL.canParse(request.url) || new URL(request.url).host !== host) fields = setField(fields, 'host', host)
  }
  return { ...request, method: change.method ?? request.method, url, ...changeContent(request, fields, change) }
}

/** The response that `change`, which has been checked, makes of `response`. */
export function changeResponse(
  response: RewrittenResponse,
  change: ResponseChange,
  exchange: Exchange,
): RewrittenResponse {
  const status = change.status ?? response.status
  const isSame = status === response.status
  const statusText = change.statusText ?? (isSame ? response.statusText : (STATUS_CODES[status] ?? ''))
  const fields = applyHeaders(response.fields, change.headers)
  const trailers = change.trailers ? applyHeaders(response.trailers ?? [], change.trailers) : response.trailers
  const head = { ...response, status, statusText, trailers }
  if (hasNoBody(status)) {
    return isSame ? { ...head, fields } : { ...head, fields, body: Buffer.alloc(0), stream: undefined }
  }
  // The answer to HEAD has no content that could be looked at.
  if (exchange.request.method === 'HEAD' && isEdit(change)) return { ...head, fields }
  const content = changeContent(response, fields, change)
  return { ...head, ...content, stream: content.body === undefined ? response.stream : undefined }
}

function resolveUrl(url: string, base: string): string {
  const resolved = new URL(url, URL.canParse(base) ? base : undefined)
  resolved.hash = ''
  return resolved.href
}

function keysOf(change: unknown, known: readonly string[]): ReadonlyMap<string, unknown> | string {
  if (Object.prototype.toString.call(change) !== '[object Object]') {
    return `it is ${show(change)}, expected an object of ${known.join(', ')}`
  }
  const given = new Map<string, unknown>(Object.entries(change as object)) // just found to be one
  const unknown = [...given.keys()].find((key) => !known.includes(key))
  return unknown === undefined ? given : `${unknown} is not known, expected ${known.join(', ')}`
}

function isHttpUrl(url: string, base: string): boolean {
  return URL.canParse(url, base) && /^https?:$/.test(new URL(url, base).protocol)
}

function isContent(body: unknown): boolean {
  return body !== undefined && (body as { length?: unknown }).length !== 0 // '' is no body
}
