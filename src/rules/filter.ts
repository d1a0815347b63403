/** Filters: which exchanges are meant. */
import { types } from 'node:util'

import { errorText } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import type { Destination } from '../protocol.ts'
import { compilePart, FILTER_KEYS } from './filter-parts.ts'
import type { FilterPart } from './filter-parts.ts'
import { functionName, invalidFilter } from './filter-text.ts'
import { verdict } from './predicate.ts'
import type { AsymmetricMatcher } from './predicate.ts'

/**
 * What may stand for a value: itself, a RegExp that it must match, a matcher (`expect.stringContaining(…)`), or a
 * function that is given it and says whether it fits.
 */
export type ValueFilter<Literal> = Literal | RegExp | AsymmetricMatcher | ((actual: string) => boolean)

/** One value of a `query`, `headers` or `form`. Several of one name are an array; `undefined` means: is not there. */
export type NamedValueFilter = ValueFilter<string | number | boolean> | readonly string[] | undefined

/** Values by name, of which the exchange may have more; or what is asked about all of them. */
export type NamedValuesFilter =
  | { readonly [name: string]: NamedValueFilter }
  | AsymmetricMatcher
  | ((actual: Readonly<Record<string, string | readonly string[]>>) => boolean)

/** A filter by parts, all of which must match. */
export interface ExchangeFilterObject {
  /** In any case. */
  readonly method?: ValueFilter<string>
  /**
   * The whole URL: a pattern as in Playwright's `page.route`, where `*` is anything but `/`, `**` is anything, `{a,b}` is
   * either, `?` is itself and a backslash escapes. One that begins with `/` is for the path, and for the query too if
   * it has a `?`.
   */
  readonly url?: ValueFilter<string>
  /** `name` (on any port) or `name:port`; `*` is anything. RegExps and functions get `name:port`, without the scheme's own port. */
  readonly host?: ValueFilter<string>
  /** The path without query, as a pattern. */
  readonly path?: ValueFilter<string>
  /** Parameters of the query, by name or as text (`a=1&b=2`). The URL may have more. A RegExp gets the text. */
  readonly query?: NamedValuesFilter | string | RegExp
  /** Header fields of the request, by name in any case. The request may have more. */
  readonly headers?: NamedValuesFilter
  /** The body of the request, decoded: a text, or its octets. RegExps, matchers and functions get it as text. */
  readonly body?: ValueFilter<string | Uint8Array>
  /** The body of the request as JSON. Its objects may have more; inside stand RegExps, matchers and functions too. */
  readonly json?: unknown
  /** The fields of a urlencoded request body, as `query`. */
  readonly form?: NamedValuesFilter | string | RegExp
  /** The status of the response. */
  readonly status?: number | RegExp | AsymmetricMatcher | ((actual: number) => boolean)
  /** The version of HTTP: `http/1.1`, `http/2`; in any case. */
  readonly protocol?: ValueFilter<string>
}

/** Which exchanges are meant: a URL pattern, a RegExp for the whole URL, a function, or an object of parts. */
export type ExchangeFilter = string | RegExp | ((exchange: Exchange) => boolean) | ExchangeFilterObject

/** Is told what a user's predicate threw. The part then counts as missed. */
export type OnThrow = (error: unknown, exchange: Exchange) => void

/** A filter that has been checked. Nothing in it throws. */
export interface CompiledFilter {
  /** In words: `POST https://pay.test/charge with json {"eur":42}`. */
  readonly text: string
  /** Whether it looks at the body of the request, which must have been kept (`keepBody`) and be complete. */
  readonly needsRequestBody: boolean
  /** Whether it looks at the response. */
  readonly needsResponse: boolean
  /** Why each part that does not match does not: `method is GET, expected POST`. Empty when all match. */
  misses(exchange: Exchange, onThrow?: OnThrow): readonly string[]
  /** The same for those parts that only need the head of the request. */
  headMisses(exchange: Exchange, onThrow?: OnThrow): readonly string[]
  /** Whether `headMisses` would be empty; cheap. */
  headMatches(exchange: Exchange, onThrow?: OnThrow): boolean
  /** Whether the parts that need the body or the response match. */
  restMatches(exchange: Exchange, onThrow?: OnThrow): boolean
  /** Whether a request to this host could match; `false` only when it is certain that none could. */
  mayMatch(destination: Destination): boolean
}

