/**
 * Waits for a promise, but no longer than `timeoutMs`. The work behind the promise is not stopped; when it fails after the
 * deadline, nobody is told.
 *
 * @param promise - What is waited for.
 * @param timeoutMs - Milliseconds; the timer is gone as soon as this function has settled.
 * @param makeError - Makes what is thrown when the time is up.
 */
export async function withDeadline<T>(promise: PromiseLike<T>, timeoutMs: number, makeError: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const expired = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(makeError()), timeoutMs)
  })
  try {
    return await Promise.race([promise, expired])
  } finally {
    clearTimeout(timer)
  }
}
