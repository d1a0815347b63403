/** Hooks may be synchronous: these keep the hot path free of promises where nobody made one. */

/** A value, or a promise of one. */
export type MaybePromise<T> = T | Promise<T>

/** Whether `value` must be awaited. */
export function isPromise<T>(value: MaybePromise<T> | PromiseLike<T>): value is Promise<T> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}
