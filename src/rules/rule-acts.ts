/** What a rule may be told to do: one method for each act. */
import type { Exchange } from '../exchange.ts'
import type { Fault } from '../fault.ts'
import type { MaybePromise } from '../internal/maybe-promise.ts'
import type { DataTransform } from '../middleware.ts'
import { blockAct } from './act.ts'
import type { Act, Blame } from './act.ts'
import { jsonAct, redirectAct, respondAct, shared } from './answer-act.ts'
import type { JsonInit, Responder } from './answer-act.ts'
import type { AnswerBody, RespondInit } from './answer-init.ts'
import { problemWithCors } from './cors.ts'
import type { CorsOptions, CorsSetting } from './cors.ts'
import { dataAct, streamAct } from './data-act.ts'
import type { StreamFactory } from './data-act.ts'
import { eventsAct } from './events-act.ts'
import type { EventRewriter } from './events-act.ts'
import { show } from './filter-text.ts'
import type { HeadersInput } from './headers-input.ts'
import { delayAct, earlyHintsAct, interimAct } from './interim-act.ts'
import type { RequestChange, ResponseChange } from './message-change.ts'
import { invalidRule, ofRule } from './invalid-rule.ts'
import { forwardAct, rewriteRequestAct, rewriteResponseAct } from './rewrite-act.ts'
import type { RequestRewriter, ResponseRewriter } from './rewrite-act.ts'
import { sseAct } from './sse-act.ts'
import type { EventSourceInput, SseInit } from './sse-act.ts'

/** The acts of a rule, or of one step of its sequence. */
export abstract class RuleActs {
  readonly #acts: Act[] = []
  #cors: CorsSetting

  /** @internal What it does, in the order in which it was told. */
  get acts(): readonly Act[] {
    return this.#acts
  }

  /** Whether it answers in place of the server. */
  get decides(): boolean {
    return this.#acts.some(isDeciding)
  }

  /** @internal Whether the server of a request is not needed: it is answered here, or goes elsewhere. */
  get sparesServer(): boolean {
    return this.#acts.some((act) => isDeciding(act) || (act.kind === 'rewriteRequest' && act.leadsElsewhere === true))
  }

  /** @internal What was said of CORS. */
  get corsSetting(): CorsSetting {
    return this.#cors
  }

  /** Makes the error for a function of the rule that failed. */
  protected abstract readonly blame: Blame

  /**
   * Answers in place of the server. Decides.
   *
   * @param status - From 200 to 599.
   * @param body - A text, octets, a stream of either, or `{ path }` of a file. Decoded: it is sent in the coding that a
   *   `content-encoding` in `headers` names. Its `content-type` is `text/plain` for texts (`text/html` if it begins with
   *   `<`), by its extension for a file, else `application/octet-stream`, unless `headers` says otherwise. Not with 204
   *   and 304.
   */
  respond(status: number, body?: AnswerBody, headers?: HeadersInput): this
  /**
   * Answers in place of the server. Decides.
   *
   * @param answer - The answer, or a function that returns it, or a `Response` of the Fetch standard, when the request
   *   has come whole.
   */
  respond(answer: RespondInit | Responder): this
  respond(answer: number | RespondInit | Responder, body?: AnswerBody, headers?: HeadersInput): this {
    return this.decide(
      'respond',
      this.made(() => respondAct(answer, body, headers, this.blame)),
    )
  }

  /** Answers with `value` as JSON. Decides. */
  json(value: unknown, init?: JsonInit): this {
    return this.decide(
      'json',
      this.made(() => jsonAct(value, init, this.blame)),
    )
  }

  /**
   * Answers with a redirect. Decides.
   *
   * @param url - May be relative to the URL of the request.
   * @param status - 301, 302, 303, 307 or 308.
   */
  redirect(url: string | URL, status = 302): this {
    return this.decide(
      'redirect',
      this.made(() => redirectAct(url, status, this.blame)),
    )
  }

  /**
   * Answers with server-sent events, each of which leaves at once. Decides.
   *
   * @param events - Anything that can be iterated, perhaps asynchronously; or a function that returns it for each
   *   request. What comes of a generator is closed when the client leaves.
   */
  sse(events: EventSourceInput | ((exchange: Exchange) => MaybePromise<EventSourceInput>), init: SseInit = {}): this {
    return this.decide(
      'sse',
      this.made(() => sseAct(events, init, this.blame)),
    )
  }

  /** Cuts the connection to the client without a response. Decides. */
  block(): this {
    return this.decide(
      'block',
      this.made(() => blockAct()),
    )
  }

  /**
   * Says which pages may read the answer of this rule. Without it, an answer to a cross-origin request is given what the
   * browser asks for, and so is its preflight. No effect on answers that name `access-control-allow-origin` themselves, nor
   * on those of the server.
   *
   * @param options - `false`: nothing is added, and preflights are left to other rules and to the server.
   */
  cors(options: CorsOptions | false): this {
    const problem = problemWithCors(options)
    if (problem) throw invalidRule('cors', problem)
    this.#cors = options
    return this
  }

  /** Sends a `1xx` response before anything else; not to a client of HTTP/1.0. @param status - 100 to 199, not 101. */
  interim(status: number, headers?: HeadersInput): this {
    return this.add(this.made(() => interimAct(status, headers)))
  }