/**
 * Checks and compiles a filter.
 *
 * @throws {@link MitmError} `MITM_INVALID_FILTER` naming the key, the value and what was expected.
 */
export function compileFilter(filter: ExchangeFilter): CompiledFilter {
  const parts = partsOf(filter)
  const head = parts.filter(({ stage }) => stage === 'head')
  const rest = parts.filter(({ stage }) => stage !== 'head')
  return {
    text: textOf(parts),
    needsRequestBody: parts.some(({ stage }) => stage === 'body'),
    needsResponse: parts.some(({ stage }) => stage === 'response'),
    misses: (exchange, onThrow) => missesOf(parts, exchange, onThrow),
    headMisses: (exchange, onThrow) => missesOf(head, exchange, onThrow),
    headMatches: (exchange, onThrow) => allMatch(head, exchange, onThrow),
    restMatches: (exchange, onThrow) => allMatch(rest, exchange, onThrow),
    mayMatch: (destination) => parts.every((part) => part.mayMatch?.(destination) ?? true),
  }
}

function partsOf(filter: ExchangeFilter): FilterPart[] {
  if (typeof filter === 'string' || types.isRegExp(filter)) return [compilePart('url', filter)]
  if (typeof filter === 'function') return [functionPart(filter)]
  // A URL or another instance has no keys of its own, and would match everything.
  if (Object.prototype.toString.call(filter) !== '[object Object]') {
    throw invalidFilter('it', filter, 'a URL pattern, a RegExp, a function or an object')
  }
  for (const [key, value] of Object.entries(filter)) {
    if (!FILTER_KEYS.some((known) => known === key)) {
      throw invalidFilter(key, value, `no such key but only ${FILTER_KEYS.join(', ')}`)
    }
  }
  return FILTER_KEYS.filter((key) => Object.hasOwn(filter, key)).map((key) => compilePart(key, filter[key]))
}

function functionPart(predicate: (exchange: Exchange) => boolean): FilterPart {
  const name = functionName(predicate)
  return {
    key: name,
    text: `that ${name} accepts`,
    stage: 'head',
    matches: (exchange) => verdict(predicate(exchange)),
    misses: (exchange) => (verdict(predicate(exchange)) ? [] : [`${name} returned false`]),
  }
}

function textOf(parts: readonly FilterPart[]): string {
  const method = parts.find(({ key }) => key === 'method')
  const url = parts.find(({ key }) => key === 'url')
  const others = parts.filter((part) => part !== method && part !== url).map(({ text }) => text)
  const lead = url ? [method?.text, url.text].filter(Boolean).join(' ') : `any ${method?.text ?? ''} request`
  return [lead.replace('  ', ' '), others.join(' and ')].filter(Boolean).join(' ')
}

function allMatch(parts: readonly FilterPart[], exchange: Exchange, onThrow: OnThrow | undefined): boolean {
  for (const part of parts) {
    try {
      if (!part.matches(exchange)) return false
    } catch (error) {
      onThrow?.(error, exchange)
      return false
    }
  }
  return true
}

function missesOf(parts: readonly FilterPart[], exchange: Exchange, onThrow: OnThrow | undefined): readonly string[] {
  return parts.flatMap((part) => {
    try {
      return part.misses(exchange)
    } catch (error) {
      onThrow?.(error, exchange)
      return [`${part.key} threw: ${errorText(error)}`]
    }
  })
}
