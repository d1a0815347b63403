/** Several feeds of faults as one. */
import type { Fault, FaultFeed, InjectedFault } from './fault.ts'

/** The faults of several feeds, to which others may be added. */
export class FaultFeeds implements FaultFeed {
  readonly #isMeant: (fault: Fault) => boolean
  readonly #feeds: FaultFeed[] = []
  readonly #stops: (() => void)[] = []
  readonly #listeners = new Set<() => void>()

  /** @param isMeant - Whether a fault is one for this. @defaultValue all are */
  constructor(first: FaultFeed, isMeant: (fault: Fault) => boolean = () => true) {
    this.#isMeant = isMeant
    this.add(first)
  }

  get faults(): readonly InjectedFault[] {
    return this.#feeds.flatMap(({ faults }) => faults.filter(({ fault }) => this.#isMeant(fault)))
  }

  /** Adds a feed behind the others. */
  add(feed: FaultFeed): void {
    this.#feeds.push(feed)
    this.#stops.push(feed.subscribe(this.#tell))
    this.#tell()
  }

  subscribe(onChange: () => void): () => void {
    this.#listeners.add(onChange)
    return () => this.#listeners.delete(onChange)
  }

  notCounted(): void {
    for (const feed of this.#feeds) feed.notCounted?.()
  }

  /** Listens to the feeds no more. */
  close(): void {
    for (const stop of this.#stops.splice(0)) stop()
    this.#listeners.clear()
  }

  readonly #tell = (): void => {
    for (const listener of this.#listeners) listener()
  }
}
