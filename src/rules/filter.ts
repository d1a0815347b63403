/** Filters: which exchanges are meant. */
import type { FaultName } from '../fault-names.ts'
import { types } from 'node:util'

import type { Connection } from '../connection.ts'
import { errorText } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import type { Destination } from '../protocol.ts'
import type { TrafficSource } from '../source.ts'
import { notPart } from './filter-not.ts'
import { needsBody } from './filter-part.ts'
import type { FilterPart } from './filter-part.ts'
import { compilePart, PART_KEYS } from './filter-parts.ts'
import { functionName, invalidFilter, textOf } from './filter-text.ts'
import type { GraphqlOperation, GraphqlOperationType } from './graphql-request.ts'
import { verdict } from './predicate.ts'
import type { AsymmetricMatcher } from './predicate.ts'

/**
 * What may stand for a value: itself, a RegExp that it must match, a matcher (`expect.stringContaining(…)`), or a
 * function that is given it and says whether it fits.
 */
export type ValueFilter<Literal> = Literal | RegExp | AsymmetricMatcher | ((actual: string) => boolean)

/** One value of a `query`, `headers`, `cookies` or `form`. Several of one name are an array; `undefined` means: is not there. */
export type NamedValueFilter = ValueFilter<string | number | boolean> | readonly string[] | undefined

/** Values by name, of which the exchange may have more; or what is asked about all of them. */
export type NamedValuesFilter =
  | { readonly [name: string]: NamedValueFilter }
  | AsymmetricMatcher
  | ((actual: Readonly<Record<string, string | readonly string[]>>) => boolean)

/** A file of a multipart form. */
export interface MultipartFileFilter {
  readonly filename?: ValueFilter<string>
  /** The content type, with its parameters only where it names some. */
  readonly type?: ValueFilter<string>
  /** The content: a text, or its octets. RegExps, matchers and functions get it as text. */
  readonly body?: ValueFilter<string | Uint8Array>
}

/** A GraphQL operation. */
export interface GraphqlFilter {
  /** As the request names it, or else its document. */
  readonly operationName?: ValueFilter<string>
  readonly operationType?: ValueFilter<GraphqlOperationType>
  /** As `json`: the operation may have more. */
  readonly variables?: unknown
  /** The document. A text is compared without regard to line ends, blanks and commas. */
  readonly query?: ValueFilter<string>
}

/** A filter by parts, all of which must match. */
export interface ExchangeFilterObject {
  /** In any case. */
  readonly method?: ValueFilter<string>
  /**
   * The whole URL: a pattern as in Playwright's `page.route`, where `*` is anything but `/`, `**` is anything, `{a,b}` is
   * either, `?` is itself and a backslash escapes. One that begins with `/` is for the path, and for the query too if
   * it has a `?`. With the scheme `ws` or `wss` it is for WebSockets alone; with `http` or `https`, for them too.
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
  /** The fields of a `multipart/form-data` body, by name. The body may have more. An object stands for a file. */
  readonly multipart?: { readonly [name: string]: NamedValueFilter | MultipartFileFilter }
  /** A GraphQL operation, by its name or by parts; of a batch, one must match. Functions and matchers get the operation. */
  readonly graphql?: string | RegExp | AsymmetricMatcher | ((operation: GraphqlOperation) => boolean) | GraphqlFilter
  /** Cookies of the request, by name, decoded. The request may have more. */
  readonly cookies?: NamedValuesFilter
  /** Who made the request; in an array: one of these. */
  readonly source?: ValueFilter<TrafficSource> | readonly TrafficSource[]
  /** The status of the response. Not for rules. */
  readonly status?: number | RegExp | AsymmetricMatcher | ((actual: number) => boolean)
  /** Whether it is the handshake of a WebSocket, or (`false`) is none. A `url` with `ws:` or `wss:` is `true` as well. */
  readonly webSocket?: boolean
  /** The version of HTTP: `http/1.0`, `http/1.1` or `http/2`, also called `h2`; in any case. */
  readonly protocol?: ValueFilter<string>
  /**
   * The name of a fault that acted on the exchange, such as `resetPeer`; `true` for any. `false` means that there was
   * none, which is known when the exchange is over. Not for rules.
   */
  readonly fault?: boolean | ValueFilter<FaultName | (string & Record<never, never>)>
  /** What is not meant: a filter, or several of which none may match. */
  readonly not?: ExchangeFilter | readonly ExchangeFilter[]
}

