/** What handlers remember, kept apart for each mitm: they are often made once for many tests. */
import { property } from './handlers.ts'
import type { MswRequestHandler } from './handlers.ts'

/** What MSW asks of the class of a handler. It remembers nothing there, but the class may be one with private fields. */
const OF_ITS_CLASS = ['parse', 'predicate', 'extendResolverArgs', 'log']

/**
 * A handler with what it remembers (`once`, how far a generator has come) of its own: it begins as if it had never been
 * asked, and what it does leaves no trace in the given one. MSW keeps all of it in properties.
 */
export function withOwnState(handler: MswRequestHandler): MswRequestHandler {
  // A boundary: what has a handler as its prototype is one.
  const own = Object.create(handler) as MswRequestHandler
  const state: Readonly<Record<string, unknown>> = {
    isUsed: false,
    resolverIterator: undefined,
    resolverIteratorResult: undefined,
    resolverIteratorCleanups: undefined,
    scheduledCleanups: new Map(),
  }
  for (const [key, value] of Object.entries(state)) define(own, key, value)
  for (const key of OF_ITS_CLASS) {
    const method = property(handler, key)
    if (typeof method === 'function') define(own, key, method.bind(handler))
  }
  return own
}

function define(of: object, key: string, value: unknown): void {
  Object.defineProperty(of, key, { value, writable: true, configurable: true })
}

/** Lets generators begin anew, as MSW does when handlers are reset. */
export function forgetProgress(own: MswRequestHandler): void {
  if (call(own, 'reset')) return
  define(own, 'resolverIterator', undefined)
  define(own, 'resolverIteratorResult', undefined)
}

/** Lets a handler for one request answer once more, as `restoreHandlers()` of MSW does. */
export function restore(own: MswRequestHandler): void {
  if (!call(own, 'restore')) own.isUsed = false
}

/** Calls a method that not all versions and kinds of handlers have. @returns Whether it is there */
export function call(handler: object, name: string): boolean {
  const method = property(handler, name)
  if (typeof method !== 'function') return false
  method.call(handler)
  return true
}
