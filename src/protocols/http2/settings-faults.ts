/** SETTINGS of the client of a bridge: those of its server, and those that faults send, and take back when they are gone. */
import type { Fault, FaultFeed, Http2SettingValues } from '../../fault.ts'
import type { Session } from './session.ts'
import { SETTING } from './frame.ts'
import type { Http2Settings } from './settings.ts'

// Boundary: the names of an object's own properties.
const NAMES = Object.keys(SETTING) as (keyof typeof SETTING)[]

/** The settings of faults on one connection. */
export class SettingsFaults {
  readonly #session: Session
  #usual: Http2Settings
  readonly #acting = new Map<Fault, Http2SettingValues>()
  readonly #stops = new Set<() => void>()

  /** @param usual - What the client was told first, and is told again. */
  constructor(session: Session, usual: Http2Settings) {
    this.#session = session
    this.#usual = usual
  }

  /** Lets settings of a fault be in force, as long as it is in the feed. */
  add(fault: Fault, settings: Http2SettingValues, feed: FaultFeed): void {
    if (this.#acting.has(fault)) return
    this.#acting.set(fault, settings)
    this.#tell(settings)
    const stop = feed.subscribe(() => {
      if (feed.faults.some((each) => each.fault === fault)) return
      stop()
      this.#stops.delete(stop)
      this.#acting.delete(fault)
      this.#tell(settings)
    })
    this.#stops.add(stop)
  }

  /** The client is told something else now, as far as no fault says otherwise. */
  change(usual: Http2Settings): void {
    const before = this.#usual
    this.#usual = usual
    const changed = NAMES.filter((name) => usual[name] !== before[name])
    if (changed.length > 0) this.#tell(Object.fromEntries(changed.map((name) => [name, usual[name] ?? 0])))
  }

  /** The connection is over. */
  close(): void {
    for (const stop of this.#stops) stop()
    this.#stops.clear()
  }

  /** Says of each of these settings what is in force now. */
  #tell(settings: Http2Settings): void {
    const now: Http2Settings = Object.assign({}, this.#usual, ...this.#acting.values())
    const told = Object.entries(now).filter(([name]) => Object.hasOwn(settings, name))
    this.#session.tell(Object.fromEntries(told))
  }
}
