/** How filters and rules put values into words, and the error for a filter that cannot be. */
import { types } from 'node:util'

import { MitmError } from '../errors.ts'
import { isAsymmetricMatcher } from './predicate.ts'

const MAX_TEXT = 200

/** The error for a filter that has a key or value it cannot have. */
export function invalidFilter(key: string, value: unknown, expected: string): MitmError {
  return new MitmError('MITM_INVALID_FILTER', `Cannot use filter: ${key} is ${show(value)}, expected ${expected}`)
}

/** A value in words, at most about 200 characters: JSON where it has that, with RegExps, functions and matchers inside. */
export function show(value: unknown): string {
  const text = words(value, 0)
  return text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text
}

/** The name of a function, or `a function`. */
export function functionName(value: { readonly name: string }): string {
  return value.name ? `${value.name}()` : 'a function'
}

/** The words of a filter's parts, as one. */
export function textOf(parts: readonly { readonly key: string; readonly text: string }[]): string {
  const method = parts.find(({ key }) => key === 'method')
  const url = parts.find(({ key }) => key === 'url')
  const others = parts.filter((part) => part !== method && part !== url).map(({ text }) => text)
  const lead = url ? [method?.text, url.text].filter(Boolean).join(' ') : `any ${method?.text ?? ''} request`
  return [lead.replace('  ', ' '), others.join(' and ')].filter(Boolean).join(' ')
}

function words(value: unknown, depth: number): string {
  if (typeof value === 'function') return functionName(value)
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'string') return JSON.stringify(value.slice(0, MAX_TEXT * 2))
  if (typeof value !== 'object' || value === null) return String(value)
  if (types.isRegExp(value)) return String(value)
  if (types.isUint8Array(value)) return `${value.length} octets`
  if (isAsymmetricMatcher(value)) return matcherWords(value, depth)
  if (depth > 5) return '…'
  if (Array.isArray(value)) return `[${value.map((item) => words(item, depth + 1)).join(',')}]`
  if ('toJSON' in value && typeof value.toJSON === 'function') return JSON.stringify(value) ?? 'undefined'
  const entries = Object.entries(value).map(([name, item]) => `${JSON.stringify(name)}:${words(item, depth + 1)}`)
  return `{${entries.join(',')}}`
}

function matcherWords(matcher: object, depth: number): string {
  // oxlint-disable-next-line typescript/no-base-to-string -- matchers say their own name
  const name = 'toString' in matcher ? String(matcher) : 'matcher'
  const word = name === '[object Object]' ? 'a matcher' : name
  return 'sample' in matcher && matcher.sample !== undefined && depth <= 5
    ? `${word} ${words(matcher.sample, depth + 1)}`
    : word
}
