/** What a worker waits for before it goes on: that nothing stops it, and that it is time. */
export class Stop {
  #isStopped = false
  #isClosed = false
  #wakers: (() => void)[] = []

  /** Stops whoever waits, or lets him go on. */
  set(isStopped: boolean): void {
    if (this.#isStopped === isStopped) return
    this.#isStopped = isStopped
    if (!isStopped) this.wake()
  }

  /** Lets whoever waits look again. */
  wake(): void {
    for (const wake of this.#wakers.splice(0)) wake()
  }

  /** Lets nothing wait any more. */
  close(): void {
    this.#isClosed = true
    this.wake()
  }

  /** Resolves when nothing stops. */
  async whenOpen(): Promise<void> {
    while (this.#isStopped && !this.#isClosed) await this.#wait()
  }

  /** Resolves at a moment on the clock of `performance.now()`, or when the reason for waiting is gone. */
  async until(atMs: number, isNeeded: () => boolean): Promise<void> {
    for (;;) {
      const ms = atMs - performance.now()
      // Timers run out up to a millisecond early.
      if (ms <= 0.5 || this.#isClosed || !isNeeded()) return
      await this.#wait(ms)
    }
  }

  #wait(ms?: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = ms === undefined ? undefined : setTimeout(resolve, ms)
      this.#wakers.push(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }
}
