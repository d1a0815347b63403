/** A map of limited size that forgets what was not asked for the longest. */
export class Lru<Key, Value> {
  readonly #limit: number
  // A Map iterates in the order of insertion, so the first key is always the oldest.
  readonly #entries = new Map<Key, Value>()

  /** @param limit - How many entries are kept; a whole number of at least 1. */
  constructor(limit: number) {
    this.#limit = limit
  }

  /** How many entries there are. */
  get size(): number {
    return this.#entries.size
  }

  /** The value of `key`, which becomes the newest; undefined when there is none. */
  get(key: Key): Value | undefined {
    const value = this.#entries.get(key)
    if (value === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, value)
    return value
  }

  /** Sets the value of `key`, as the newest, and forgets the oldest entry when there are too many. */
  set(key: Key, value: Value): void {
    this.#entries.delete(key)
    this.#entries.set(key, value)
    if (this.#entries.size <= this.#limit) return
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest)
      return
    }
  }

  /**
   * Forgets `key`.
   *
   * @param onlyIf - Forget it only while this is its value, so that a late clean-up spares a newer entry.
   * @returns Whether an entry was forgotten.
   */
  delete(key: Key, onlyIf?: Value): boolean {
    if (onlyIf !== undefined && this.#entries.get(key) !== onlyIf) return false
    return this.#entries.delete(key)
  }
}
