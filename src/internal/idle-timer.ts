/** A timer that runs out when nothing has happened for a while. */
export class IdleTimer {
  readonly #timer: NodeJS.Timeout

  /**
   * @param timeoutMs - Milliseconds without {@link IdleTimer.touch}.
   * @param onIdle - Called once, when they are over.
   */
  constructor(timeoutMs: number, onIdle: () => void) {
    this.#timer = setTimeout(onIdle, timeoutMs)
    this.#timer.unref()
  }

  /** Something happened: the time starts anew. */
  touch(): void {
    this.#timer.refresh()
  }

  stop(): void {
    clearTimeout(this.#timer)
  }
}
