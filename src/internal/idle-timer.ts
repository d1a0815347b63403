/** A timer that runs out when nothing has happened for a while. */

/** How many times the timer looks in the time it waits for. */
const LOOKS = 8

/** Tells when nothing has happened for a while: for `timeoutMs`, and at most an eighth longer. */
export class IdleTimer {
  readonly #timer: NodeJS.Timeout
  #quietLooks = 0

  /**
   * @param timeoutMs - Milliseconds without {@link IdleTimer.touch}.
   * @param onIdle - Called once, when they are over.
   */
  constructor(timeoutMs: number, onIdle: () => void) {
    this.#timer = setInterval(
      () => {
        if (++this.#quietLooks <= LOOKS) return
        this.stop()
        onIdle()
      },
      Math.max(1, timeoutMs / LOOKS),
    )
    this.#timer.unref()
  }

  /** Something happened: the time starts anew. Costs next to nothing, as it is called for every chunk. */
  touch(): void {
    this.#quietLooks = 0
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}
