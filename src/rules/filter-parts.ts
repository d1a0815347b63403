/** What each key of a filter asks. */
import { types } from 'node:util'

import { errorText } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import type { Destination } from '../protocol.ts'
import { differences } from './equality.ts'
import { functionName, invalidFilter, show } from './filter-text.ts'
import { compileHostPattern } from './host-pattern.ts'
import { compileNamedValues, namedHeaders, namedParameters } from './named-values.ts'
import type { NamedValues } from './named-values.ts'
import { isAsymmetricMatcher, testRegExp, verdict } from './predicate.ts'
import { authoritiesOf, locate } from './request-location.ts'
import type { RequestLocation } from './request-location.ts'
import { compilePathGlob, compileUrlGlob } from './url-glob.ts'

/** One condition of a filter. */
export interface FilterPart {
  readonly key: string
  /** In words. */
  readonly text: string
  /** When it can be asked. */
  readonly stage: 'head' | 'body' | 'response'
  /** @throws What the user's predicate throws. */
  matches(exchange: Exchange): boolean
  /** Why it does not match, or nothing. @throws What the user's predicate throws. */
  misses(exchange: Exchange): readonly string[]
  /** Whether a request to this host could match; when left out: yes. */
  mayMatch?(destination: Destination): boolean
}

/** A question about one value. */
interface ValueTest {
  readonly text: string
  readonly test: (actual: unknown) => boolean
}

/** The keys of a filter, the cheapest to ask first. */
export const FILTER_KEYS = [
  'method',
  'host',
  'protocol',
  'url',
  'path',
  'query',
  'headers',
  'body',
  'json',
  'form',
  'status',
] as const

/** A key of a filter. */
export type FilterKey = (typeof FILTER_KEYS)[number]

const COMPILERS: { readonly [Key in FilterKey]: (value: unknown) => FilterPart } = {
  method: compileMethod,
  host: compileHost,
  protocol: compileProtocol,
  url: compileUrl,
  path: compilePath,
  query: (value) =>
    namedPart('query', 'head', compileNamedValues('query', value, { hasText: true }), ({ request }) => {
      const { search } = locate(request.url)
      return namedParameters(search.slice(1))
    }),
  headers: (value) =>
    namedPart('headers', 'head', compileNamedValues('headers', value, { isHeaders: true }), ({ request }) =>
      namedHeaders(request),
    ),
  body: compileBody,
  json: compileJson,
  form: (value) =>
    namedPart('form', 'body', compileNamedValues('form', value, { hasText: true }), (exchange) => {
      const type = exchange.request.header('content-type')
      if (type && !/^application\/x-www-form-urlencoded\b/i.test(type)) throw new Unreadable(`content-type is ${type}`)
      return namedParameters(readBody(exchange, () => exchange.request.text()))
    }),
  status: compileStatus,
}

/**
 * Compiles one key of a filter.
 *
 * @throws {@link MitmError} `MITM_INVALID_FILTER` when the value cannot be.
 */
export function compilePart(key: FilterKey, value: unknown): FilterPart {
  return COMPILERS[key](value)
}

/** A body that cannot be looked at: its parts do not match, and say why. */
class Unreadable extends Error {}

