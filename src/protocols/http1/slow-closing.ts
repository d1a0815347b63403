/** The ends of a connection that a fault holds back. */
import type { Side } from '../../errors.ts'

/** Holds the ends of a connection back, for as long as the slowest of its faults said. */
export class SlowClosing {
  readonly #delayMs = { client: 0, server: 0 }
  #stopWaiting: (() => void) | undefined

  /** Whether the end towards a side has to wait. */
  isSlow(side: Side): boolean {
    return this.#delayMs[side] > 0
  }

  /** Lets the end towards a side wait so long. */
  slow(side: Side, ms: number): void {
    this.#delayMs[side] = Math.max(this.#delayMs[side], ms)
  }

  /** Waits for as long as the end towards a side has to wait. */
  async wait(side: Side): Promise<void> {
    const ms = this.#delayMs[side]
    if (ms === 0) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#stopWaiting = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  /** Lets nothing wait any more. */
  stop(): void {
    this.#stopWaiting?.()
  }
}
