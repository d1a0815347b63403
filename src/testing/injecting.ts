/** A middleware that makes connections go wrong, for tests of what faults do. */
import type { Connection } from '../connection.ts'
import type { MitmError } from '../errors.ts'
import type { Fault, FaultFeed, InjectedFault } from '../fault.ts'
import type { ConnectionIntervention, ConnectionMoment, Middleware } from '../middleware.ts'

/** Injects faults into every connection, and takes them out again when a test says so. */
export class Injecting implements Middleware {
  /** The stages that were asked for, with the destination: `tunnel pay.test:443`. */
  readonly asked: string[] = []
  #faults: readonly InjectedFault[]
  readonly #refuse: MitmError | undefined
  readonly #listeners = new Set<() => void>()
  readonly #acting: { readonly name: string; resolve(): void }[] = []
  readonly #acted = new Set<string>()

  /** @param faults - And perhaps an error, with which tunnels are refused. */
  constructor(...faults: readonly (Fault | MitmError)[]) {
    this.#refuse = faults.find((each) => each instanceof Error)
    this.#faults = faults
      .filter((each): each is Fault => !(each instanceof Error))
      .map((fault) => ({ fault, random: () => 0.5, paceOf: (part) => part.open(() => 0.5) }))
  }

  /** Takes all faults out again. */
  remove(): void {
    this.#faults = []
    for (const listener of this.#listeners) listener()
  }

  /** Resolves when a fault has begun to act on a connection. */
  acts(name: string): Promise<void> {
    if (this.#acted.has(name)) return Promise.resolve()
    return new Promise((resolve) => this.#acting.push({ name, resolve }))
  }

  mayAnswer(): boolean {
    return this.#faults.some(({ fault }) => fault.parts.some(({ stage }) => stage === 'tls'))
  }

  connectionChanged({ faults }: Connection): void {
    for (const { name } of faults) {
      this.#acted.add(name)
      for (const waiting of this.#acting) if (waiting.name === name) waiting.resolve()
    }
  }

  interceptConnection(_: Connection, { stage, destination }: ConnectionMoment): ConnectionIntervention {
    this.asked.push(`${stage} ${destination.host}:${destination.port}`)
    return { faults: this.#feed(), ...(this.#refuse && { refuse: this.#refuse }) }
  }

  #feed(): FaultFeed {
    const faultsNow = (): readonly InjectedFault[] => this.#faults
    return {
      get faults() {
        return faultsNow()
      },
      subscribe: (onChange) => {
        this.#listeners.add(onChange)
        return () => void this.#listeners.delete(onChange)
      },
    }
  }
}
