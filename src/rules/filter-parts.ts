/** What each key of a filter asks. */
import { types } from 'node:util'

import { compileBody, compileForm, compileJson } from './filter-body.ts'
import { compileGraphql } from './filter-graphql.ts'
import {
  compileHost,
  compileMethod,
  compilePath,
  compileProtocol,
  compileSource,
  compileUrl,
  compileWebSocket,
} from './filter-location.ts'
import { compileMultipart } from './filter-multipart.ts'
import { compileFault, compileStatus } from './filter-outcome.ts'
import { namedPart } from './filter-part.ts'
import type { FilterPart } from './filter-part.ts'
import { compileNamedValues, namedCookies, namedHeaders, namedParameters } from './named-values.ts'
import { isAsymmetricMatcher } from './predicate.ts'
import { locate } from './request-location.ts'

/** The keys of a filter that are about one thing each, the cheapest to ask first. `not` is about other filters. */
export const PART_KEYS = [
  'method',
  'host',
  'source',
  'protocol',
  'webSocket',
  'url',
  'path',
  'query',
  'headers',
  'cookies',
  'body',
  'json',
  'form',
  'multipart',
  'graphql',
  'status',
  'fault',
] as const

/** A key of a filter that is about one thing. */
export type PartKey = (typeof PART_KEYS)[number]

const COMPILERS: { readonly [Key in PartKey]: (value: unknown) => FilterPart } = {
  method: compileMethod,
  host: compileHost,
  source: compileSource,
  protocol: compileProtocol,
  webSocket: compileWebSocket,
  url: compileUrl,
  path: compilePath,
  query: (value) =>
    namedPart('query', 'head', compileNamedValues('query', value, { hasText: true }), ({ request }) =>
      namedParameters(locate(request.url).search.slice(1)),
    ),
  headers: compileHeaders,
  cookies: (value) =>
    namedPart('cookies', 'head', compileNamedValues('cookies', value, {}), ({ request }) => namedCookies(request)),
  body: compileBody,
  json: compileJson,
  form: compileForm,
  multipart: compileMultipart,
  graphql: compileGraphql,
  status: compileStatus,
  fault: compileFault,
}

/**
 * Compiles one key of a filter.
 *
 * @throws {@link MitmError} `MITM_INVALID_FILTER` when the value cannot be.
 */
export function compilePart(key: PartKey, value: unknown): FilterPart {
  const part = COMPILERS[key](value)
  const isPure = PURE_KEYS.has(key) && (typeof value === 'string' || types.isRegExp(value)) && !part.isForWebSockets
  return isPure ? { ...part, isPure } : part
}

function compileHeaders(value: unknown): FilterPart {
  const test = compileNamedValues('headers', value, { isHeaders: true })
  const part = namedPart('headers', 'head', test, ({ request }) => namedHeaders(request))
  if (typeof value !== 'object' || value === null || isAsymmetricMatcher(value)) return part
  const [demanded] = Object.entries(value).flatMap(([name, wanted]) =>
    wanted === undefined ? [] : [name.toLowerCase()],
  )
  return demanded === undefined ? part : { ...part, demandsField: demanded }
}

/** The keys whose parts look at nothing but method and URL. */
const PURE_KEYS: ReadonlySet<PartKey> = new Set<PartKey>(['method', 'host', 'url', 'path', 'query'])
