/** Calls functions that users gave to a rule, so that what they throw names the rule. */
import type { MitmError } from '../errors.ts'
import { isPromise } from '../internal/maybe-promise.ts'
import type { MaybePromise } from '../internal/maybe-promise.ts'

/** `next` of what `first` gives or promises; what `first` throws goes to `blame`. */
export function chain<T, Result>(
  first: () => MaybePromise<T>,
  next: (value: T) => MaybePromise<Result>,
  blame: (cause: unknown) => MitmError,
): MaybePromise<Result> {
  let value: MaybePromise<T>
  try {
    value = first()
  } catch (error) {
    throw blame(error)
  }
  if (!isPromise(value)) return next(value)
  return chainLater(value, next, blame)
}

async function chainLater<T, Result>(
  promise: Promise<T>,
  next: (value: T) => MaybePromise<Result>,
  blame: (cause: unknown) => MitmError,
): Promise<Result> {
  let value: T
  try {
    value = await promise
  } catch (error) {
    throw blame(error)
  }
  return next(value)
}
