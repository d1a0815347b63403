/** Changes of JSON values: merge patches (RFC 7396) and patches (RFC 6902). */
import { applyPatch } from 'rfc6902'

import { show } from './filter-text.ts'

/** One operation of a JSON Patch (RFC 6902 section 4); `path` and `from` are JSON Pointers (RFC 6901). */
export type JsonPatchOperation =
  | { readonly op: 'add' | 'replace' | 'test'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string }
  | { readonly op: 'move' | 'copy'; readonly path: string; readonly from: string }

const NEEDS: Readonly<Record<string, readonly string[]>> = {
  add: ['value'],
  replace: ['value'],
  test: ['value'],
  remove: [],
  move: ['from'],
  copy: ['from'],
}

/** What is wrong with a JSON Patch, in words; undefined when nothing is. */
export function problemWithJsonPatch(patch: unknown): string | undefined {
  if (!Array.isArray(patch)) return `jsonPatch is ${show(patch)}, expected a list of operations`
  for (const [at, operation] of (patch as readonly unknown[]).entries()) {
    const problem = problemWithOperation(operation)
    if (problem) return `jsonPatch[${at}] ${problem}`
  }
  return undefined
}

function problemWithOperation(operation: unknown): string | undefined {
  if (typeof operation !== 'object' || operation === null) return `is ${show(operation)}, expected { op, path, … }`
  const given = new Map<string, unknown>(Object.entries(operation))
  const op = given.get('op')
  const needs = typeof op === 'string' && Object.hasOwn(NEEDS, op) ? NEEDS[op] : undefined
  if (!needs) return `has the op ${show(op)}, expected ${Object.keys(NEEDS).join(', ')}`
  const missing = needs.find((key) => given.get(key) === undefined)
  if (missing !== undefined) return `is ${show(op)} without ${missing}`
  const wrong = ['path', ...needs.filter((key) => key === 'from')].find((key) => !isPointer(given.get(key)))
  return wrong === undefined
    ? undefined
    : `has the ${wrong} ${show(given.get(wrong))}, expected a JSON Pointer such as "/a/0"`
}

function isPointer(value: unknown): boolean {
  return typeof value === 'string' && /^(?:\/(?:[^~/]|~[01])*)*$/.test(value)
}

/**
 * What a checked JSON Patch makes of a value, which may be changed by that.
 *
 * @throws Error naming the operation that could not be done; then none of them is.
 * @see RFC 6902: https://www.rfc-editor.org/rfc/rfc6902
 */
export function patchJson(value: unknown, patch: readonly JsonPatchOperation[]): unknown {
  // In an object of our own: an operation may replace the whole value.
  const holder = { value }
  // A copy: the value must not share anything with the rule. Boundary: the library wants lists that it could write to.
  const operations = patch.map((operation) => ({
    ...structuredClone(operation),
    path: `/value${operation.path}`,
    ...('from' in operation && { from: `/value${operation.from}` }),
  })) as Parameters<typeof applyPatch>[1]
  for (const [at, failure] of applyPatch(holder, operations).entries()) {
    if (!failure) continue
    const { op, path } = patch[at] ?? { op: '', path: '' }
    const reason = failure.name === 'MissingError' ? 'there is nothing at that path' : failure.message
    throw new Error(`jsonPatch[${at}] (${op} ${JSON.stringify(path)}) cannot be done: ${reason}`)
  }
  return holder.value
}

/**
 * What a merge patch makes of a value: objects are merged key by key, null takes a key away, all else is replaced.
 *
 * @see RFC 7396 section 2: https://www.rfc-editor.org/rfc/rfc7396#section-2
 */
export function mergeJson(value: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch
  const merged = new Map<string, unknown>(isObject(value) ? Object.entries(value) : [])
  for (const [key, change] of Object.entries(patch)) {
    if (change === null) merged.delete(key)
    else if (change !== undefined) merged.set(key, mergeJson(merged.get(key), change))
  }
  return Object.fromEntries(merged)
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
