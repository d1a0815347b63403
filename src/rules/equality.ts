/** Whether a value is what was expected, down to the leaves, and if not, where it differs. */
import { types } from 'node:util'

import { functionName, show } from './filter-text.ts'
import { isAsymmetricMatcher, testRegExp, verdict } from './predicate.ts'

/** Most differences that are told of one value. */
const MAX_DIFFERENCES = 5

/**
 * Says where `actual` differs from `expected`, at most five places: `at items[0].eur is 41, expected 42`. Empty when it
 * does not. In `expected`, at any depth, a RegExp is tested on strings, a matcher or function is asked, and an object
 * with `toJSON` (a `Date`) stands for what that returns.
 *
 * @param mode - `subset`: objects may have more keys than expected, arrays must have the same length. `exact`: neither.
 * @throws What a function or matcher in `expected` throws.
 */
export function differences(actual: unknown, expected: unknown, mode: 'subset' | 'exact' = 'subset'): string[] {
  const found: string[] = []
  compare(actual, expected, '', mode === 'subset', found)
  return found
}

function compare(actual: unknown, expected: unknown, path: string, isSubset: boolean, found: string[]): void {
  if (found.length >= MAX_DIFFERENCES) return
  const at = path ? `at ${path} ` : ''
  if (typeof expected === 'function') {
    if (!verdict((expected as (actual: unknown) => unknown)(actual))) {
      found.push(`${at}is ${show(actual)}, which ${functionName(expected)} refused`)
    }
  } else if (isAsymmetricMatcher(expected)) {
    if (!verdict(expected.asymmetricMatch(actual))) found.push(`${at}is ${show(actual)}, expected ${show(expected)}`)
  } else if (types.isRegExp(expected)) {
    if (typeof actual !== 'string' || !testRegExp(expected, actual)) {
      found.push(`${at}is ${show(actual)}, expected text that matches ${expected}`)
    }
  } else if (typeof expected !== 'object' || expected === null) {
    if (actual !== expected && !(Number.isNaN(actual) && Number.isNaN(expected))) {
      found.push(`${at}is ${show(actual)}, expected ${show(expected)}`)
    }
  } else if ('toJSON' in expected && typeof expected.toJSON === 'function') {
    compare(actual, (expected.toJSON as () => unknown)(), path, isSubset, found)
  } else if (typeof actual !== 'object' || actual === null || Array.isArray(actual) !== Array.isArray(expected)) {
    found.push(`${at}is ${show(actual)}, expected ${show(expected)}`)
  } else if (Array.isArray(expected) && Array.isArray(actual)) {
    compareArrays(actual, expected, path, isSubset, found)
  } else {
    compareObjects(actual, expected, path, isSubset, found)
  }
}

function compareArrays(
  actual: readonly unknown[],
  expected: readonly unknown[],
  path: string,
  isSubset: boolean,
  found: string[],
): void {
  if (actual.length !== expected.length) {
    found.push(`${path ? `at ${path} ` : ''}has ${actual.length} items, expected ${expected.length}`)
    return
  }
  for (const [index, item] of expected.entries()) compare(actual[index], item, `${path}[${index}]`, isSubset, found)
}

function compareObjects(actual: object, expected: object, path: string, isSubset: boolean, found: string[]): void {
  // Own properties only: a key such as "constructor" is data here.
  const own = new Map<string, unknown>(Object.entries(actual))
  for (const [name, value] of Object.entries(expected)) {
    if (own.has(name) || value !== undefined) compare(own.get(name), value, pathTo(path, name), isSubset, found)
  }
  if (isSubset) return
  for (const name of own.keys()) {
    if (!Object.hasOwn(expected, name)) found.push(`has ${pathTo(path, name)}, which was not expected`)
  }
}

function pathTo(path: string, name: string): string {
  if (!/^[\w$-]+$/.test(name)) return `${path}[${JSON.stringify(name)}]`
  return path ? `${path}.${name}` : name
}
