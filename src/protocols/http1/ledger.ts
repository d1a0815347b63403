/** The exchanges of one HTTP/1 connection that are under way, and who is told of their moments. */
import type { ConnectionFlow, StreamEnd } from '../../connection.ts'
import type { MitmError } from '../../errors.ts'
import type { Exchange, ExchangeEndReason, Field, HttpResponse } from '../../exchange.ts'
import { ResponseDeadline } from './response-deadline.ts'
import type { Transfer } from './transfer.ts'
import { noteWebSocket } from './web-socket-session.ts'

/** Keeps account of the exchanges of one connection. */
export class Ledger {
  readonly #flow: ConnectionFlow
  readonly #onEnd: (transfer: Transfer) => void
  /** Sent to the server and not answered to the end, oldest first. */
  readonly #pending: Transfer[] = []
  readonly #open = new Set<Transfer>()
  readonly #deadline: ResponseDeadline
  #onceIdle: (() => void)[] = []

  /** @param onEnd - Told of each exchange that is over. */
  constructor(flow: ConnectionFlow, onEnd: (transfer: Transfer) => void) {
    this.#flow = flow
    this.#onEnd = onEnd
    this.#deadline = new ResponseDeadline(flow.settings.responseTimeoutMs)
  }

  /** The exchange that the next response is for. */
  get oldest(): Transfer | undefined {
    return this.#pending[0]
  }

  /** Whether an exchange is under way that has not been sent on yet, or is being answered here. */
  get isIntercepting(): boolean {
    for (const transfer of this.#open) {
      if (transfer.isExclusive && !transfer.isResponseOver && !this.isSent(transfer)) return true
    }
    return false
  }

  /** Whether nothing is under way. */
  get isEmpty(): boolean {
    return this.#open.size === 0
  }

  /** What is under way and has faults, or may have some. */
  get intercepted(): readonly Transfer[] {
    return [...this.#open].filter(({ faults }) => faults !== undefined)
  }

  /** Whether a fault holds what is under way, or a rule or a handler lets the client wait. */
  get isStalled(): boolean {
    for (const { exchange, faults, isLingering } of this.#open) {
      if (isLingering || exchange.isAwaitingHandler || faults?.client.isStopped || faults?.server.isStopped) return true
    }
    return false
  }

  begin(transfer: Transfer): void {
    this.#open.add(transfer)
    this.#flow.notify('requestStarted', transfer.exchange)
  }

  /** Its octets go to the server from now on. */
  sent(transfer: Transfer, serverAddress: string): void {
    transfer.exchange.serverAddress = serverAddress
    this.#pending.push(transfer)
    this.#deadline.watch(this.oldest)
  }

  /** The final response of the server has begun. */
  responseBegun(): void {
    this.#deadline.watch(this.oldest)
  }

  /** An interim response has come. */
  interimCame(): void {
    this.#deadline.prolong()
  }

  isSent(transfer: Transfer): boolean {
    return this.#pending.includes(transfer)
  }

  /** The request has come whole. */
  requestOver(transfer: Transfer, trailers: readonly Field[]): void {
    const { exchange } = transfer
    transfer.isRequestOver = true
    exchange.timings.requestEndMs = exchange.elapsedMs()
    exchange.request.finish(true, trailers)
    this.#flow.notify('requestEnded', exchange)
    this.#deadline.watch(this.oldest)
    if (transfer.isResponseOver) this.end(transfer, 'complete')
  }

  /** The client gets this response. */
  respondWith(transfer: Transfer, response: HttpResponse, answeredBy: Exchange['answeredBy']): void {
    const { exchange } = transfer
    exchange.response = response
    if (transfer.facts.upgrade !== undefined) noteWebSocket(transfer, response)
    exchange.answeredBy = answeredBy
    exchange.timings.responseStartMs = exchange.elapsedMs()
    this.#flow.notify('responseStarted', exchange)
  }

  /** The server owes it nothing more. */
  answered(transfer: Transfer): void {
    transfer.isResponseOver = true
    if (this.#pending[0] === transfer) this.#pending.shift()
    else {
      const at = this.#pending.indexOf(transfer)
      if (at >= 0) this.#pending.splice(at, 1)
    }
    this.#deadline.watch(this.oldest)
    if (this.#onceIdle.length > 0) this.#wake()
  }

  /** The server is gone: ends all that it has not answered, and tells how many. */
  abandon(reason: ExchangeEndReason): number {
    const unanswered = this.#pending.splice(0)
    for (const transfer of unanswered) this.end(transfer, reason)
    this.#deadline.watch(undefined)
    this.#wake()
    return unanswered.length
  }

  end(transfer: Transfer, reason: ExchangeEndReason): void {
    if (transfer.isOver) return
    transfer.over()
    this.#open.delete(transfer)
    transfer.faults?.close()
    const { exchange } = transfer
    exchange.endReason = reason
    exchange.timings.endMs = exchange.elapsedMs()
    exchange.request.finish(false)
    exchange.serverResponse?.finish(false)
    exchange.response?.finish(false)
    this.#flow.notify('exchangeEnded', exchange)
    this.#onEnd(transfer)
  }

  /**
   * Ends all that is under way.
   *
   * @param upgraded - The exchange that became another protocol, which has not failed by that.
   */
  endAll(reason: ExchangeEndReason, error: MitmError | undefined, upgraded: Transfer | undefined): void {
    for (const transfer of this.#open) {
      if (error) transfer.exchange.error ??= error
      this.end(transfer, transfer === upgraded ? 'upgraded' : reason)
    }
    this.#pending.length = 0
    this.#deadline.watch(undefined)
    this.#wake()
  }

  /** Resolves when every exchange that was sent to the server has been answered. */
  whenIdle(): Promise<void> {
    if (this.#pending.length === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onceIdle.push(resolve)
    })
  }

  #wake(): void {
    if (this.#pending.length > 0) return
    for (const wake of this.#onceIdle.splice(0)) wake()
  }
}

/** Why exchanges end that a server leaves unanswered. One that closes behind its client only follows it. */
export function reasonOfServerEnd(end: StreamEnd, clientEnd: StreamEnd | undefined): ExchangeEndReason {
  if (end.kind === 'error') return 'server-reset'
  return clientEnd ? 'client-closed' : 'server-closed'
}
