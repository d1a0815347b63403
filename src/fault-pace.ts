/** The paces of the faults that act at the moment. */
import type { Side } from './errors.ts'
import type { Fault, FaultFeed, InjectedFault, Pace, PacedMessage, PacePart } from './fault.ts'
import type { Schedule } from './internal/link.ts'

/** The paces of one message or connection: each part is opened once, and kept while its fault is there. */
export class PaceSet {
  readonly #feed: FaultFeed
  readonly #acted: (fault: Fault) => void
  readonly #paces = new Map<PacePart, Pace & Schedule>()

  /** @param acted - Told of each fault when octets pass by it. */
  constructor(feed: FaultFeed, acted: (fault: Fault) => void) {
    this.#feed = feed
    this.#acted = acted
  }

  /** Those that octets towards a side pass, one after the other: first what is shared, in which they wait for others. */
  schedules(side: Side): readonly (Pace & Schedule)[] {
    return this.#parts(side)
      .toSorted((one, other) => Number(other.part.scope === 'link') - Number(one.part.scope === 'link'))
      .map(({ injected, part }) => this.#paceOf(injected, part))
  }

  /** A message begins. */
  begin(side: Side, message: PacedMessage): void {
    for (const pace of this.schedules(side)) pace.begin?.(message)
  }

  /** What holds the end of the connection towards a side back the longest. */
  slowestClose(side: Side): { readonly ms: number; readonly fault: Fault } | undefined {
    return this.#parts(side)
      .flatMap(({ injected: { fault }, part: { closeDelayMs } }) => (closeDelayMs ? [{ ms: closeDelayMs, fault }] : []))
      .toSorted((one, other) => other.ms - one.ms)[0]
  }

  #parts(side: Side): { readonly injected: InjectedFault; readonly part: PacePart }[] {
    return this.#feed.faults.flatMap((injected) =>
      injected.fault.parts
        .filter((part): part is PacePart => part.stage === 'pace' && part.side === side)
        .map((part) => ({ injected, part })),
    )
  }

  #paceOf(injected: InjectedFault, part: PacePart): Pace & Schedule {
    const known = this.#paces.get(part)
    if (known) return known
    const pace = part.scope === 'link' ? injected.paceOf(part) : part.open(injected.random)
    // One that is about the close acts with that.
    let hasActed = part.closeDelayMs !== undefined
    const noted: Pace & Schedule = {
      isShared: part.scope === 'link',
      begin: (message) => (part.scope === 'message' ? pace.begin?.(message) : undefined),
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
