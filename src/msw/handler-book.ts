/** The handlers of one mitm: adds them among its rules, takes them out, and resets them. */
import { noteCallSite } from '../internal/call-site.ts'
import type { ListedHandler } from '../rules/listed-handler.ts'
import { watchFetch } from './bypass.ts'
import type { HandlerDesk } from './handler-desk.ts'
import type { HandlerEntry } from './handler-entry.ts'
import { invalidHandler, isHandler, isWebSocketHandler } from './handlers.ts'
import type { MswHandler } from './handlers.ts'
import { RequestEntry } from './request-entry.ts'
import { SocketEntry } from './socket-entry.ts'

/** Where handlers stand among rules. */
export interface HandlerPlace {
  addHandlers(handlers: readonly ListedHandler[]): void
  dropRemovedHandlers(): void
}

/** The handlers of one mitm. */
export class HandlerBook {
  readonly #place: HandlerPlace
  readonly #desk: HandlerDesk
  /** In the order in which they are asked. */
  #entries: readonly HandlerEntry[] = []
  readonly #initial = new Set<HandlerEntry>()
  #unwatchFetch: (() => void) | undefined

  constructor(place: HandlerPlace, desk: HandlerDesk) {
    this.#place = place
    this.#desk = desk
  }

  /** In the order in which they are asked. */
  list(): readonly MswHandler[] {
    return this.#entries.map(({ handler }) => handler)
  }

  /**
   * Adds handlers: they are asked in their order, before all there is.
   *
   * @param isInitial - Whether they stay when handlers are reset.
   * @returns What takes them out again.
   */
  add(handlers: readonly MswHandler[], isInitial = false): () => void {
    if (handlers.length === 0) return () => undefined
    this.#unwatchFetch ??= watchFetch()
    const handedOver = noteCallSite()
    const added = handlers.map((handler) =>
      isWebSocketHandler(handler)
        ? new SocketEntry(handler, this.#desk, handedOver)
        : new RequestEntry(handler, this.#desk, handedOver),
    )
    if (isInitial) for (const entry of added) this.#initial.add(entry)
    this.#entries = [...added, ...this.#entries]
    this.#place.addHandlers(added)
    return () => this.#remove(added)
  }

  /** Takes out what was added later, or, where others are given, everything; then those are the initial ones. */
  reset(next: readonly MswHandler[]): void {
    for (const entry of this.#entries) entry.reset()
    this.#remove(this.#entries.filter((entry) => next.length > 0 || !this.#initial.has(entry)))
    this.add(next, true)
  }

  /** Lets those that were for one request answer once more. */
  restore(): void {
    for (const entry of this.#entries) entry.restore()
  }

  /** Takes all of them out. */
  close(): void {
    this.#remove(this.#entries)
    this.#unwatchFetch?.()
    this.#unwatchFetch = undefined
  }

  #remove(entries: readonly HandlerEntry[]): void {
    if (entries.length === 0) return
    this.#entries = this.#entries.filter((entry) => !entries.includes(entry))
    for (const entry of entries) {
      this.#initial.delete(entry)
      entry.remove()
    }
    this.#place.dropRemovedHandlers()
  }
}

/** Checks that all of these are handlers. @throws {@link MitmError} `MITM_INVALID_HANDLER` */
export function demandHandlers(where: string, values: readonly unknown[]): readonly MswHandler[] {
  return values.map((value) => {
    if (!isHandler(value)) throw invalidHandler(where, value)
    return value
  })
}