/** Which exchanges are meant: a URL pattern, a RegExp for the whole URL, a function, or an object of parts. */
export type ExchangeFilter = string | RegExp | ((exchange: Exchange) => boolean) | ExchangeFilterObject

const FILTER_KEYS = [...PART_KEYS, 'not'] as const satisfies readonly (keyof ExchangeFilterObject)[]

/** What a CORS preflight does not tell of the request. */
const UNTOLD_KEYS: readonly string[] = ['headers', 'cookies']

/** Is told what a user's predicate threw. The part then counts as missed. */
export type OnThrow = (error: unknown, exchange: Exchange) => void

/** A filter that has been checked. Nothing in it throws. */
export interface CompiledFilter {
  /** In words: `POST https://pay.test/charge with json {"eur":42}`. */
  readonly text: string
  /** Whether it may look at the body of the request, which must have been kept (`keepBody`) and be complete. */
  readonly needsRequestBody: boolean
  /** Whether it looks at the response, or at what came of it. */
  readonly needsResponse: boolean
  /** The keys that do: `status`, `fault`, or a `not` with one of them. */
  readonly responseKeys: readonly string[]
  /** The keys that cannot be known before there is a request: a filter with none of them can be used for connections. */
  readonly unknownBeforeRequest: readonly string[]
  /** Whether it means every request there is, and so none in particular: `**`, `{}`. */
  readonly isForAll: boolean
  /** A header field, in lower case, without which no request can match; undefined when there is none. */
  readonly demandedField: string | undefined
  /** Why each part that does not match does not: `method is GET, expected POST`. Empty when all match. */
  misses(exchange: Exchange, onThrow?: OnThrow): readonly string[]
  /** The same for those parts that only need the head of the request. */
  headMisses(exchange: Exchange, onThrow?: OnThrow): readonly string[]
  /** The same for the others. */
  restMisses(exchange: Exchange, onThrow?: OnThrow): readonly string[]
  /** Whether the head leaves it open that all of it matches; cheap. */
  headMatches(exchange: Exchange, onThrow?: OnThrow): boolean
  /** Whether method and URL leave it open that all of it matches. The answer is always the same for the same two. */
  addressMatches(exchange: Exchange): boolean
  /** As `headMatches`, for an exchange of which `addressMatches` is known. */
  restOfHeadMatches(exchange: Exchange, onThrow?: OnThrow): boolean
  /** Whether the body of this exchange must have come before the rest can be asked. For one whose head matches. */
  needsBodyOf(exchange: Exchange, onThrow?: OnThrow): boolean
  /** Whether the parts that need the body or the response match. */
  restMatches(exchange: Exchange, onThrow?: OnThrow): boolean
  /**
   * Whether the request that a CORS preflight announces would match, as far as the preflight tells: fields and body are
   * taken to match. Not for a filter that names OPTIONS itself, which means the preflight.
   *
   * @param method - Of the request to come.
   */
  matchesPreflight(exchange: Exchange, method: string, onThrow?: OnThrow): boolean
  /** Whether a request to this host could match; `false` only when it is certain that none could. */
  mayMatch(destination: Destination): boolean
  /**
   * Whether every request to this host is meant, whatever it is and whoever makes it. The port stands for the scheme.
   */
  matchesDestination(destination: Destination): boolean
  /**
   * Whether a connection is meant, on which there is no request yet. Never, if `unknownBeforeRequest` names a key. The
   * scheme is not known then, so the port stands for it; and `page` and `request` are not told apart.
   */
  matchesConnection(destination: Destination, connection: Connection, onThrow?: (error: unknown) => void): boolean
}

/**
 * Checks and compiles a filter.
 *
 * @param also - What must hold beside it.
 * @throws {@link MitmError} `MITM_INVALID_FILTER` naming the key, the value and what was expected.
 */
