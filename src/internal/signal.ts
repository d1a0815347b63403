/** Tells waiters that something may have changed, so that nobody polls. */

/** How a wait came out. */
export type WaitOutcome<T> = { state: 'met'; value: T } | { state: 'timeout' } | { state: 'ended' }

/** How long {@link Signal.until} waits. */
export interface WaitOptions {
  /** Longest wait in milliseconds; with 0 only the first check is made. @defaultValue no limit */
  timeoutMs?: number | undefined
  /** Gives up the wait: the promise is rejected with the reason of this signal. */
  signal?: AbortSignal | undefined
}

/** What Node's timers can hold. */
const MAX_TIMER_MS = 2 ** 31 - 1

/**
 * Tells waiters that something may have changed. It carries no value: whoever is told looks for himself.
 *
 * Several `fire()` of one tick are told once, in a microtask; every change is followed by at least one look at it.
 */
export class Signal {
  readonly #listeners = new Set<() => void>()
  readonly #enders = new Set<() => void>()
  #isScheduled = false
  #isEnded = false

  /** Whether {@link Signal.end} has been called. */
  get isEnded(): boolean {
    return this.#isEnded
  }

  /** Whether anybody is told when it fires. */
  get isHeard(): boolean {
    return this.#listeners.size > 0
  }

  /**
   * Adds a listener. One that throws does not keep the others from being told; the error becomes a process warning.
   *
   * @returns What takes the listener out again.
   */
  subscribe(listener: () => void): () => void {
    // A wrapper of its own, so that one function can be added twice and be taken out once.
    const entry = (): void => listener()
    this.#listeners.add(entry)
    return () => void this.#listeners.delete(entry)
  }

  /** Says that something may have changed. Costs next to nothing when nobody listens. */
  fire(): void {
    if (this.#isScheduled || this.#listeners.size === 0) return
    this.#isScheduled = true
    queueMicrotask(() => {
      this.#isScheduled = false
      for (const listener of [...this.#listeners]) {
        // One told before it may have taken this one out.
        if (this.#listeners.has(listener)) callSafely(listener)
      }
    })
  }

  /** Settles every wait, after a last check, with `ended`; new ones too after their first. Idempotent. */
  end(): void {
    if (this.#isEnded) return
    this.#isEnded = true
    for (const end of [...this.#enders]) end()
    this.fire()
  }

  /**
   * Waits until `check` returns something other than undefined. It is called at once, and again after every `fire()`.
   *
   * @param check - Looks whether it has happened. What it throws rejects the promise.
   * @returns What `check` returned, or why the wait was given up.
   */
  until<T>(check: () => T | undefined, options: WaitOptions = {}): Promise<WaitOutcome<T>> {
    const { timeoutMs, signal } = options
    return new Promise((resolve, reject) => {
      let isSettled = false
      let timer: NodeJS.Timeout | undefined
      let unsubscribe = (): void => {}

      const release = (): void => {
        isSettled = true
        unsubscribe()
        this.#enders.delete(onEnd)
        clearTimeout(timer)
        signal?.removeEventListener('abort', onAbort)
      }
      // `last` is what the wait comes to when this look is the last one.
      const look = (last?: WaitOutcome<T>): void => {
        if (isSettled) return
        try {
          const value = check()
          const outcome: WaitOutcome<T> | undefined = value === undefined ? last : { state: 'met', value }
          if (!outcome) return
          release()
          resolve(outcome)
        } catch (error) {
          release()
          reject(error)
        }
      }
      const onEnd = (): void => look({ state: 'ended' })
      const onAbort = (): void => {
        release()
        reject(signal?.reason)
      }

      if (signal?.aborted) return onAbort()
      if (this.#isEnded) return onEnd()
      if (timeoutMs !== undefined && timeoutMs <= 0) return look({ state: 'timeout' })
      look()
      if (isSettled) return
      unsubscribe = this.subscribe(look)
      this.#enders.add(onEnd)
      signal?.addEventListener('abort', onAbort, { once: true })
      if (timeoutMs !== undefined && timeoutMs <= MAX_TIMER_MS) {
        timer = setTimeout(() => look({ state: 'timeout' }), timeoutMs)
      }
    })
  }
}

function callSafely(listener: () => void): void {
  try {
    listener()
  } catch (error) {
    process.emitWarning(error instanceof Error ? error : String(error))
  }
}
