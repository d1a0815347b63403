/** What is done once more without being counted, because a browser tries again by itself. */
import type { Destination } from '../protocol.ts'

/** How long a browser's own second try is expected: it comes at once. */
const WITHIN_MS = 500

interface Repeat<Use> {
  readonly key: string
  readonly untilMs: number
  readonly use: Use
}

/** The uses of a rule that may be had once more, by the destination. */
export class Repeats<Use> {
  #open: readonly Repeat<Use>[] = []

  /** Lets the next connection to a destination have a use again, within half a second. */
  allow(destination: Destination, use: Use): void {
    this.#open = [...this.#open, { key: keyOf(destination), untilMs: performance.now() + WITHIN_MS, use }]
  }

  /** The use that a connection to a destination has again; undefined when there is none. */
  take(destination: Destination): Use | undefined {
    if (this.#open.length === 0) return undefined
    const now = performance.now()
    const key = keyOf(destination)
    const found = this.#open.find((repeat) => repeat.key === key && repeat.untilMs >= now)
    this.#open = this.#open.filter((repeat) => repeat !== found && repeat.untilMs >= now)
    return found?.use
  }
}

function keyOf({ host, port }: Destination): string {
  return `${host.toLowerCase()}:${port}`
}
