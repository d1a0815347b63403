/** What browsers ask of an answer to another origin than the page's: the CORS protocol of the Fetch standard. */
import type { Exchange, Field } from '../exchange.ts'
import type { Answer } from '../middleware.ts'
import { show } from './filter-text.ts'
import { fieldValue, setField } from './headers-input.ts'

/**
 * How an answer is shared with pages of other origins. What is not given is as the browser needs it.
 *
 * @see https://fetch.spec.whatwg.org/#http-cors-protocol
 */
export interface CorsOptions {
  /** Who may read it: an origin, or `*`. @defaultValue the origin that asks */
  readonly origin?: string | undefined
  /** Whether it may be read by requests with cookies. @defaultValue true, but with an `origin` of `*` */
  readonly credentials?: boolean | undefined
  /** The methods that a preflight allows. @defaultValue the one that it asks for */
  readonly methods?: readonly string[] | undefined
  /** The header fields of requests that a preflight allows. @defaultValue those that it asks for */
  readonly headers?: readonly string[] | undefined
  /** The header fields of the answer that the page may read. @defaultValue all of them */
  readonly exposeHeaders?: readonly string[] | undefined
  /** How long the browser may keep the answer to a preflight. @defaultValue not said: five seconds in most browsers */
  readonly maxAgeSeconds?: number | undefined
}

/** What a rule says of CORS; undefined: nothing is given, `false`: browsers are left to refuse. */
export type CorsSetting = CorsOptions | false | undefined

const KEYS = ['origin', 'credentials', 'methods', 'headers', 'exposeHeaders', 'maxAgeSeconds']
const LISTS = ['methods', 'headers', 'exposeHeaders']
const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/

/** What is wrong with CORS options, in words; undefined when nothing is. */
export function problemWithCors(options: unknown): string | undefined {
  if (options === false) return undefined
  if (Object.prototype.toString.call(options) !== '[object Object]') {
    return `it is ${show(options)}, expected false or an object of ${KEYS.join(', ')}`
  }
  const given = new Map<string, unknown>(Object.entries(options as object)) // just found to be one
  for (const [key, value] of given) {
    const expected = value === undefined ? undefined : expectedInstead(key, value)
    if (expected) return `${key} is ${show(value)}, expected ${expected}`
    if (!KEYS.includes(key)) return `${JSON.stringify(key)} is not known, expected ${KEYS.join(', ')}`
  }
  return given.get('origin') === '*' && given.get('credentials') === true
    ? 'origin is "*" and credentials is true, which browsers refuse together'
    : undefined
}

function expectedInstead(key: string, value: unknown): string | undefined {
  if (key === 'origin') return isOrigin(value) ? undefined : 'an origin such as "https://shop.test", "*" or "null"'
  if (key === 'credentials') return typeof value === 'boolean' ? undefined : 'true or false'
  if (key === 'maxAgeSeconds') return Number.isInteger(value) ? undefined : 'a whole number'
  if (!LISTS.includes(key)) return undefined
  const isList = Array.isArray(value) && value.every((one) => typeof one === 'string' && TOKEN.test(one))
  return isList ? undefined : 'a list of names'
}

function isOrigin(value: unknown): boolean {
  if (value === '*' || value === 'null') return true
  return typeof value === 'string' && URL.canParse(value) && new URL(value).origin === value.toLowerCase()
}

/** Whether a browser asks beforehand for permission to send a request. */
export function isPreflight(exchange: Exchange): boolean {
  const { method } = exchange.request
  return (
    method === 'OPTIONS' &&
    exchange.request.header('origin') !== undefined &&
    exchange.request.header('access-control-request-method') !== undefined
  )
}

/** The method of the request that a preflight asks for. */
export function preflightMethod(exchange: Exchange): string {
  return exchange.request.header('access-control-request-method') ?? ''
}

/** What answers a preflight; undefined where browsers are left to refuse. */
export function preflightAnswer(exchange: Exchange, setting: CorsSetting): Answer | undefined {
  if (setting === false) return undefined
  const { request } = exchange
  const headers = setting?.headers?.join(', ') ?? request.header('access-control-request-headers')
  const isPrivate = request.header('access-control-request-private-network') === 'true'
  const fields: readonly Field[] = [
    ...sharingFields(request.header('origin') ?? '*', setting),
    ['access-control-allow-methods', setting?.methods?.join(', ') ?? preflightMethod(exchange)],
    ...(headers ? [['access-control-allow-headers', headers] as const] : []),
    ...(isPrivate ? [['access-control-allow-private-network', 'true'] as const] : []),
    ...(setting?.maxAgeSeconds === undefined ? [] : [['access-control-max-age', `${setting.maxAgeSeconds}`] as const]),
    ['vary', 'origin'],
  ]
  const response = { status: 204, statusText: 'No Content', fields, body: undefined }
  return { kind: 'respond', needsBody: false, response: () => response }
}

/**
 * The fields of an answer with those that let the page read it: where the request is a cross-origin one, or `setting`
 * names an origin, and the answer does not say itself who may read it.
 */
export function corsFields(exchange: Exchange, fields: readonly Field[], setting: CorsSetting): readonly Field[] {
  const origin = exchange.request.header('origin')
  if (setting === false || fieldValue(fields, 'access-control-allow-origin') !== undefined) return fields
  if (setting?.origin === undefined && (origin === undefined || isSameOrigin(origin, exchange.request.url)))
    return fields
  const own = fields.map(([name]) => name.toLowerCase()).filter((name) => !/^set-cookie2?$/.test(name))
  const exposed = setting?.exposeHeaders ?? [...new Set(own)]
  const sharing = sharingFields(origin ?? '*', setting)
  const isExposing = exposed.length > 0 && !own.includes('access-control-expose-headers')
  return [
    ...varied(fields),
    ...sharing.filter(([name]) => !own.includes(name)),
    ...(isExposing ? [['access-control-expose-headers', exposed.join(', ')] as const] : []),
  ]
}

function sharingFields(origin: string, setting: CorsOptions | undefined): readonly Field[] {
  const shared = setting?.origin ?? origin
  const hasCredentials = setting?.credentials ?? shared !== '*'
  return [
    ['access-control-allow-origin', shared],
    ...(hasCredentials ? [['access-control-allow-credentials', 'true'] as const] : []),
  ]
}

/** The answer depends on who asks: caches must know. */
function varied(fields: readonly Field[]): readonly Field[] {
  const vary = fieldValue(fields, 'vary')
  if (vary === undefined) return [...fields, ['vary', 'origin']]
  return /(?:^|,)\s*(?:\*|origin)\s*(?:,|$)/i.test(vary) ? fields : setField(fields, 'vary', `${vary}, origin`)
}

function isSameOrigin(origin: string, url: string): boolean {
  return URL.canParse(url) && new URL(url).origin === origin
}
