/** A handler of requests (`http`, `graphql`, `sse`) among the rules of a mitm. */
import { MitmError } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import type { Answer } from '../middleware.ts'
import { preflightAnswer, preflightMethod } from '../rules/cors.ts'
import { mayBeGraphql } from '../rules/graphql-request.ts'
import type { HandlerOutcome } from '../rules/listed-handler.ts'
import { locate } from '../rules/request-location.ts'
import type { RequestLocation } from '../rules/request-location.ts'
import { isWebSocketHandshake } from '../web-socket-handshake.ts'
import { isMarked, unmark } from './bypass.ts'
import type { HandlerDesk } from './handler-desk.ts'
import { HandlerEntry } from './handler-entry.ts'
import { property } from './handlers.ts'
import type { MswRequestHandler } from './handlers.ts'
import { forgetProgress, restore, withOwnState } from './own-state.ts'
import { isRequestable, requestOf } from './request-of.ts'
import { isNetworkError, isPassthrough, isResponse, rewrittenResponse } from './response-of.ts'

const OTHER: HandlerOutcome = { kind: 'other' }
const BLOCK: HandlerOutcome = { kind: 'answer', answer: { kind: 'block' } }

/** A handler of requests. */
export class RequestEntry extends HandlerEntry<MswRequestHandler> {
  readonly isForWebSockets = false
  readonly #desk: HandlerDesk
  readonly #own: MswRequestHandler
  readonly #method: unknown
  readonly #isGraphql: boolean
  /** What it has cut: a browser may send the same once more. */
  readonly #cut = new WeakSet<Exchange>()

  constructor(handler: MswRequestHandler, desk: HandlerDesk, handedOver: () => string | undefined) {
    const { info } = handler
    // A handler of GraphQL keeps its endpoint beside what it tells of itself.
    const path = property(info, 'path') ?? property(handler, 'endpoint')
    super({ handler, header: info.header, path, handedOver })
    this.#desk = desk
    this.#own = withOwnState(handler)
    this.#method = property(info, 'method')
    this.#isGraphql = property(info, 'operationType') !== undefined
  }

  override means(method: string, location: RequestLocation): boolean {
    return this.#meansMethod(method) && super.means(method, location)
  }

  override misses(method: string, location: RequestLocation): readonly string[] {
    if (this.#meansMethod(method)) return super.misses(method, location)
    const misses = [`method is ${method}, expected ${String(this.#method)}`]
    return super.means(method, location) ? misses : [...misses, ...super.misses(method, location)]
  }

  async ask(exchange: Exchange): Promise<HandlerOutcome> {
    if (!isRequestable(exchange) || isWebSocketHandshake(exchange)) return OTHER
    if (isMarked(exchange)) return { kind: 'bypassed', unmark }
    if (this.#isGraphql && !mayBeGraphql(exchange)) return OTHER
    if (exchange.resentFrom && this.#cut.has(exchange.resentFrom)) {
      this.decided(exchange)
      return BLOCK
    }
    const result = await this.#desk.run(exchange, this.#own)
    if (result.kind === 'other') return OTHER
    if (result.kind === 'gone') {
      this.asked(exchange)
      return { kind: 'gone', answer: this.#desk.unheard }
    }
    if (result.kind === 'meant' && !result.response) return { kind: 'silent' }
    this.decided(exchange)
    try {
      if (result.kind === 'failed') throw result.cause
      return this.#outcomeOf(exchange, result.response)
    } catch (cause) {
      return { kind: 'answer', answer: this.#desk.failure(exchange, this.#desk.failed(this, cause)) }
    }
  }

  /** @throws what is wrong with what it returned */
  #outcomeOf(exchange: Exchange, response: unknown): HandlerOutcome {
    if (!isResponse(response)) throw new TypeError(`it returned ${typeof response}, expected a Response`)
    if (isPassthrough(response)) return { kind: 'passthrough' }
    if (isNetworkError(response)) {
      this.#cut.add(exchange)
      return BLOCK
    }
    const rewritten = rewrittenResponse(response, (cause) => this.#brokenOff(cause))
    return { kind: 'answer', answer: this.#desk.answer(rewritten) }
  }

  /** A stream that is ended by `controller.error()` without a reason is meant to break off; so does `sse()` it. */
  #brokenOff(cause: unknown): MitmError {
    if (cause !== undefined) return this.#desk.failed(this, cause)
    return new MitmError('MITM_SERVER_RESET', `The ${this.describe()} broke its response off`)
  }

  override async preflight(exchange: Exchange): Promise<Answer | undefined> {
    const answer = preflightAnswer(exchange, this.#desk.cors)
    const method = preflightMethod(exchange)
    if (!answer || !isRequestable(exchange) || !this.means(method, locate(exchange.request.url))) return undefined
    // What it asks for is not known before its body has come.
    if (this.#isGraphql) return answer
    const test = property(this.#own, 'test')
    if (typeof test !== 'function') return undefined
    try {
      const request = requestOf(exchange, new AbortController().signal, method)
      const resolutionContext = this.#desk.contextOf(exchange)
      const isMeant: unknown = await Reflect.apply(test, this.#own, [{ request, resolutionContext }])
      return isMeant === true ? answer : undefined
    } catch {
      // A predicate of the user's that throws is told of when the request itself comes.
      return undefined
    }
  }

  override reset(): void {
    forgetProgress(this.#own)
  }

  override restore(): void {
    restore(this.#own)
  }

  override remove(): void {
    super.remove()
    // Lets generators clean up behind themselves.
    forgetProgress(this.#own)
  }

  #meansMethod(method: string): boolean {
    const wanted = this.#method
    if (typeof wanted === 'string') return wanted.toLowerCase() === method.toLowerCase()
    if (!(wanted instanceof RegExp)) return true
    // One with a flag by which it remembers where it was must not be moved on by being asked.
    return new RegExp(wanted.source, wanted.flags.replace(/[gy]/g, '')).test(method)
  }
}
