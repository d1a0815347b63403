/** Reads something asynchronous that may never come, until nobody wants it any more. */

/**
 * The same values, until `signal` aborts: then a pending `next()` rejects with its reason, and the source is returned
 * from. It is also when the reader stops early; nobody waits for the source to be done with that.
 */
export function abortable<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncIterable<T> {
  return {
    [Symbol.asyncIterator]: () => new AbortableIterator(source[Symbol.asyncIterator](), signal),
  }
}

/** Says that nobody will read a source. Never throws, and waits for nothing. */
export function discard(source: AsyncIterable<unknown> | undefined): void {
  if (source) stop(source[Symbol.asyncIterator]())
}

class AbortableIterator<T> implements AsyncIterator<T> {
  readonly #iterator: AsyncIterator<T>
  readonly #signal: AbortSignal
  #reject: ((reason: unknown) => void) | undefined
  #isStopped = false

  constructor(iterator: AsyncIterator<T>, signal: AbortSignal) {
    this.#iterator = iterator
    this.#signal = signal
    signal.addEventListener('abort', this.#onAbort)
  }

  next(): Promise<IteratorResult<T>> {
    if (this.#signal.aborted) {
      this.#onAbort()
      return Promise.reject(this.#reason)
    }
    return new Promise((resolve, reject) => {
      this.#reject = reject
      const settle = (result: IteratorResult<T>): void => {
        if (result.done) this.#over()
        resolve(result)
      }
      this.#iterator.next().then(settle, reject)
    })
  }

  return(): Promise<IteratorResult<T>> {
    this.#stop()
    return Promise.resolve({ done: true, value: undefined })
  }

  readonly #onAbort = (): void => {
    this.#reject?.(this.#reason)
    this.#stop()
  }

  get #reason(): Error {
    const { reason } = this.#signal
    return reason instanceof Error ? reason : new Error('aborted')
  }

  #stop(): void {
    if (this.#isStopped) return
    this.#over()
    stop(this.#iterator)
  }

  #over(): void {
    this.#isStopped = true
    this.#signal.removeEventListener('abort', this.#onAbort)
  }
}

function stop(iterator: AsyncIterator<unknown>): void {
  try {
    iterator.return?.().catch(() => undefined)
  } catch {
    // Whoever wrote it cannot be told: nobody reads it any more.
  }
}
