/** When what of an exchange had come. */

const NEVER = -1

/**
 * Moments of an exchange, in milliseconds since its start (`startedAt`), to the microsecond; undefined before they come.
 */
export class ExchangeTimings {
  // Whole microseconds: small integers take no memory of their own, and every exchange is kept.
  #requestEndUs = NEVER
  #responseStartUs = NEVER
  #endUs = NEVER

  /** When the last octet of the request had come. */
  get requestEndMs(): number | undefined {
    return toMs(this.#requestEndUs)
  }

  set requestEndMs(value: number) {
    this.#requestEndUs = Math.round(value * 1000)
  }

  /** When the head of the final response had come. */
  get responseStartMs(): number | undefined {
    return toMs(this.#responseStartUs)
  }

  set responseStartMs(value: number) {
    this.#responseStartUs = Math.round(value * 1000)
  }

  /** When the exchange was over. */
  get endMs(): number | undefined {
    return toMs(this.#endUs)
  }

  set endMs(value: number) {
    this.#endUs = Math.round(value * 1000)
  }
}

function toMs(us: number): number | undefined {
  return us === NEVER ? undefined : us / 1000
}