export function compileFilter(filter: ExchangeFilter, also: ExchangeFilterObject = {}): CompiledFilter {
  const parts = [...partsOf(also), ...partsOf(filter)]
  const head = parts.filter(({ stage }) => stage === 'head')
  const rest = parts.filter(({ stage }) => stage !== 'head')
  const pure = parts.filter(({ isPure }) => isPure)
  const impure = head.filter(({ isPure }) => !isPure)
  const headPasses = (some: readonly FilterPart[], exchange: Exchange, onThrow: OnThrow | undefined): boolean =>
    allPass(some, exchange, onThrow, matchesPart) &&
    (rest.length === 0 || allPass(rest, exchange, onThrow, isOpenToPart))
  const keysOf = (some: readonly FilterPart[]): readonly string[] => some.map(({ key }) => key)
  const unknownBeforeRequest = keysOf(parts.filter((part) => !part.isForConnections))
  return {
    text: textOf(parts),
    needsRequestBody: parts.some((part) => part.stage === 'body'),
    needsResponse: parts.some(({ stage }) => stage === 'response'),
    responseKeys: keysOf(parts.filter(({ stage }) => stage === 'response')),
    unknownBeforeRequest,
    demandedField: parts.find(({ demandsField }) => demandsField !== undefined)?.demandsField,
    isForAll: parts.every((part) => part.isForAll),
    misses: (exchange, onThrow) => missesOf(parts, exchange, onThrow),
    headMisses: (exchange, onThrow) => missesOf(head, exchange, onThrow),
    restMisses: (exchange, onThrow) => missesOf(rest, exchange, onThrow),
    headMatches: (exchange, onThrow) => headPasses(head, exchange, onThrow),
    restOfHeadMatches: (exchange, onThrow) => headPasses(impure, exchange, onThrow),
    addressMatches: (exchange) => pure.every((part) => part.matches(exchange)),
    needsBodyOf: (exchange, onThrow) =>
      !allPass(rest, exchange, onThrow, (part) => part.stage !== 'body' || !needsBody(part, exchange)),
    restMatches: (exchange, onThrow) => allPass(rest, exchange, onThrow, (part) => part.matches(exchange)),
    matchesPreflight(exchange, method, onThrow) {
      const ofMethod = parts.find(({ key }) => key === 'method')
      // A boundary: of the whole exchange, that part looks at the method only.
      const announced = { request: { method } } as Exchange
      if (ofMethod && allPass([ofMethod], exchange, onThrow, (part) => part.matches(exchange))) return false
      return allPass(head, exchange, onThrow, (part) =>
        part === ofMethod ? part.matches(announced) : UNTOLD_KEYS.includes(part.key) || part.matches(exchange),
      )
    },
    mayMatch: (destination) => parts.every((part) => part.forecast?.(destination) !== 'none'),
    matchesDestination: (destination) =>
      parts.every((part) => part.isForDestinations && part.forecast?.(destination) !== 'none'),
    matchesConnection(destination, connection, onThrow) {
      if (unknownBeforeRequest.length > 0) return false
      try {
        return parts.every((part) => part.forecast?.(destination, connection) !== 'none')
      } catch (error) {
        onThrow?.(error)
        return false
      }
    },
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
  const parts = PART_KEYS.filter((key) => Object.hasOwn(filter, key)).map((key) => compilePart(key, filter[key]))
  return Object.hasOwn(filter, 'not') ? [...parts, compileNot(filter.not)] : parts
}

function compileNot(value: ExchangeFilterObject['not']): FilterPart {
  const filters: readonly unknown[] = Array.isArray(value) ? value : [value]
  const alternatives = filters.map((filter) => {
    if (filter === undefined) throw invalidFilter('not', value, 'a filter, or an array of filters')
    const parts = partsOf(filter as ExchangeFilter) // whatever it is, that is checked there
    if (parts.length === 0) throw invalidFilter('not', value, 'a filter that does not mean everything')
    return parts
  })
  if (alternatives.length === 0) throw invalidFilter('not', value, 'a filter, or an array of filters')
  return notPart(alternatives)
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

function matchesPart(part: FilterPart, exchange: Exchange): boolean {
  return part.matches(exchange)
}

function isOpenToPart(part: FilterPart, exchange: Exchange): boolean {
  return part.headRefuses?.(exchange) !== true
}

function allPass(
  parts: readonly FilterPart[],
  exchange: Exchange,
  onThrow: OnThrow | undefined,
  passes: (part: FilterPart, exchange: Exchange) => boolean,
): boolean {
  for (const part of parts) {
    try {
      if (!passes(part, exchange)) return false
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
