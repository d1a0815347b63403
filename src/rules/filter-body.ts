/** The parts of a filter that look at the body of a request: `body`, `json` and `form`. */
import { types } from 'node:util'

import { octetDifference, textDifference } from './body-difference.ts'
import { differences } from './equality.ts'
import { compileTest, mediaTypeOf, namedPart, readBody, readingPart, Unreadable } from './filter-part.ts'
import type { FilterPart } from './filter-part.ts'
import { invalidFilter, show } from './filter-text.ts'
import { compileNamedValues, namedParameters } from './named-values.ts'

/** Compiles `body`. @throws {@link MitmError} `MITM_INVALID_FILTER` */
export function compileBody(value: unknown): FilterPart {
  const explain = compileContent('body', value)
  const text = types.isUint8Array(value) ? show(value) : compileTest('body', value, '', shownLiteral).text
  return readingPart('body', `with body ${text}`, (exchange) => {
    const { request } = exchange
    return explain({
      octets: () => readBody(exchange, () => request.decodedBody()),
      text: () => readBody(exchange, () => request.text()),
    })
  })
}

/** Some content, read in the way that is asked for. */
export interface ReadableContent {
  octets(): Uint8Array
  text(): string
}

/**
 * Compiles what is asked about some content: a text, octets, or what is asked about its text.
 *
 * @returns Why content does not match, or nothing. Throws what the user's predicate throws.
 * @throws {@link MitmError} `MITM_INVALID_FILTER`
 */
export function compileContent(key: string, value: unknown): (content: ReadableContent) => readonly string[] {
  if (types.isUint8Array(value)) {
    const expected = Buffer.from(value) // a copy: the filter must not change with the caller's buffer
    return (content) => {
      const actual = content.octets()
      return expected.equals(actual) ? [] : [`${key} ${octetDifference(actual, expected)}`]
    }
  }
  const test = compileTest(key, value, 'a text or a Buffer', shownLiteral)
  return (content) => {
    const actual = content.text()
    if (test.test(actual)) return []
    return [
      `${key} ${typeof value === 'string' ? textDifference(actual, value) : `is ${show(actual)}, expected ${test.text}`}`,
    ]
  }
}

/** Compiles `json`. @throws {@link MitmError} `MITM_INVALID_FILTER` */
export function compileJson(value: unknown): FilterPart {
  if (value === undefined) throw invalidFilter('json', value, 'a JSON value, a matcher or a function')
  return readingPart('json', `with json ${show(value)}`, (exchange) => {
    const actual = readBody(exchange, () => exchange.request.json())
    return differences(actual, value).map((difference) => `json ${difference}`)
  })
}

/** Compiles `form`. @throws {@link MitmError} `MITM_INVALID_FILTER` */
export function compileForm(value: unknown): FilterPart {
  const test = compileNamedValues('form', value, { hasText: true })
  const part = namedPart('form', 'body', test, (exchange) => {
    if (!isForm(mediaTypeOf(exchange))) {
      throw new Unreadable(`content-type is ${exchange.request.header('content-type')}`)
    }
    return namedParameters(readBody(exchange, () => exchange.request.text()))
  })
  return { ...part, headRefuses: (exchange) => !isForm(mediaTypeOf(exchange)) }
}

function isForm(mediaType: string): boolean {
  return mediaType === '' || mediaType === 'application/x-www-form-urlencoded'
}

function shownLiteral(literal: unknown): { text: string; test: (actual: unknown) => boolean } | undefined {
  return typeof literal === 'string' ? { text: show(literal), test: (actual) => actual === literal } : undefined
}
