/** Waits for promises that may never settle, until nobody wants that any more. */

/** What was waited for was given up. */
export const STOPPED: unique symbol = Symbol('stopped')

/**
 * Waits for promises, and gives up all of them at once. Unlike `Promise.race` with a promise that lives long, it keeps
 * nothing of what has settled.
 */
export class Unless {
  #isStopped = false
  readonly #stops = new Set<() => void>()

  /** Gives up what is waited for, and what will be. */
  stop(): void {
    this.#isStopped = true
    for (const stop of this.#stops) stop()
    this.#stops.clear()
  }

  /** What a promise comes to, or {@link STOPPED}. When it rejects after that, nobody is told. */
  settled<T>(promise: Promise<T>): Promise<T | typeof STOPPED> {
    return new Promise((resolve, reject) => {
      const stop = (): void => resolve(STOPPED)
      if (this.#isStopped) stop()
      else this.#stops.add(stop)
      promise.finally(() => this.#stops.delete(stop)).then(resolve, reject)
    })
  }
}
