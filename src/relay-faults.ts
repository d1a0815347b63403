/** The faults of a connection whose octets are relayed as they are. */
import type { Connection } from './connection.ts'
import type { Side } from './errors.ts'
import type { Exchange } from './exchange.ts'
import { FaultFeeds } from './fault-feeds.ts'
import { FaultLane } from './fault-lane.ts'
import type { LaneTarget } from './fault-lane.ts'
import { PaceSet } from './fault-pace.ts'
import type { CutPart, Fault, FaultFeed } from './fault.ts'
import { Link } from './internal/link.ts'
import type { MaybePromise } from './internal/maybe-promise.ts'
import type { Pump } from './internal/pump.ts'

const SIDES = ['client', 'server'] as const

/** One direction: what cuts it, and what slows it down. */
interface Direction {
  readonly lane: FaultLane
  readonly link: Link
}

/** What is relayed, and how. */
export interface Relayed {
  /** What reads each side. */
  readonly pumps: { readonly [Name in Side]: Pump }
  /** Ends the relay. */
  readonly over: () => void
  /** Whether octets have passed already. @defaultValue false */
  readonly isUnderWay?: boolean
  /** The exchanges whose octets are relayed at the moment, as far as somebody reads them. @defaultValue none */
  readonly exchanges?: () => readonly Exchange[]
}

/** The faults of one relay, while it lasts. */
export class RelayFaults {
  readonly #connection: Connection
  readonly #to: { readonly [Name in Side]: Direction }
  readonly #paces: PaceSet
  readonly #feed: FaultFeeds
  readonly #relayed: Relayed
  readonly #timers = new Set<NodeJS.Timeout>()

  constructor(connection: Connection, first: FaultFeed, relayed: Relayed) {
    const feed = new FaultFeeds(first)
    this.#feed = feed
    this.#connection = connection
    this.#relayed = relayed
    const { isUnderWay } = relayed
    const passed = isUnderWay ? connection.bytes : undefined
    this.#to = {
      client: this.#direction('client', feed, passed?.fromServer),
      server: this.#direction('server', feed, passed?.fromClient),
    }
    this.#paces = new PaceSet(feed, (fault) => this.#note(fault))
    this.#pace()
    feed.subscribe(() => {
      this.#pace()
      for (const side of SIDES) this.#to[side].lane.update()
    })
    if (isUnderWay) for (const side of SIDES) this.#to[side].lane.update()
  }

  /** Lets the faults of another feed act as well. */
  add(feed: FaultFeed): void {
    this.#feed.add(feed)
  }

  /** Takes octets for a side; a promise when the sender has to wait. */
  send(side: Side, octets: Buffer): MaybePromise<void> {
    return this.#to[side].lane.add(octets)
  }

  /** Whether a fault holds one of the directions, so that an end of either side is the end of all. */
  get isStopped(): boolean {
    return SIDES.some((side) => this.#to[side].lane.isStopped)
  }

  /** Resolves when the end of the connection may be passed on to a side. */
  async settled(side: Side): Promise<void> {
    await this.#to[side].lane.settled()
    const slowest = this.#paces.slowestClose(side)
    if (!slowest) return
    this.#note(slowest.fault)
    await new Promise<void>((resolve) => {
      this.#timers.add(setTimeout(resolve, slowest.ms))
    })
  }

  /** Ends all of it, with the relay. */
  close(): void {
    this.#feed.close()
    for (const timer of this.#timers) clearTimeout(timer)
    for (const side of SIDES) {
      this.#to[side].lane.close()
      this.#to[side].link.close()
    }
  }

  #direction(side: Side, feed: FaultFeed, passedBytes: number | undefined): Direction {
    const link = new Link()
    const connection = this.#connection
    const source = this.#relayed.pumps[side === 'client' ? 'server' : 'client']
    const target: LaneTarget = {
      add: (octets) => link.push(octets, connection[side].writer, source),
      flush: () => undefined,
      whenSent: () => link.whenEmpty(),
      stopped: (cut, fault) => {
        this.#note(fault)
        if (cut.end === 'stall') this.#stall(true)
      },
      freed: () => this.#stall(false),
      ended: (cut) => this.#finishCut(side, cut),
    }
    return { link, lane: new FaultLane(side, feed, target, false, passedBytes) }
  }

  #note(fault: Fault): void {
    const { flow } = this.#connection
    const exchanges = this.#relayed.exchanges?.() ?? []
    for (const exchange of exchanges) flow.noteFault(fault, exchange)
    if (exchanges.length === 0) flow.noteFault(fault)
  }

  #stall(isStalled: boolean): void {
    for (const exchange of this.#relayed.exchanges?.() ?? []) exchange.isStalled = isStalled
  }

  #pace(): void {
    for (const side of SIDES) this.#to[side].link.schedules = this.#paces.schedules(side)
  }

  #finishCut(side: Side, { end }: CutPart): void {
    const connection = this.#connection
    if (end === 'halfClose' || (end === 'close' && side === 'server')) {
      this.#to[side].lane.close()
      connection[side].writer?.end()
      return
    }
    connection.end('fault')
    if (end === 'reset') {
      connection.reset('client')
      connection.reset('server')
    }
    this.#relayed.over()
  }
}
