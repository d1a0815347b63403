/** What is known of hosts, so that it need not be found out for each connection and each request. */
import type { Destination } from '../protocol.ts'

/** More hosts than a test has: what is known of them is then found out anew. */
const MAX_HOSTS = 1000

/** Answers a question about hosts, and remembers the answer. */
export class HostMemory {
  readonly #known = new Map<string, boolean>()

  /** @param find - Finds it out; `isLasting`: whether it stays so until `clear()`. */
  recall(
    { host, port, tls }: Destination,
    find: () => { readonly answer: boolean; readonly isLasting: boolean },
  ): boolean {
    const key = `${host}:${port}:${tls}`
    const before = this.#known.get(key)
    if (before !== undefined) return before
    const { answer, isLasting } = find()
    if (isLasting) {
      if (this.#known.size >= MAX_HOSTS) this.#known.clear()
      this.#known.set(key, answer)
    }
    return answer
  }

  /** Forgets all of it. */
  clear(): void {
    this.#known.clear()
  }
}
