/** The ends of a connection that a fault holds back. */
import type { Side } from '../../errors.ts'

/** Holds the ends of a connection back, for as long as the slowest of its faults said. */
export class SlowClosing {
  readonly #slowest: { [Name in Side]?: { readonly ms: number; readonly acted: () => void } } = {}
  #stopWaiting: (() => void) | undefined

  /** Whether the end towards a side has to wait. */
  isSlow(side: Side): boolean {
    return this.#slowest[side] !== undefined
  }

  /** Lets the end towards a side wait so long; `acted` is told when it does. */
  slow(side: Side, ms: number, acted: () => void): void {
    if (ms > (this.#slowest[side]?.ms ?? 0)) this.#slowest[side] = { ms, acted }
  }

  /** Waits for as long as the end towards a side has to wait. */
  async wait(side: Side): Promise<void> {
    const slowest = this.#slowest[side]
    if (!slowest) return
    slowest.acted()
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, slowest.ms)
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
