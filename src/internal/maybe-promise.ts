/** Hooks may be synchronous: these keep the hot path free of promises where nobody made one. */

/** A value, or a promise of one. */
export type MaybePromise<T> = T | Promise<T>

/** Whether `value` must be awaited. */
export function isPromise<T>(value: MaybePromise<T> | PromiseLike<T>): value is Promise<T> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}

/**
 * Runs a step, and what comes after it: at once where the step is synchronous.
 *
 * @param failed - Told of what either throws or rejects with.
 */
export function runStep(
  step: () => MaybePromise<void>,
  after: (() => void) | undefined,
  failed: (error: unknown) => void,
): void {
  try {
    const wait = step()
    if (isPromise(wait)) void wait.then(after).catch(failed)
    else after?.()
  } catch (error) {
    failed(error)
  }
}
