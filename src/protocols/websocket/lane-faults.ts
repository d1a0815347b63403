/** The faults of one direction of a WebSocket: which of them are due, and what becomes of messages by them. */
import type { Side } from '../../errors.ts'
import type { Fault, FaultFeed, InjectedFault, MessageChange, MessageOnItsWay, WebSocketPart } from '../../fault.ts'

/** A part that acts once. */
export interface DueFault {
  readonly fault: Fault
  readonly part: WebSocketPart
}

/** A change that is at work. */
interface OpenChange {
  readonly injected: InjectedFault
  readonly part: WebSocketPart
  readonly change: MessageChange
}

/** The faults towards one side. */
export class LaneFaults {
  readonly #to: Side
  readonly #note: (fault: Fault) => void
  #feed: FaultFeed | undefined
  readonly #done = new Map<InjectedFault, Set<WebSocketPart>>()
  #changes: readonly OpenChange[] = []
  /** Those of faults that are gone, and of which what they hold was not asked for yet. */
  #gone: readonly OpenChange[] = []
  /** Grows when a fault that changes messages is gone. */
  generation = 0
  /** Whether a fault has stopped all. */
  #isStalled = false

  /** @param note - Told of each fault that acts. */
  constructor(to: Side, note: (fault: Fault) => void) {
    this.#to = to
    this.#note = note
  }

  set feed(feed: FaultFeed) {
    this.#feed = feed
  }

  /** Faults have come or gone. */
  update(): void {
    this.#open()
  }

  /** Whether none is for this direction. */
  get isEmpty(): boolean {
    return this.#parts().length === 0
  }

  /** Whether messages have to be taken out of their frames for one. */
  get changesMessages(): boolean {
    return this.#changes.length > 0 || this.#parts().some(({ part }) => part.action.kind === 'change')
  }

  /** Those that are due when so many messages have passed, and have not acted yet. They count as having acted by that. */
  due(passed: number): readonly DueFault[] {
    const due = this.#parts().filter(({ injected, part }) => {
      const { kind } = part.action
      return (
        kind !== 'change' && kind !== 'stall' && part.afterMessages <= passed && !this.#done.get(injected)?.has(part)
      )
    })
    for (const { injected, part } of due) {
      const done = this.#done.get(injected) ?? new Set()
      this.#done.set(injected, done.add(part))
      this.#note(injected.fault)
    }
    return due.map(({ injected: { fault }, part }) => ({ fault, part }))
  }

  /** Whether one lets nothing pass, now that so many messages have passed. */
  stalls(passed: number): boolean {
    const stall = this.#parts().find(({ part }) => part.action.kind === 'stall' && part.afterMessages <= passed)
    if (stall && !this.#isStalled) this.#note(stall.injected.fault)
    this.#isStalled = stall !== undefined
    return this.#isStalled
  }

  /**
   * What becomes of a message by those that change messages.
   *
   * @param arrived - How many messages have come before it.
   */
  change(
    message: MessageOnItsWay,
    arrived: number,
  ): { readonly messages: readonly MessageOnItsWay[]; readonly isHeld: boolean } {
    let messages: readonly MessageOnItsWay[] = [message]
    let isHeld = false
    for (const { change, injected, part } of this.#open()) {
      if (part.afterMessages > arrived) continue
      messages = messages.flatMap((each) => {
        const made = change.take(each, () => this.#note(injected.fault))
        if (made !== 'held') return made
        isHeld ||= each.source === message.source
        return []
      })
    }
    return { messages, isHeld }
  }

  /** What was held by changes that are over: those of faults that are gone, or (`all`) all of them. */
  released(all: boolean): readonly MessageOnItsWay[] {
    const open = this.#open()
    const over = all ? [...this.#gone, ...open] : this.#gone
    this.#gone = []
    return over.flatMap(({ change }) => change.end?.() ?? [])
  }

  #open(): readonly OpenChange[] {
    const known = this.#changes
    this.#changes = this.#parts().flatMap(({ injected, part }): OpenChange[] => {
      const { action } = part
      if (action.kind !== 'change') return []
      const open = known.find((each) => each.injected === injected && each.part === part)
      return [open ?? { injected, part, change: action.open(injected.random) }]
    })
    const gone = known.filter((each) => !this.#changes.includes(each))
    if (gone.length > 0) this.generation++
    this.#gone = [...this.#gone, ...gone]
    return this.#changes
  }

  #parts(): { readonly injected: InjectedFault; readonly part: WebSocketPart }[] {
    return (this.#feed?.faults ?? []).flatMap((injected) =>
      injected.fault.parts
        .filter((part): part is WebSocketPart => part.stage === 'webSocket' && part.side === this.#to)
        .map((part) => ({ injected, part })),
    )
  }
}
