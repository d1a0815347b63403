/** What a rule may be told to do: one method for each act. */
import type { Fault } from '../fault.ts'
import type { DataTransform } from '../middleware.ts'
import { blockAct, dataAct, invalidRule, jsonAct, respondAct, rewriteRequestAct, rewriteResponseAct } from './act.ts'
import type { Act, Blame, RequestRewriter, ResponseRewriter } from './act.ts'
import type { HeadersInput } from './headers-input.ts'
import type { RequestChange, ResponseChange } from './message-change.ts'

/** How a JSON answer is sent. */
export interface JsonInit {
  /** @defaultValue 200 */
  status?: number
  /** `content-type` is `application/json` unless named here. */
  headers?: HeadersInput
}

/** The acts of a rule, or of one step of its sequence. */
export abstract class RuleActs {
  readonly #acts: Act[] = []

  /** @internal What it does, in the order in which it was told. */
  get acts(): readonly Act[] {
    return this.#acts
  }

  /** Whether it answers in place of the server. */
  get decides(): boolean {
    return this.#acts.some(isDeciding)
  }

  /** Makes the error for a function of the rule that failed. */
  protected abstract readonly blame: Blame

  /**
   * Answers in place of the server. Decides.
   *
   * @param status - From 200 to 599.
   * @param body - Decoded: it is sent in the coding that a `content-encoding` in `headers` names. Its `content-type` is
   *   `text/plain` for texts (`text/html` if it begins with `<`), else `application/octet-stream`, unless `headers` says
   *   otherwise. Not with 204 and 304.
   */
  respond(status: number, body?: string | Uint8Array, headers?: HeadersInput): this {
    return this.decide('respond', respondAct(status, body, headers))
  }

  /** Answers with `value` as JSON. Decides. */
  json(value: unknown, init?: JsonInit): this {
    return this.decide('json', jsonAct(value, init))
  }

  /** Cuts the connection to the client without a response. Decides. */
  block(): this {
    return this.decide('block', blockAct())
  }

  /** Changes the request before it goes to the server. A function is called when the body has come whole. */
  rewriteRequest(change: RequestChange | RequestRewriter): this {
    return this.add(rewriteRequestAct(change, this.blame))
  }

  /** Changes the response, the server's or an answer. A function is called when the body has come whole. */
  rewriteResponse(change: ResponseChange | ResponseRewriter): this {
    return this.add(rewriteResponseAct(change, this.blame))
  }

  /** Changes the octets of the response on their way to the client. */
  serverData(transform: DataTransform): this {
    return this.add(dataAct('serverData', transform, this.blame))
  }

  /** Changes the octets of the request on their way to the server. */
  clientData(transform: DataTransform): this {
    return this.add(dataAct('clientData', transform, this.blame))
  }

  /** Waits so many milliseconds before the request goes on or is answered. */
  delay(ms: number): this {
    if (typeof ms !== 'number' || !(ms >= 0))
      throw invalidRule('delay', `ms is ${String(ms)}, expected milliseconds from 0 on`)
    return this.add({ kind: 'delay', text: `wait ${ms} ms`, ms })
  }

  /** Makes something go wrong: `fault(faults.resetPeer())`. Several faults act together. */
  fault(fault: Fault): this {
    const act: Act = { kind: 'fault', text: fault.text, fault }
    return isDeciding(act) ? this.decide('fault', act) : this.add(act)
  }

  /** Adds what answers. @throws {@link MitmError} `MITM_INVALID_RULE` when something does already */
  protected decide(method: string, act: Act): this {
    if (this.decides) throw invalidRule(method, `the rule has an answer already (${this.describe()}), expected one`)
    return this.add(act)
  }

  protected add(act: Act): this {
    this.#acts.push(act)
    return this
  }

  /** @internal What it is for and what it does, in words. */
  abstract describe(): string
}

/** Whether an act answers in place of the server. */
export function isDeciding(act: Act): boolean {
  if (act.kind !== 'fault') return act.kind === 'answer'
  return act.fault.parts.some(
    (part) =>
      part.stage === 'answer' ||
      (part.stage === 'cut' && part.side === 'client' && part.afterBytes === undefined && !part.forwards),
  )
}
