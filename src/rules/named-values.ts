/** Values by name, of which there may be several and more than were asked for: `query`, `headers`, `cookies` and `form`. */
import { types } from 'node:util'

import type { HttpRequest } from '../exchange.ts'
import { separatorOf } from '../http-message.ts'
import { differences } from './equality.ts'
import { invalidFilter, show } from './filter-text.ts'
import { isAsymmetricMatcher, testRegExp, verdict } from './predicate.ts'

/** What a message has. */
export interface NamedValues {
  /** As it stood there. */
  readonly text: string
  /** All of one name, in their order; `undefined` when there is none. */
  get(name: string): readonly string[] | undefined
  /** By name, those of one name that are several in an array. */
  toRecord(): Readonly<Record<string, string | readonly string[]>>
}

/** A compiled question about them. */
export interface NamedValuesTest {
  readonly text: string
  /** @throws What the user's predicate throws. */
  readonly misses: (actual: NamedValues) => readonly string[]
  /** Whether there are none; cheaper. @throws as `misses` */
  readonly matches: (actual: NamedValues) => boolean
}

/** The values of `a=1&b=2`. */
export function namedParameters(text: string): NamedValues {
  const parameters = new URLSearchParams(text)
  return {
    text,
    get: (name) => (parameters.has(name) ? parameters.getAll(name) : undefined),
    toRecord: () =>
      Object.fromEntries(
        [...new Set(parameters.keys())].map((name) => {
          const values = parameters.getAll(name)
          return [name, values.length === 1 ? (values[0] ?? '') : values]
        }),
      ),
  }
}

/** The header fields of a request. */
export function namedHeaders(request: HttpRequest): NamedValues {
  return {
    text: '',
    get(name) {
      const key = name.toLowerCase()
      if (request.headers[key] === undefined) return undefined
      return request.fields.filter(([field]) => field.toLowerCase() === key).map(([, value]) => value)
    },
    toRecord: () => request.headers,
  }
}

/** The cookies of a request (RFC 6265 section 4.2.1), their values out of percent-encoding where they are in it. */
export function namedCookies(request: HttpRequest): NamedValues {
  const values = new Map<string, string[]>()
  const text = request.fields
    .filter(([name]) => name.toLowerCase() === 'cookie')
    .map(([, value]) => value)
    .join('; ')
  for (const pair of text.split(';')) {
    const equals = pair.indexOf('=')
    // Browsers send a cookie without a name as its value alone.
    const name = pair.slice(0, Math.max(0, equals)).trim()
    const value = pair.slice(equals + 1).trim()
    if (name !== '' || value !== '') values.set(name, [...(values.get(name) ?? []), cookieValue(value)])
  }
  return {
    text,
    get: (name) => values.get(name),
    toRecord: () =>
      Object.fromEntries([...values].map(([name, all]) => [name, all.length === 1 ? (all[0] ?? '') : all])),
  }
}

function cookieValue(text: string): string {
  const bare = /^"(.*)"$/s.exec(text)?.[1] ?? text
  try {
    return decodeURIComponent(bare)
  } catch {
    return bare // it was not in percent-encoding
  }
}

/**
 * Compiles a `query`, `headers`, `cookies` or `form`.
 *
 * @throws {@link MitmError} `MITM_INVALID_FILTER`
 */
export function compileNamedValues(
  key: string,
  value: unknown,
  { hasText = false, isHeaders = false }: { hasText?: boolean; isHeaders?: boolean },
): NamedValuesTest {
  if (typeof value === 'function' || isAsymmetricMatcher(value)) {
    const differencesOf = (actual: NamedValues): readonly string[] => differences(actual.toRecord(), value)
    return {
      text: show(value),
      misses: (actual) => differencesOf(actual).map((difference) => `${key} ${difference}`),
      matches: (actual) => differencesOf(actual).length === 0,
    }
  }
  if (hasText && types.isRegExp(value)) {
    return {
      text: String(value),
      misses: ({ text }) => (testRegExp(value, text) ? [] : [`${key} is ${show(text)}, expected ${value}`]),
      matches: ({ text }) => testRegExp(value, text),
    }
  }
  const expected = hasText && typeof value === 'string' ? namedParameters(value.replace(/^\?/, '')).toRecord() : value
  if (Object.prototype.toString.call(expected) !== '[object Object]') {
    throw invalidFilter(
      key,
      value,
      `an object of values by name${hasText ? ', a text such as "a=1&b=2" or a RegExp' : ''}`,
    )
  }
  const headerName = (name: string): string | undefined => (isHeaders ? name.toLowerCase() : undefined)
  const entries = Object.entries(expected as object) // it has just been found to be one
  for (const [name, wanted] of entries) checkWanted(key, name, wanted)
  return {
    text: typeof value === 'string' ? show(value) : show(expected),
    misses: (actual) =>
      entries.flatMap(([name, wanted]) => {
        const values = actual.get(name)
        if (hasWanted(values, wanted, headerName(name))) return []
        const found = values === undefined ? 'absent' : show(values.length === 1 ? values[0] : values)
        return [`${key} at ${name} is ${found}, expected ${wanted === undefined ? 'none' : show(wanted)}`]
      }),
    matches: (actual) => entries.every(([name, wanted]) => hasWanted(actual.get(name), wanted, headerName(name))),
  }
}

/**
 * Checks what is asked about one value.
 *
 * @throws {@link MitmError} `MITM_INVALID_FILTER`
 */
export function checkWanted(key: string, name: string, wanted: unknown): void {
  const fits =
    wanted === undefined ||
    ['string', 'number', 'boolean', 'function'].includes(typeof wanted) ||
    types.isRegExp(wanted) ||
    isAsymmetricMatcher(wanted) ||
    (Array.isArray(wanted) && wanted.every((item) => typeof item === 'string'))
  if (!fits) {
    throw invalidFilter(
      `${key} at ${name}`,
      wanted,
      'a text, a number, an array of texts, a RegExp, a matcher, a function, or undefined for "is not there"',
    )
  }
}

/** Whether the values of one name are what was asked for. @param header - Its name in lower case, if it is that of a field. @throws What the user's predicate throws. */
export function hasWanted(values: readonly string[] | undefined, wanted: unknown, header?: string): boolean {
  if (wanted === undefined || values === undefined) return wanted === undefined && values === undefined
  if (Array.isArray(wanted)) return values.length === wanted.length && values.every((value, at) => value === wanted[at])
  if (values.some((value) => isOne(value, wanted))) return true
  if (values.length < 2) return false
  // Fields of one name are one list (RFC 9110 section 5.2); parameters of one name are not.
  return isOne(header === undefined ? values : values.join(separatorOf(header)), wanted)
}

function isOne(value: string | readonly string[], wanted: unknown): boolean {
  if (types.isRegExp(wanted)) return typeof value === 'string' && testRegExp(wanted, value)
  // Given to `some`, the functions above would pass on an index too: a matcher's method must stay one.
  if (typeof wanted === 'function') return verdict((wanted as (actual: unknown) => unknown)(value))
  if (isAsymmetricMatcher(wanted)) return verdict(wanted.asymmetricMatch(value))
  return value === String(wanted)
}
