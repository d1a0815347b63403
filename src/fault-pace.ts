/** The paces of the faults that act at the moment. */
import type { Side } from './errors.ts'
import type { Fault, FaultFeed, InjectedFault, Pace, PacePart } from './fault.ts'

/** The paces of one message or connection: each part is opened once, and kept while its fault is there. */
export class PaceSet {
  readonly #feed: FaultFeed
  readonly #acted: (fault: Fault) => void
  readonly #paces = new Map<PacePart, Pace>()

  /** @param acted - Told of each fault when octets pass by it. */
  constructor(feed: FaultFeed, acted: (fault: Fault) => void) {
    this.#feed = feed
    this.#acted = acted
  }

  /** Those that octets towards a side pass, one after the other. */
  schedules(side: Side): readonly Pace[] {
    return this.#parts(side).map(({ injected, part }) => this.#paceOf(injected, part))
  }

  /** How long the end of the connection towards a side is held back. */
  closeDelayMs(side: Side): number {
    return this.#parts(side).reduce((longest, { part }) => Math.max(longest, part.closeDelayMs ?? 0), 0)
  }

  #parts(side: Side): { readonly injected: InjectedFault; readonly part: PacePart }[] {
    return this.#feed.faults.flatMap((injected) =>
      injected.fault.parts
        .filter((part): part is PacePart => part.stage === 'pace' && part.side === side)
        .map((part) => ({ injected, part })),
    )
  }

  #paceOf(injected: InjectedFault, part: PacePart): Pace {
    const known = this.#paces.get(part)
    if (known) return known
    const pace = part.scope === 'link' ? injected.paceOf(part) : part.open(injected.random)
    let hasActed = false
    const noted: Pace = {
      schedule: (piece) => {
        if (!hasActed) this.#acted(injected.fault)
        hasActed = true
        return pace.schedule(piece)
      },
    }
    this.#paces.set(part, noted)
    return noted
  }
}
