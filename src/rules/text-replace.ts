/** Replacements in the text of a body. */
import { types } from 'node:util'

import { show } from './filter-text.ts'

/** Given what a pattern found and its groups, says what takes its place. */
export type Replacer = (match: string, ...groups: string[]) => string

/**
 * What is looked for, and what takes its place, as with `String.replaceAll()` for a text and `String.replace()` for a
 * RegExp: one without the flag `g` replaces the first only, and `$1`, `$&` and so on have their meaning.
 */
export type Replacement = readonly [pattern: string | RegExp, replacement: string | Replacer]

/** What is wrong with replacements, in words; undefined when nothing is. */
export function problemWithReplace(replace: unknown): string | undefined {
  if (!Array.isArray(replace)) return `replace is ${show(replace)}, expected [pattern, replacement] or a list of them`
  if (isPair(replace)) return problemWithPair(replace, 'replace')
  for (const [at, pair] of (replace as readonly unknown[]).entries()) {
    const problem = problemWithPair(pair, `replace[${at}]`)
    if (problem) return problem
  }
  return undefined
}

function problemWithPair(pair: unknown, name: string): string | undefined {
  if (!Array.isArray(pair) || pair.length !== 2) return `${name} is ${show(pair)}, expected [pattern, replacement]`
  const [pattern, replacement] = pair as readonly unknown[]
  if (pattern === '' || (typeof pattern !== 'string' && !types.isRegExp(pattern))) {
    return `${name} has the pattern ${show(pattern)}, expected a text that is not empty, or a RegExp`
  }
  if (typeof replacement === 'string' || typeof replacement === 'function') return undefined
  return `${name} has the replacement ${show(replacement)}, expected a text or a function`
}

function isPair(value: readonly unknown[]): boolean {
  return value.length === 2 && (typeof value[0] === 'string' || types.isRegExp(value[0]))
}

/** What checked replacements make of a text, each of what the one before made. @throws TypeError for a wrong function */
export function replaceText(text: string, replace: Replacement | readonly Replacement[]): string {
  // Boundary: as checked.
  const pairs = isPair(replace) ? [replace as Replacement] : (replace as readonly Replacement[])
  let changed = text
  for (const [pattern, replacement] of pairs) {
    const by = typeof replacement === 'function' ? checked(replacement) : replacement
    // Two calls, as they are two overloads.
    if (typeof pattern === 'string') {
      changed = typeof by === 'string' ? changed.replaceAll(pattern, by) : changed.replaceAll(pattern, by)
    } else changed = typeof by === 'string' ? changed.replace(pattern, by) : changed.replace(pattern, by)
  }
  return changed
}

function checked(replacer: Replacer): Replacer {
  return (match, ...groups) => {
    const result: unknown = replacer(match, ...groups)
    if (typeof result === 'string') return result
    throw new TypeError(`the function for replace returned ${show(result)}, expected a text`)
  }
}
