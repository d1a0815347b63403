/** The faults of one exchange: where they cut it, how slowly it passes, and that it cannot be forwarded at all. */
import type { MitmError, Side } from '../../errors.ts'
import type { Exchange } from '../../exchange.ts'
import { dialFaultError } from '../../fault-errors.ts'
import { FaultFeeds } from '../../fault-feeds.ts'
import { FaultLane } from '../../fault-lane.ts'
import type { LaneTarget } from '../../fault-lane.ts'
import { PaceSet } from '../../fault-pace.ts'
import type { CutPart, DialPart, Fault, FaultFeed } from '../../fault.ts'
import { Link } from '../../internal/link.ts'
import type { Destination } from '../../protocol.ts'
import { findHeadEnd } from '../http1/head.ts'
import { isOpenEnded } from './messages.ts'
import type { Outbox } from './outbox.ts'

/** What faults act on: one exchange, and the ways out of its connection. */
export interface FaultyExchange {
  readonly exchange: Exchange
  readonly destination: Destination
  readonly method: string
  /** Octets of the request that wait for a decision. */
  readonly heldBytes: number
  readonly isOver: boolean
  readonly toClient: FaultyOutlet
  readonly toServer: FaultyOutlet
  /** Octets of the response's body that have passed; undefined when none of the response has. */
  readonly passedBytes: number | undefined
  /** Writes what has been put into the ways out. */
  flush(): void
  /** Tells the client of an error in place of a response. */
  answerError(error: MitmError): Promise<void>
  /** Holds the end of the connection towards a side back. @param acted - Told when it is. */
  slowClose(side: Side, ms: number, acted: () => void): void
  /** Ends it as a cut says. What was sent before has left. */
  finishCut(faults: ExchangeFaults, cut: CutPart): void
}

/** One way out. */
export type FaultyOutlet = Pick<Outbox, 'add' | 'pace' | 'whenSent'>

/** The faults of one exchange, while it is under way. */
export class ExchangeFaults {
  /** Through which the response passes. */
  readonly client: FaultLane
  /** Through which the request passes. */
  readonly server: FaultLane
  readonly #of: FaultyExchange
  readonly #feed: FaultFeeds
  readonly #paces: PaceSet
  #onChange: (() => void) | undefined

