/** The faults of one exchange: where they cut it, how slowly it passes, and that it cannot be forwarded at all. */
import type { Side } from '../../errors.ts'
import { dialFaultError } from '../../fault-errors.ts'
import { FaultFeeds } from '../../fault-feeds.ts'
import { FaultLane } from '../../fault-lane.ts'
import type { LaneTarget } from '../../fault-lane.ts'
import { PaceSet } from '../../fault-pace.ts'
import type { CutPart, DialPart, Fault, FaultFeed } from '../../fault.ts'
import { Link } from '../../internal/link.ts'
import { answerError } from './answer-error.ts'
import { finishCut } from './finish.ts'
import { findHeadEnd } from './head.ts'
import type { Session } from './session.ts'
import type { Transfer } from './transfer.ts'

/**
 * Lets faults act on what is under way, and with which nothing goes wrong yet: the exchange whose response is due, or the
 * one that became another protocol. Those that still wait here were asked for theirs when they came.
 */
export function adoptFaults(session: Session, upgraded: Transfer | undefined): void {
  const { flow } = session.connection
  for (const intercepted of session.ledger.intercepted) {
    // One that was cut may have ended the connection, and the others with it.
    const feed = intercepted.isOver ? undefined : flow.lateFaults(intercepted.exchange)
    if (feed) intercepted.faults?.add(feed)
  }
  const transfer = upgraded ?? session.ledger.oldest
  if (!transfer || transfer.isOver || transfer.faults) return
  const feed = flow.lateFaults(transfer.exchange)
  if (!feed) return
  transfer.isExclusive = true
  transfer.hasHead = transfer.status > 0
  transfer.plan = { ...transfer.plan, faults: feed }
  transfer.faults = new ExchangeFaults(session, transfer, feed, true)
  transfer.faults.client.update()
  transfer.faults.server.update()
}

/** The faults of one exchange, while it is under way. */
export class ExchangeFaults {
  /** Through which the response passes. */
  readonly client: FaultLane
  /** Through which the request passes. */
  readonly server: FaultLane
  readonly #session: Session
  readonly #transfer: Transfer
  readonly #feed: FaultFeeds
  readonly #paces: PaceSet
  #onChange: (() => void) | undefined

  /** @param isUnderWay - Whether the request is with the server already. */
  constructor(session: Session, transfer: Transfer, first: FaultFeed, isUnderWay = false) {
    const feed = new FaultFeeds(first)
    this.#session = session
    this.#transfer = transfer
    this.#feed = feed
    const { request, response } = transfer.exchange
    const answered = isUnderWay && transfer.status > 0 ? (response?.bodySize ?? 0) : undefined
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
    const { flow } = this.#session.connection
    const dial = this.#dialPart()
    if (dial && (await this.#wait(dial.part.afterMs, () => this.#dialPart()?.part === dial.part))) {
      flow.noteFault(dial.fault, this.#transfer.exchange)
      await answerError(
        this.#session,
        this.#transfer,
        dialFaultError(dial.part, dial.fault, this.#transfer.destination),
      )
      return true
    }
    if (this.#transfer.isOver) return true
    const cut = this.#cutInPlace()
    if (!cut) return false
    const { request } = this.#transfer.exchange
    // What a client is still sending must be taken in: a socket closed with octets unread sends a reset of its own.
    if (cut.end !== 'stall' && cut.afterMs === 0 && !(await request.whenComplete()) && !request.isReleased) return true
    if (!this.#transfer.isOver && this.client.stopInPlace()) await this.client.settled()
    return this.#transfer.isOver
  }

  /** A message is about to leave: says how long it is, if it does. @param head - Its head, or more. */
  begin(side: Side, head: Buffer): void {
    const headBytes = findHeadEnd(head)
    if (headBytes < 0) return
    const text = head.toString('latin1', 0, headBytes)
    const length = /\ncontent-length:[ \t]*(\d+)[ \t]*\r?\n/i.exec(text)?.[1]
    const hasNoBody = side === 'client' && (this.#transfer.facts.method === 'HEAD' || /^\S+ (?:204|304)\b/.test(text))
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
    link.push(Buffer.alloc(Math.max(1, this.#transfer.heldSize)), undefined, undefined)
    await link.whenEmpty()
  }

  /** Ends all of it, with the exchange. */
  close(): void {
    this.#feed.close()
    for (const side of ['client', 'server'] as const) {
      const slowest = this.#paces.slowestClose(side)
      if (slowest) this.#session.closing.slow(side, slowest.ms, () => this.#note(slowest.fault))
    }
    this.client.finish()
    this.server.finish()
    this.#session.toClient.pace([])
    this.#session.toServer.pace([])
    this.#onChange?.()
  }

  #note(fault: Fault): void {
    this.#session.connection.flow.noteFault(fault, this.#transfer.exchange)
  }

  #pace(): void {
    this.#session.toClient.pace(this.#paces.schedules('client'))
    this.#session.toServer.pace(this.#paces.schedules('server'))
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
        if (this.#transfer.isOver || !isThere()) settle(false)
      }
    })
  }

  #target(side: Side): LaneTarget {
    const session = this.#session
    const transfer = this.#transfer
    const outbox = side === 'client' ? session.toClient : session.toServer
    return {
      add: (octets) => outbox.add(octets),
      flush: () => session.flush(),
      whenSent: () => outbox.whenSent(),
      stopped: (cut, fault) => {
        this.#note(fault)
        if (cut.end === 'stall') transfer.exchange.isStalled = true
      },
      freed: () => {
        transfer.exchange.isStalled = false
      },
      ended: (cut) => finishCut(session, transfer, this, cut),
    }
  }
}
