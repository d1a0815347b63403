/** One exchange on its way: whose octets go where at the moment. Holds state only; `session.ts` moves it. */
import type { Exchange } from '../../exchange.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import type { Intervention } from '../../middleware.ts'
import type { Destination } from '../../protocol.ts'
import type { BodyPipe } from '../http/body-pipe.ts'
import type { ExchangeFaults } from '../http/exchange-faults.ts'
import type { HeadFacts } from './facts.ts'

/**
 * What happens to the octets of a message: forwarded as they come; held until it is decided; dropped, because something
 * else is sent instead; or its content is piped through what changes it.
 */
export type Mode = 'forward' | 'hold' | 'drop' | 'pipe'

/** Takes octets on their way to one side; a promise when the sender has to wait. */
export interface Sink {
  add(octets: Buffer): MaybePromise<void>
}

/** One exchange on its way. */
export class Transfer {
  readonly exchange: Exchange
  readonly facts: HeadFacts
  /** Where the request is for, as the client said. */
  readonly destination: Destination
  /** The status of its final response, 0 before that. */
  status = 0
  requestMode: Mode = 'forward'
  responseMode: Mode = 'forward'
  /** Octets of the request that wait for a decision. */
  held: Buffer[] = []
  heldSize = 0
  /** What is done to it; undefined while nothing is, or nothing is decided yet. */
  plan: Intervention | undefined
  /** What changes the body of the request while it streams. */
  requestPipe: BodyPipe | undefined
  /** What changes the body of the response while it streams. */
  responsePipe: BodyPipe | undefined
  /** What goes wrong with it on purpose. */
  faults: ExchangeFaults | undefined
  /** Whether no other exchange of this connection may be under way together with this one. */
  isExclusive = false
  /** Whether the client was told to send the body (`100 Continue`) in the server's place. */
  hasContinued = false
  /** Whether the head of the final response has been handed on to the client's side. */
  hasHead = false
  isRequestOver = false
  isResponseOver = false
  isOver = false
  /** Whether a rule lets the client wait, perhaps for ever: a client that ends its side then has left. */
  isLingering = false
  /** Whether the server is waited for no longer, so that no response can follow on this connection. */
  isGivenUp = false
  /** Called when the server has not begun to answer in time. */
  onLate: (() => void) | undefined
  /** Whether the connection to the client ends after this response. */
  closesClient = false
  #controller: AbortController | undefined

  constructor(exchange: Exchange, facts: HeadFacts, destination: Destination) {
    this.exchange = exchange
    this.facts = facts
    this.destination = destination
  }

  /** Aborts when the exchange is over. */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController()
      if (this.isOver) this.#controller.abort()
    }
    return this.#controller.signal
  }

  /** Notes that the exchange is over. */
  over(): void {
    this.isOver = true
    this.#controller?.abort()
  }

  /** Whether what comes behind it must wait: somebody intercepts it, or its response may change the protocol. */
  get isAlone(): boolean {
    return this.isExclusive || this.facts.upgrade !== undefined || this.facts.method === 'CONNECT'
  }

  /** Whether the server is still answering it, though the client got something else. */
  get serverResponds(): boolean {
    return this.responseMode === 'drop'
  }

  hold(octets: Buffer): void {
    this.held.push(octets)
    this.heldSize += octets.length
  }

  /** Puts another head in the place of the one that is held. */
  replaceHeldHead(head: Buffer): void {
    this.held[0] = head
  }

  takeHeld(): Buffer[] {
    const held = this.held
    this.held = []
    this.heldSize = 0
    return held
  }
}