  /** @param isUnderWay - Whether the request is with the server already. */
  constructor(of: FaultyExchange, first: FaultFeed, isUnderWay = false) {
    const isByHttp2 = of.exchange.http2 !== undefined
    const feed = new FaultFeeds(first, ({ http2 }) => isByHttp2 || http2 !== 'needed')
    this.#of = of
    this.#feed = feed
    const { request } = of.exchange
    const answered = isUnderWay ? of.passedBytes : undefined
    this.client = new FaultLane('client', feed, this.#target('client'), true, answered)
    this.server = new FaultLane('server', feed, this.#target('server'), true, isUnderWay ? request.bodySize : undefined)
    this.#paces = new PaceSet(feed, (fault) => this.#note(fault))
    this.#pace()
    feed.subscribe(() => {
      this.#pace()
      this.client.update()
      this.server.update()
      this.#onChange?.()
    })
  }

  /** Lets the faults of another feed act on the rest of it. */
  add(feed: FaultFeed): void {
    this.#feed.add(feed)
  }

  /** Whether the use of the rules that inject the faults counts, although a browser sends the exchange again by itself. */
  notCounted(): void {
    this.#feed.notCounted()
  }

  /**
   * What happens before the request goes anywhere: the server cannot be reached, or there is something in place of the
   * response.
   *
   * @returns Whether that was the end of the exchange.
   */
  async first(): Promise<boolean> {
    const dial = this.#dialPart()
    if (dial && (await this.#wait(dial.part.afterMs, () => this.#dialPart()?.part === dial.part))) {
      this.#note(dial.fault)
      await this.#of.answerError(dialFaultError(dial.part, dial.fault, this.#of.destination))
      return true
    }
    if (this.#of.isOver) return true
    const cut = this.#cutInPlace()
    if (!cut) return false
    const { request } = this.#of.exchange
    // What a client is still sending must be taken in: a socket closed with octets unread sends a reset of its own.
    const isDue = cut.end !== 'stall' && cut.afterMs === 0 && !isOpenEnded(request)
    if (isDue && !(await request.whenComplete()) && !request.isReleased) return true
    if (!this.#of.isOver && this.client.stopInPlace()) await this.client.settled()
    return this.#of.isOver
  }

  /** A message is about to leave: says how long it is, if it does. @param head - Its head, or more. */
  begin(side: Side, head: Buffer): void {
    const headBytes = findHeadEnd(head)
    if (headBytes < 0) return
    const text = head.toString('latin1', 0, headBytes)
    const length = /\ncontent-length:[ \t]*(\d+)[ \t]*\r?\n/i.exec(text)?.[1]
    const hasNoBody = side === 'client' && (this.#of.method === 'HEAD' || /^\S+ (?:204|304)\b/.test(text))
    const bodyBytes = hasNoBody ? 0 : length === undefined ? undefined : Number(length)
    this.#paces.begin(side, { headBytes, bodyBytes })
  }

  /** The response is about to leave: notes the faults that have changed it, or are it. */
  responded(): void {
    for (const { fault } of this.#feed.faults) {
      if (fault.parts.some(({ stage }) => stage === 'answer' || stage === 'rewriteResponse' || stage === 'head')) {
        this.#note(fault)
      }
    }
  }

  /** Lets as much time pass as the request needs to reach a server, for one that is answered here. */
  async uplink(): Promise<void> {
    const schedules = this.#paces.schedules('server')
    if (schedules.length === 0) return
    const link = new Link()
    link.schedules = schedules
    link.push(Buffer.alloc(Math.max(1, this.#of.heldBytes)), undefined, undefined)
    await link.whenEmpty()
  }

  /** Ends all of it, with the exchange. */
  close(): void {
    this.#feed.close()
    for (const side of ['client', 'server'] as const) {
      const slowest = this.#paces.slowestClose(side)
      if (slowest) this.#of.slowClose(side, slowest.ms, () => this.#note(slowest.fault))
    }
    this.client.finish()
    this.server.finish()
    this.#of.toClient.pace([])
    this.#of.toServer.pace([])
    this.#onChange?.()
  }

  #note(fault: Fault): void {
    this.#of.exchange.connection.flow.noteFault(fault, this.#of.exchange)
  }

  #pace(): void {
    this.#of.toClient.pace(this.#paces.schedules('client'))
    this.#of.toServer.pace(this.#paces.schedules('server'))
  }

  #dialPart(): { readonly part: DialPart; readonly fault: Fault } | undefined {
    for (const { fault } of this.#feed.faults) {
      const part = fault.parts.find((one): one is DialPart => one.stage === 'dial')
      if (part) return { part, fault }
    }
    return undefined
  }

  #cutInPlace(): CutPart | undefined {
    const parts = this.#feed.faults.flatMap(({ fault }) => fault.parts)
    return parts.find(
      (part): part is CutPart =>
        part.stage === 'cut' && part.side === 'client' && part.afterBytes === undefined && !part.forwards,
    )
  }

  /** Waits, as long as the fault is there and the exchange goes on; tells whether all of the time has passed. */
  #wait(ms: number, isThere: () => boolean): Promise<boolean> {
    if (ms === 0) return Promise.resolve(isThere())
    return new Promise((resolve) => {
      const settle = (hasPassed: boolean): void => {
        clearTimeout(timer)
        this.#onChange = undefined
        resolve(hasPassed)
      }
      const timer = setTimeout(() => settle(true), ms)
      this.#onChange = () => {
        if (this.#of.isOver || !isThere()) settle(false)
      }
    })
  }

  #target(side: Side): LaneTarget {
    const of = this.#of
    const outlet = side === 'client' ? of.toClient : of.toServer
    return {
      add: (octets) => outlet.add(octets),
      flush: () => of.flush(),
      whenSent: () => outlet.whenSent(),
      stopped: (cut, fault) => {
        this.#note(fault)
        if (cut.end === 'stall') of.exchange.isStalled = true
      },
      freed: () => {
        of.exchange.isStalled = false
      },
      ended: (cut) => of.finishCut(this, cut),
    }
  }
}
