/** What stands in one order with rules and may answer as they do: handlers of MSW, as the list of rules knows them. */
import type { Exchange } from '../exchange.ts'
import type { MaybePromise } from '../internal/maybe-promise.ts'
import type { Answer, Rewrite, RewrittenRequest } from '../middleware.ts'
import type { Destination } from '../protocol.ts'
import type { IndexKey } from './rule-index.ts'
import type { RequestLocation } from './request-location.ts'

/** What a handler says of an exchange. */
export type HandlerOutcome =
  /** It is not for it. */
  | { readonly kind: 'other' }
  /** The client wants no handler to be asked, and marked the request so; `unmark` takes the mark off. */
  | { readonly kind: 'bypassed'; readonly unmark: Rewrite<RewrittenRequest> }
  /** It is for it, and says nothing: older ones may. */
  | { readonly kind: 'silent' }
  /** The request is to go to its server. */
  | { readonly kind: 'passthrough' }
  | { readonly kind: 'answer'; readonly answer: Answer }
  /** The client has left before it had said anything: `answer` keeps the request from its server. */
  | { readonly kind: 'gone'; readonly answer: Answer }

/** A handler in the list of rules. */
export interface ListedHandler {
  readonly kind: 'handler'
  /** What requests it is looked up by; undefined: it is always a candidate. */
  readonly indexKey: IndexKey | undefined
  /** Whether it is for WebSockets, and for nothing else. */
  readonly isForWebSockets: boolean
  /** Whether it has been taken out. */
  readonly isRemoved: boolean
  /** Whether it could mean a request to this host. */
  mayMatch(destination: Destination): boolean
  /** Whether it could mean a request, as far as method and URL tell. */
  means(method: string, location: RequestLocation): boolean
  /** Why it is not for a request, part by part: as far as method and URL tell, and else that MSW said so. */
  misses(method: string, location: RequestLocation): readonly string[]
  /**
   * Asks it. Never rejects: what its functions throw is reported, and answered for.
   *
   * @param others - What is asked behind it, rules and handlers.
   */
  ask(exchange: Exchange, others: readonly object[]): Promise<HandlerOutcome>
  /** What answers the question that a browser asks before a request that it is for; undefined where it is not. */
  preflight(exchange: Exchange): MaybePromise<Answer | undefined>
  /** What it is for, and where it was made. */
  describe(): string
  /** The same, and how often it has answered. */
  explain(): string
}
