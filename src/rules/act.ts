/** What rules do: the words for it. Each kind of act is made in a file of its own. */
import { errorText, MitmError } from '../errors.ts'
import type { Fault } from '../fault.ts'
import type {
  Answer,
  DataTransform,
  InterimResponse,
  Rewrite,
  RewrittenRequest,
  RewrittenResponse,
  StreamRewrite,
} from '../middleware.ts'
import type { WebSocketHandler } from '../web-socket.ts'

export { invalidRule } from './invalid-rule.ts'

/** Makes the error for a function of a rule that failed: `what` it was to do, and why it did not. */
export type Blame = (what: string, cause: unknown) => MitmError

/** One thing that a rule does. */
export type Act = { readonly text: string } & (
  | { readonly kind: 'answer'; readonly answer: Answer }
  | {
      readonly kind: 'rewriteRequest'
      readonly rewrite: Rewrite<RewrittenRequest>
      /** Whether the request goes to another server, whatever it is: the one that it was for need not exist. */
      readonly leadsElsewhere?: boolean
    }
  | { readonly kind: 'rewriteResponse'; readonly rewrite: Rewrite<RewrittenResponse> }
  | { readonly kind: 'clientData' | 'serverData'; readonly transform: DataTransform }
  | { readonly kind: 'requestStream' | 'responseStream'; readonly rewrite: StreamRewrite }
  | { readonly kind: 'interim'; readonly response: InterimResponse }
  | { readonly kind: 'delay'; readonly ms: number }
  | { readonly kind: 'fault'; readonly fault: Fault }
  | { readonly kind: 'webSocket'; readonly handler: WebSocketHandler }
)

/** Cuts the connection. */
export function blockAct(): Act {
  return { kind: 'answer', text: 'block', answer: { kind: 'block' } }
}

/** The error for a function of a rule, which is named by `rule`. */
export function ruleFailed(rule: string, what: string, cause: unknown): MitmError {
  return new MitmError('MITM_RULE_FAILED', `Cannot ${what} by the rule ${rule}: ${errorText(cause)}`, { cause })
}
