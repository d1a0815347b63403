/** What each key of a filter asks. */
import { compileBody, compileForm, compileJson } from './filter-body.ts'
import { compileGraphql } from './filter-graphql.ts'
import {
  compileHost,
  compileMethod,
  compilePath,
  compileProtocol,
  compileSource,
  compileUrl,
} from './filter-location.ts'
import { compileMultipart } from './filter-multipart.ts'
import { compileFault, compileStatus } from './filter-outcome.ts'
import { namedPart } from './filter-part.ts'
import type { FilterPart } from './filter-part.ts'
import { compileNamedValues, namedCookies, namedHeaders, namedParameters } from './named-values.ts'
import { locate } from './request-location.ts'

/** The keys of a filter that are about one thing each, the cheapest to ask first. `not` is about other filters. */
export const PART_KEYS = [
  'method',
  'host',
  'source',
  'protocol',
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
  url: compileUrl,
  path: compilePath,
  query: (value) =>
    namedPart('query', 'head', compileNamedValues('query', value, { hasText: true }), ({ request }) =>
      namedParameters(locate(request.url).search.slice(1)),
    ),
  headers: (value) =>
    namedPart('headers', 'head', compileNamedValues('headers', value, { isHeaders: true }), ({ request }) =>
      namedHeaders(request),
    ),
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
  return COMPILERS[key](value)
}
