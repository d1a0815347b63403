/** The time in which a server must begin to answer: for the oldest exchange alone, as responses come in their order. */
import type { Transfer } from './transfer.ts'

/** Watches the exchange whose response is due next. */
export class ResponseDeadline {
  readonly #timeoutMs: number | undefined
  #watched: Transfer | undefined
  #timer: NodeJS.Timeout | undefined

  /** @param timeoutMs - From the end of a request on; undefined: as long as it takes. */
  constructor(timeoutMs: number | undefined) {
    this.#timeoutMs = timeoutMs
  }

  /** Notes which response is due, whenever something about that may have changed. If it comes too late, its `onLate` is called. */
  watch(oldest: Transfer | undefined): void {
    if (this.#timeoutMs === undefined) return
    const due = oldest && oldest.isRequestOver && oldest.status === 0 && !oldest.isOver ? oldest : undefined
    if (due === this.#watched) return
    this.#watched = due
    clearTimeout(this.#timer)
    if (!due) return
    this.#timer = setTimeout(() => due.onLate?.(), this.#timeoutMs)
  }

  /** Begins the time anew: the server has said that it is at work. */
  prolong(): void {
    if (this.#watched) this.#timer?.refresh()
  }
}
