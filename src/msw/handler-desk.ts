/** What the handlers of one mitm have in common: how they are run, and how what they say goes on the wire. */
import { errorText, isMitmError, MitmError } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import type { Answer, Middleware, RewrittenResponse } from '../middleware.ts'
import { corsFields } from '../rules/cors.ts'
import type { CorsSetting } from '../rules/cors.ts'
import { baseUrlOf } from './base-url.ts'
import { withRealServers } from './bypass.ts'
import type { MswRequestHandler } from './handlers.ts'
import type { RealServers } from './real-servers.ts'
import { requestOf } from './request-of.ts'

/** The options of a `HandlerDesk`. */
export interface HandlerDeskOptions {
  /** What relative paths mean where a request does not tell its page. @defaultValue nothing */
  readonly baseURL?: string | undefined
  /** How answers are shared with pages of other origins. @defaultValue as the browser needs it */
  readonly cors?: CorsSetting
  /** Octets held of a request's body. @defaultValue 10 MiB */
  readonly maxBodyBytes?: number | undefined
  /** The servers behind the mitm. */
  readonly realServers: RealServers
}

/** What handlers are told of an exchange. */
export interface ResolutionContext {
  readonly quiet: true
  readonly baseUrl?: string
}

/** What comes of running a handler. */
export type RunResult =
  | { readonly kind: 'other' }
  | { readonly kind: 'meant'; readonly response: Response | undefined }
  | { readonly kind: 'failed'; readonly cause: unknown }
  /** The client has left: nobody waits for an answer. */
  | { readonly kind: 'gone' }

/** What is known of an exchange that handlers are asked about. */
interface Case {
  /** Given to one handler after the other, as long as none has read its body. */
  request: Request | undefined
  readonly context: ResolutionContext
  readonly controller: AbortController
}

const DEFAULT_MAX_BODY_BYTES = 10 * 1024 * 1024
const INTERNAL_ERROR = 500
const OTHER: RunResult = { kind: 'other' }
const GONE: RunResult = { kind: 'gone' }

/** Runs handlers for exchanges. As a middleware, it is told when an exchange is over. */
export class HandlerDesk implements Middleware {
  readonly name = 'handlers'
  readonly cors: CorsSetting
  readonly #options: HandlerDeskOptions
  readonly #cases = new WeakMap<Exchange, Case>()
  readonly #onEnd = new WeakMap<Exchange, () => void>()
  /** Whether a handler was asked at all. */
  #isUsed = false

  constructor(options: HandlerDeskOptions) {
    this.cors = options.cors
    this.#options = options
  }

  /** Runs one of them, when the request has come whole, and until the client has gone. Never rejects. */
  async run(exchange: Exchange, handler: MswRequestHandler): Promise<RunResult> {
    exchange.request.keepBody(this.#options.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES)
    await exchange.request.whenComplete()
    if (exchange.request.isBroken || exchange.endReason !== undefined) return GONE
    const found = this.#caseOf(exchange)
    const { context, controller } = found
    exchange.isAwaitingHandler = true
    try {
      if (!found.request || found.request.bodyUsed) found.request = requestOf(exchange, controller.signal)
      const { request } = found
      const run = (): ReturnType<MswRequestHandler['run']> =>
        handler.run({ request, requestId: exchange.id, resolutionContext: context })
      const result = await untilAborted(withRealServers(this.realServers, run), controller.signal)
      if (result === undefined) return GONE
      return result ? { kind: 'meant', response: result.response } : OTHER
    } catch (cause) {
      return controller.signal.aborted ? GONE : { kind: 'failed', cause }
    } finally {
      exchange.isAwaitingHandler = false
    }
  }

  /** Against what a handler resolves its path. */
  contextOf(exchange: Exchange): ResolutionContext {
    const baseUrl = baseUrlOf(exchange, this.#options.baseURL)
    return { quiet: true, ...(baseUrl !== undefined && { baseUrl }) }
  }

  /** The servers behind the mitm. */
  get realServers(): RealServers {
    return this.#options.realServers
  }

  /** Calls back when an exchange is over; at once where it is. */
  whenEnded(exchange: Exchange, listener: () => void): void {
    this.#isUsed = true
    if (exchange.endReason === undefined) this.#onEnd.set(exchange, listener)
    else listener()
  }

  /** An exchange is over: what handlers still do for it is told to stop, unless it went well. */
  exchangeEnded(exchange: Exchange): void {
    if (!this.#isUsed) return
    const ended = this.#cases.get(exchange)
    this.#cases.delete(exchange)
    if (exchange.endReason !== 'complete') ended?.controller.abort()
    this.#onEnd.get(exchange)?.()
  }

  /** An answer that pages of other origins may read, as far as is wanted. */
  answer(response: RewrittenResponse, answeredBy: 'handler' | 'mitm' = 'handler'): Answer {
    return {
      kind: 'respond',
      answeredBy,
      needsBody: false,
      response: (exchange) => ({ ...response, fields: corsFields(exchange, response.fields, this.cors) }),
    }
  }

  /** What is said to nobody, where a client has left: it keeps the request from its server. */
  get unheard(): Answer {
    return this.answer({ status: INTERNAL_ERROR, statusText: '', fields: [], body: Buffer.alloc(0) }, 'mitm')
  }

  /** Reports what a handler failed with, and answers for it. */
  failure(exchange: Exchange, error: MitmError): Answer {
    exchange.error ??= error
    exchange.connection.report(error)
    return this.answer(
      {
        status: INTERNAL_ERROR,
        statusText: 'Internal Server Error',
        fields: [
          ['content-type', 'text/plain; charset=utf-8'],
          ['cache-control', 'no-store'],
          ['x-playwright-mitm-error', error.code],
        ],
        body: Buffer.from(`playwright-mitm: ${error.message}\n`),
      },
      'mitm',
    )
  }

  /** The error for what a handler failed with. */
  failed(handler: { describe(): string }, cause: unknown): MitmError {
    if (isMitmError(cause) && cause.code === 'MITM_HANDLER_FAILED') return cause
    const text = `Cannot answer by the ${handler.describe()}: ${errorText(cause)}`
    return new MitmError('MITM_HANDLER_FAILED', text, { cause })
  }

  #caseOf(exchange: Exchange): Case {
    const known = this.#cases.get(exchange)
    if (known) return known
    this.#isUsed = true
    const made = { request: undefined, context: this.contextOf(exchange), controller: new AbortController() }
    this.#cases.set(exchange, made)
    return made
  }
}

/** What a promise gives, or undefined as soon as nobody wants it: a handler may wait for ever. */
async function untilAborted<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value | undefined> {
  let leave: () => void = () => undefined
  const left = new Promise<undefined>((resolve) => {
    leave = () => resolve(undefined)
    signal.addEventListener('abort', leave)
  })
  try {
    return await Promise.race([promise, left])
  } finally {
    signal.removeEventListener('abort', leave)
  }
}
