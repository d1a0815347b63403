/** Changes of requests and responses, as users give them. */
import { STATUS_CODES } from 'node:http'

import type { RewrittenRequest, RewrittenResponse } from '../middleware.ts'
import { changeContent, problemWithContent } from './content-change.ts'
import { show } from './filter-text.ts'
import { applyHeaders, fieldValue, namesField, problemWithHeaders, setField } from './headers-input.ts'
import type { HeadersInput } from './headers-input.ts'

/** What becomes of a request. What is not given, or undefined, stays. */
export interface RequestChange {
  readonly method?: string | undefined
  /** May be relative to the URL so far: `/v2/charge`, `?page=2`. Another host here sends the request there. */
  readonly url?: string | undefined
  readonly headers?: HeadersInput | undefined
  /** Decoded; sent in the message's own content coding. Not beside `json`. */
  readonly body?: string | Uint8Array | undefined
  /** As `body`, written as JSON; sets `content-type` unless `headers` does. */
  readonly json?: unknown
}

/** What becomes of a response. What is not given, or undefined, stays. */
export interface ResponseChange {
  /** From 200 to 599; sets the reason phrase too. */
  readonly status?: number | undefined
  /** The reason phrase; no effect in HTTP/2. */
  readonly statusText?: string | undefined
  readonly headers?: HeadersInput | undefined
  /** Decoded; sent in the message's own content coding. Not beside `json`. No effect on a response of 204 or 304. */
  readonly body?: string | Uint8Array | undefined
  /** As `body`, written as JSON; sets `content-type` unless `headers` does. */
  readonly json?: unknown
}

const REQUEST_KEYS = ['method', 'url', 'headers', 'body', 'json']
const RESPONSE_KEYS = ['status', 'statusText', 'headers', 'body', 'json']

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
  return problemWithHeaders(given.get('headers')) ?? problemWithContent(Object.fromEntries(given))
}

/** What is wrong with a change of a response, in words; undefined when nothing is. */
export function problemWithResponseChange(change: unknown): string | undefined {
  const given = keysOf(change, RESPONSE_KEYS)
  if (typeof given === 'string') return given
  const status = given.get('status')
  const problem = status === undefined ? undefined : problemWithStatus(status)
  if (problem) return problem
  const statusText = given.get('statusText')
  if (statusText !== undefined && (typeof statusText !== 'string' || /[^\t\x20-\x7e\x80-\xff]/.test(statusText))) {
    return `statusText is ${show(statusText)}, expected a reason phrase of one line`
  }
  if (hasNoBody(status) && (isContent(given.get('body')) || given.get('json') !== undefined)) {
    return `status ${show(status)} has no body, but one is given`
  }
  return problemWithHeaders(given.get('headers')) ?? problemWithContent(Object.fromEntries(given))
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
  return { method: change.method ?? request.method, url, ...changeContent(request, fields, change) }
}

/** The response that `change`, which has been checked, makes of `response`. */
export function changeResponse(response: RewrittenResponse, change: ResponseChange): RewrittenResponse {
  const status = change.status ?? response.status
  const isSame = status === response.status
  const statusText = change.statusText ?? (isSame ? response.statusText : (STATUS_CODES[status] ?? ''))
  const fields = applyHeaders(response.fields, change.headers)
  if (hasNoBody(status)) return { status, statusText, fields, body: isSame ? response.body : Buffer.alloc(0) }
  return { status, statusText, ...changeContent(response, fields, change) }
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