function compileMethod(value: unknown): FilterPart {
  const test = compileTest('method', value, 'an HTTP method such as "POST"', (literal) => {
    if (typeof literal !== 'string' || !/^[\w!#$%&'*+.^`|~-]+$/.test(literal)) return undefined
    const upper = literal.toUpperCase()
    return {
      text: upper,
      test: (actual) => String(actual).length === upper.length && String(actual).toUpperCase() === upper,
    }
  })
  return valuePart('method', test, test.text, ({ request }) => request.method)
}

function compileHost(value: unknown): FilterPart {
  if (typeof value === 'string') {
    const pattern = compileHostPattern('host', value)
    const matches = ({ host, port }: RequestLocation): boolean => pattern.matches(host, port)
    return { ...locationPart('host', value, matches, 'authority'), mayMatch: pattern.mayMatch }
  }
  const test = compileTest('host', value, 'a host such as "api.test" or "api.test:8443"', () => undefined)
  const part = locationPart('host', test.text, ({ authority }) => test.test(authority), 'authority')
  if (!types.isRegExp(value)) return part
  return {
    ...part,
    mayMatch(destination) {
      const { https, http } = authoritiesOf(destination)
      return test.test(https) || test.test(http)
    },
  }
}

function compileProtocol(value: unknown): FilterPart {
  const test = compileTest('protocol', value, 'a version of HTTP such as "http/1.1" or "http/2"', (literal) => {
    if (typeof literal !== 'string' || !/^(?:http\/\d(?:\.\d)?|h[23])$/i.test(literal)) return undefined
    const wanted = normalVersion(literal)
    return { text: wanted, test: (actual) => normalVersion(String(actual)) === wanted }
  })
  return valuePart('protocol', test, `over ${test.text}`, ({ request }) => request.httpVersion)
}

function normalVersion(version: string): string {
  return version
    .toLowerCase()
    .replace(/^h(\d)$/, 'http/$1')
    .replace(/^(http\/[23])\.0$/, '$1')
}

function compileUrl(value: unknown): FilterPart {
  if (typeof value !== 'string') {
    const test = compileTest('url', value, 'a URL pattern, a RegExp, a matcher or a function', () => undefined)
    return { ...locationPart('url', test.text, ({ href }) => test.test(href), 'href'), text: test.text }
  }
  const glob = compileUrlGlob('url', value)
  return {
    ...locationPart('url', value, (location) => glob.matches(location), 'href'),
    text: value,
    mayMatch: (destination) => glob.mayMatch(destination),
  }
}

function compilePath(value: unknown): FilterPart {
  const test = compileTest('path', value, 'a path such as "/api/*"', (literal) => {
    if (typeof literal !== 'string') return undefined
    const pattern = compilePathGlob('path', literal)
    return { text: literal, test: (actual) => pattern.test(String(actual)) }
  })
  return locationPart('path', test.text, ({ path }) => test.test(path), 'path')
}

function compileBody(value: unknown): FilterPart {
  if (types.isUint8Array(value)) {
    const expected = Buffer.from(value) // a copy: the filter must not change with the caller's buffer
    return bodyPart('body', `with body ${show(value)}`, (exchange) => {
      const actual = readBody(exchange, () => exchange.request.decodedBody())
      return actual.equals(expected) ? [] : [`body is ${show(actual)}, expected ${expected.length} other ones`]
    })
  }
  const test = compileTest('body', value, 'a text or a Buffer', (literal) =>
    typeof literal === 'string' ? { text: show(literal), test: (actual) => actual === literal } : undefined,
  )
  return bodyPart('body', `with body ${test.text}`, (exchange) => {
    const actual = readBody(exchange, () => exchange.request.text())
    return test.test(actual) ? [] : [`body is ${show(actual)}, expected ${test.text}`]
  })
}

function compileJson(value: unknown): FilterPart {
  if (value === undefined) throw invalidFilter('json', value, 'a JSON value, a matcher or a function')
  return bodyPart('json', `with json ${show(value)}`, (exchange) => {
    const actual = readBody(exchange, () => exchange.request.json())
    return differences(actual, value).map((difference) => `json ${difference}`)
  })
}

function compileStatus(value: unknown): FilterPart {
  const test = compileTest('status', value, 'a status from 100 to 599', (literal) =>
    typeof literal === 'number' && Number.isInteger(literal) && literal >= 100 && literal <= 599
      ? { text: String(literal), test: (actual) => actual === literal }
      : undefined,
  )
  const matches = ({ response }: Exchange): boolean => response !== undefined && test.test(response.status)
  return {
    key: 'status',
    text: `with status ${test.text}`,
    stage: 'response',
    matches,
    misses: (exchange) =>
      matches(exchange)
        ? []
        : [`status is ${exchange.response?.status ?? 'not known (no response)'}, expected ${test.text}`],
  }
}

/** The question that `value` asks. `literal` makes it of what is neither RegExp nor matcher nor function. */
function compileTest(
  key: string,
  value: unknown,
  expected: string,
  literal: (value: unknown) => ValueTest | undefined,
): ValueTest {
  if (types.isRegExp(value)) {
    const pattern = value
    return { text: String(pattern), test: (actual) => testRegExp(pattern, String(actual)) }
  }
  if (typeof value === 'function') {
    const predicate = value as (actual: unknown) => unknown // what it takes, its author knows
    return { text: `what ${functionName(value)} accepts`, test: (actual) => verdict(predicate(actual)) }
  }
  if (isAsymmetricMatcher(value)) {
    return { text: show(value), test: (actual) => verdict(value.asymmetricMatch(actual)) }
  }
  const test = literal(value)
  if (!test) throw invalidFilter(key, value, expected)
  return test
}

function valuePart(
  key: FilterKey,
  { test, text: expected }: ValueTest,
  text: string,
  read: (exchange: Exchange) => string,
): FilterPart {
  return {
    key,
    text,
    stage: 'head',
    matches: (exchange) => test(read(exchange)),
    misses: (exchange) => (test(read(exchange)) ? [] : [`${key} is ${read(exchange)}, expected ${expected}`]),
  }
}

function locationPart(
  key: FilterKey,
  expected: string,
  matches: (location: RequestLocation) => boolean,
  shown: 'href' | 'authority' | 'path',
): FilterPart {
  return {
    key,
    text: `with ${key} ${expected}`,
    stage: 'head',
    matches: ({ request }) => matches(locate(request.url)),
    misses({ request }) {
      const location = locate(request.url)
      return matches(location) ? [] : [`${key} is ${location[shown]}, expected ${expected}`]
    },
  }
}

function namedPart(
  key: FilterKey,
  stage: 'head' | 'body',
  { text, misses }: ReturnType<typeof compileNamedValues>,
  read: (exchange: Exchange) => NamedValues,
): FilterPart {
  const part = bodyPart(key, `with ${key} ${text}`, (exchange) => misses(read(exchange)))
  return { ...part, stage }
}

function bodyPart(key: FilterKey, text: string, explain: (exchange: Exchange) => readonly string[]): FilterPart {
  const misses = (exchange: Exchange): readonly string[] => {
    try {
      return explain(exchange)
    } catch (error) {
      if (error instanceof Unreadable) return [`${key} cannot be read: ${error.message}`]
      throw error
    }
  }
  return { key, text, stage: 'body', matches: (exchange) => misses(exchange).length === 0, misses }
}

function readBody<T>({ request }: Exchange, read: () => T): T {
  if (!request.isComplete) throw new Unreadable('the body has not come whole')
  try {
    return read()
  } catch (error) {
    throw new Unreadable(errorText(error), { cause: error })
  }
}