  /**
   * Sends `103 Early Hints` before anything else (RFC 8297); not to a client of HTTP/1.0.
   *
   * @param hints - The values of `link` fields, or header fields.
   */
  earlyHints(hints: string | readonly string[] | HeadersInput): this {
    return this.add(this.made(() => earlyHintsAct(hints)))
  }

  /** Changes the request before it goes to the server. A function is called when the body has come whole. */
  rewriteRequest(change: RequestChange | RequestRewriter): this {
    return this.add(this.made(() => rewriteRequestAct(change, this.blame)))
  }

  /** Changes the response, the server's or an answer. A function is called when the body has come whole. */
  rewriteResponse(change: ResponseChange | ResponseRewriter): this {
    return this.add(this.made(() => rewriteResponseAct(change, this.blame)))
  }

  /**
   * Sends the request to another origin, with its path and query.
   *
   * @param origin - Scheme, host and port: `http://127.0.0.1:4001`.
   * @param options - With `keepHost` the `Host` field stays what it was.
   */
  forwardTo(origin: string, options?: { readonly keepHost?: boolean }): this {
    return this.add(this.made(() => forwardAct(origin, options)))
  }

  /**
   * Pipes the body of the request through a stream on its way to the server, without holding it. Its content coding is
   * removed before, and not put on again.
   *
   * @param factory - Makes a `TransformStream` of octets for each request.
   */
  transformRequest(factory: StreamFactory): this {
    return this.add(this.made(() => streamAct('requestStream', factory, this.blame)))
  }

  /** As `transformRequest`, for the body of the response, the server's or an answer. */
  transformResponse(factory: StreamFactory): this {
    return this.add(this.made(() => streamAct('responseStream', factory, this.blame)))
  }

  /**
   * Changes the server-sent events of the response, the server's or an answer, one by one while they stream. What is not
   * changed keeps its very octets; so do comments, and what is no `text/event-stream`. Its content coding is removed.
   *
   * @param rewriter - Is given each event that clients would dispatch, when it has come whole. Returns nothing or the event
   *   itself to let it pass, another one, several, or `null` to drop it; or a promise, for which those behind it wait.
   */
  rewriteEvents(rewriter: EventRewriter): this {
    return this.add(this.made(() => eventsAct(rewriter, this.blame)))
  }

  /** Changes the octets of the response on their way to the client. */
  serverData(transform: DataTransform): this {
    return this.add(this.made(() => dataAct('serverData', transform, this.blame)))
  }

  /** Changes the octets of the request on their way to the server. */
  clientData(transform: DataTransform): this {
    return this.add(this.made(() => dataAct('clientData', transform, this.blame)))
  }

  /** Waits so many milliseconds before the request goes on or is answered. */
  delay(ms: number): this {
    return this.add(this.made(() => delayAct(ms)))
  }

  /** Makes something go wrong: `fault(faults.resetPeer())`. Several faults act together. */
  fault(fault: Fault): this {
    const problem = problemWithFault(fault)
    if (problem) throw invalidRule('fault', problem, this.describe())
    const act: Act = { kind: 'fault', text: fault.text, fault }
    return isDeciding(act) ? this.decide('fault', act) : this.add(act)
  }

  /** What `make` makes; what it refuses is told with the rule that it is for. */
  protected made(make: () => Act): Act {
    try {
      return make()
    } catch (error) {
      throw ofRule(error, this.describe())
    }
  }

  /** Adds what answers. @throws {@link MitmError} `MITM_INVALID_RULE` when something does already */
  protected decide(method: string, act: Act): this {
    if (this.decides) throw invalidRule(method, 'it has an answer already, expected one', this.describe())
    if (act.kind !== 'answer') return this.add(act)
    // Asked for late: cors() may be called after this.
    return this.add({ ...act, answer: shared(act.answer, () => this.corsSetting) })
  }

  protected add(act: Act): this {
    this.#acts.push(act)
    return this
  }

  /** @internal What it is for and what it does, in words. */
  abstract describe(): string
}

/** What is wrong with what should be a fault, in words; undefined when nothing is. */
function problemWithFault(fault: unknown): string | undefined {
  const expected = 'expected one that a function of faults has made, such as faults.resetPeer()'
  if (typeof fault === 'function')
    return `it is the function ${fault.name || 'itself'}, which must be called: ${expected}`
  const isFault =
    typeof fault === 'object' &&
    fault !== null &&
    'name' in fault &&
    'text' in fault &&
    'parts' in fault &&
    Array.isArray(fault.parts)
  return isFault ? undefined : `it is ${show(fault)}, ${expected}`
}

/** Whether an act answers in place of the server. */
export function isDeciding(act: Act): boolean {
  if (act.kind !== 'fault') return act.kind === 'answer'
  return act.fault.parts.some(
    (part) =>
      part.stage === 'answer' ||
      (part.stage === 'http2' && (part.failure.kind === 'frames' || part.failure.kind === 'octets')) ||
      (part.stage === 'cut' && part.side === 'client' && part.afterBytes === undefined && !part.forwards),
  )
}
