/** A feed of faults that a test changes by hand, and a middleware that injects it everywhere. */
import type { Fault, FaultFeed, InjectedFault, Pace, PacePart } from '../fault.ts'
import { randomStream } from '../internal/random.ts'
import type { Middleware } from '../middleware.ts'

/** A feed that a test changes. */
export class TestFeed implements FaultFeed {
  #faults: readonly InjectedFault[]
  readonly #listeners = new Set<() => void>()
  readonly #random = randomStream(1, 'test')
  readonly #links = new Map<PacePart, Pace>()

  constructor(...faults: readonly Fault[]) {
    this.#faults = faults.map((fault) => this.#inject(fault))
  }

  get faults(): readonly InjectedFault[] {
    return this.#faults
  }

  /** How many exchanges or connections listen. */
  get listeners(): number {
    return this.#listeners.size
  }

  subscribe(onChange: () => void): () => void {
    this.#listeners.add(onChange)
    return () => this.#listeners.delete(onChange)
  }

  /** Puts other faults in the place of those there are. One that stays keeps its state. */
  set(...faults: readonly Fault[]): void {
    const known = new Map(this.#faults.map((injected) => [injected.fault, injected]))
    this.#faults = faults.map((fault) => known.get(fault) ?? this.#inject(fault))
    for (const listener of this.#listeners) listener()
  }

  #inject(fault: Fault): InjectedFault {
    return {
      fault,
      random: this.#random,
      paceOf: (part) => {
        const pace = this.#links.get(part) ?? part.open(this.#random)
        this.#links.set(part, pace)
        return pace
      },
    }
  }
}

/** Injects a feed into every exchange and every relay. */
export function injecting(feed: FaultFeed): Middleware {
  return {
    name: 'injecting',
    intercept: () => ({ faults: feed }),
    interceptConnection: (_connection, { stage }) => (stage === 'relay' ? { faults: feed } : undefined),
  }
}
