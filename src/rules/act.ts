/** What rules do: answers, rewrites, and transforms of octets. */
import { STATUS_CODES } from 'node:http'
import { types } from 'node:util'

import { errorText, MitmError } from '../errors.ts'
import type { Exchange, Field } from '../exchange.ts'
import type { Fault } from '../fault.ts'
import { encodeContent } from '../internal/content.ts'
import { isPromise } from '../internal/maybe-promise.ts'
import type { MaybePromise } from '../internal/maybe-promise.ts'
import type {
  Answer,
  DataTransform,
  InterimResponse,
  Rewrite,
  RewrittenRequest,
  RewrittenResponse,
  StreamRewrite,
} from '../middleware.ts'
import { problemWithJson } from './content-change.ts'
import { show } from './filter-text.ts'
import { applyHeaders, fieldValue, problemWithHeaders } from './headers-input.ts'
import type { HeadersInput } from './headers-input.ts'
import { invalidRule } from './invalid-rule.ts'
import {
  changeRequest,
  changeResponse,
  hasNoBody,
  problemWithRequestChange,
  problemWithResponseChange,
  problemWithStatus,
} from './message-change.ts'
import type { RequestChange, ResponseChange } from './message-change.ts'
import { viewRequest, viewResponse } from './message-view.ts'
import type { RequestView, ResponseView } from './message-view.ts'

export { invalidRule } from './invalid-rule.ts'

/** Given to `rewriteRequest`: returns what becomes of the request, or undefined to leave it. */
export type RequestRewriter = (request: RequestView) => MaybePromise<RequestChange | undefined | void>

/** Given to `rewriteResponse`: returns what becomes of the response, or undefined to leave it. */
export type ResponseRewriter = (
  response: ResponseView,
  exchange: Exchange,
) => MaybePromise<ResponseChange | undefined | void>

/** Makes the error for a function of a rule that failed: `what` it was to do, and why it did not. */
export type Blame = (what: string, cause: unknown) => MitmError

/** One thing that a rule does. */
export type Act = { readonly text: string } & (
  | { readonly kind: 'answer'; readonly answer: Answer }
  | { readonly kind: 'rewriteRequest'; readonly rewrite: Rewrite<RewrittenRequest> }
  | { readonly kind: 'rewriteResponse'; readonly rewrite: Rewrite<RewrittenResponse> }
  | { readonly kind: 'clientData' | 'serverData'; readonly transform: DataTransform }
  | { readonly kind: 'requestStream' | 'responseStream'; readonly rewrite: StreamRewrite }
  | { readonly kind: 'interim'; readonly response: InterimResponse }
  | { readonly kind: 'delay'; readonly ms: number }
  | { readonly kind: 'fault'; readonly fault: Fault }
)

/** Answers with a status, a body and header fields. @throws {@link MitmError} `MITM_INVALID_RULE` */
export function respondAct(status: number, body?: string | Uint8Array, headers?: HeadersInput): Act {
  if (body !== undefined && typeof body !== 'string' && !types.isUint8Array(body)) {
    throw invalidRule('respond', `body is ${show(body)}, expected a text or octets; for other values there is json()`)
  }
  const octets = body === undefined ? undefined : Buffer.from(body)
  return answerAct('respond', status, octets, octets && defaultType(body), headers)
}

/** Answers with a value as JSON. @throws {@link MitmError} `MITM_INVALID_RULE` */
export function jsonAct(value: unknown, init: { status?: number; headers?: HeadersInput } = {}): Act {
  const problem = problemWithJson(value)
  if (problem) throw invalidRule('json', problem)
  const unknown = Object.keys(init).find((key) => key !== 'status' && key !== 'headers')
  if (unknown !== undefined) {
    throw invalidRule(
      'json',
      `${JSON.stringify(unknown)} is not known, expected { status, headers } as second argument`,
    )
  }
  return answerAct('json', init.status ?? 200, Buffer.from(JSON.stringify(value)), 'application/json', init.headers)
}

/** Cuts the connection. */
export function blockAct(): Act {
  return { kind: 'answer', text: 'block', answer: { kind: 'block' } }
}

/** Changes requests. @throws {@link MitmError} `MITM_INVALID_RULE` */
export function rewriteRequestAct(change: RequestChange | RequestRewriter, blame: Blame): Act {
  const rewrite =
    typeof change === 'function'
      ? computedRewrite(
          (message: RewrittenRequest) => change(viewRequest(message)),
          problemWithRequestChange,
          changeRequest,
          (cause) => blame('rewrite the request', cause),
        )
      : fixedRewrite(change, 'rewriteRequest', problemWithRequestChange, changeRequest, (cause) =>
          blame('rewrite the request', cause),
        )
  return { kind: 'rewriteRequest', text: `rewrite the request${changeText(change)}`, rewrite }
}

/** Changes responses. @throws {@link MitmError} `MITM_INVALID_RULE` */
export function rewriteResponseAct(change: ResponseChange | ResponseRewriter, blame: Blame): Act {
  const rewrite =
    typeof change === 'function'
      ? computedRewrite(
          (message: RewrittenResponse, exchange) => change(viewResponse(message), exchange),
          problemWithResponseChange,
          changeResponse,
          (cause) => blame('rewrite the response', cause),
        )
      : fixedRewrite(change, 'rewriteResponse', problemWithResponseChange, changeResponse, (cause) =>
          blame('rewrite the response', cause),
        )
  return { kind: 'rewriteResponse', text: `rewrite the response${changeText(change)}`, rewrite }
}

/** Changes octets. @throws {@link MitmError} `MITM_INVALID_RULE` */
export function dataAct(kind: 'clientData' | 'serverData', transform: DataTransform, blame: Blame): Act {
  if (typeof transform !== 'function') throw invalidRule(kind, `it is ${show(transform)}, expected a function`)
  const what = `change the octets of the ${kind === 'clientData' ? 'request' : 'response'}`
  const octets = (result: unknown): Uint8Array => {
    if (types.isUint8Array(result)) return result
    throw blame(what, new TypeError(`the function returned ${show(result)}, expected octets`))
  }
  return {
    kind,
    text: what,
    transform: (data, connection) =>
      chain(
        () => transform(data, connection),
        octets,
        (cause) => blame(what, cause),
      ),
  }
}

function answerAct(
  method: 'respond' | 'json',
  status: number,
  octets: Buffer | undefined,
  type: string | undefined,
  headers: HeadersInput | undefined,
): Act {
  const problem = problemWithStatus(status) ?? problemWithHeaders(headers)
  if (problem) throw invalidRule(method, problem)
  if (hasNoBody(status) && octets?.length) throw invalidRule(method, `status ${status} has no body, but one is given`)
  const hasType = type !== undefined && !hasNoBody(status)
  const given = applyHeaders([], headers)
  const fields: readonly Field[] =
    hasType && fieldValue(given, 'content-type') === undefined ? [['content-type', type], ...given] : given
  const content = octets ?? Buffer.alloc(0)
  // A coding that cannot be written here is the user's own: the octets are taken to be in it already.
  const body =
    content.length > 0 ? (encodeContent(content, fieldValue(fields, 'content-encoding')) ?? content) : content
  const response: RewrittenResponse = { status, statusText: STATUS_CODES[status] ?? '', fields, body }
  const shown = content.length > 0 ? ` with ${fieldValue(fields, 'content-type')} (${content.length} octets)` : ''
  return {
    kind: 'answer',
    text: `answer ${status}${shown}`,
    answer: { kind: 'respond', needsBody: false, response: () => response },
  }
}

function defaultType(body: string | Uint8Array | undefined): string {
  if (typeof body !== 'string') return 'application/octet-stream'
  return `${/^\s*</.test(body) ? 'text/html' : 'text/plain'}; charset=utf-8`
}

function fixedRewrite<Message, Change>(
  change: Change,
  method: string,
  findProblem: (change: unknown) => string | undefined,
  apply: (message: Message, change: Change) => Message,
  blame: (cause: unknown) => MitmError,
): Rewrite<Message> {
  const problem = findProblem(change)
  if (problem) throw invalidRule(method, problem)
  return {
    needsBody: false,
    apply(message) {
      try {
        return apply(message, change)
      } catch (error) {
        throw blame(error)
      }
    },
  }
}

function computedRewrite<Message, Change>(
  compute: (message: Message, exchange: Exchange) => MaybePromise<Change | undefined | void>,
  findProblem: (change: unknown) => string | undefined,
  apply: (message: Message, change: Change) => Message,
  blame: (cause: unknown) => MitmError,
): Rewrite<Message> {
  return {
    needsBody: true,
    apply: (message, exchange) =>
      chain(
        () => compute(message, exchange),
        (change) => {
          if (change === undefined) return message
          const problem = findProblem(change)
          if (problem) throw blame(new TypeError(`the function returned a change that cannot be made: ${problem}`))
          try {
            return apply(message, change)
          } catch (error) {
            throw blame(error)
          }
        },
        blame,
      ),
  }
}

/** `next` of what `first` gives or promises; what `first` throws goes to `blame`. */
function chain<T, Result>(
  first: () => MaybePromise<T>,
  next: (value: T) => Result,
  blame: (cause: unknown) => MitmError,
): MaybePromise<Result> {
  let value: MaybePromise<T>
  try {
    value = first()
  } catch (error) {
    throw blame(error)
  }
  if (!isPromise(value)) return next(value)
  return chainLater(value, next, blame)
}

async function chainLater<T, Result>(
  promise: Promise<T>,
  next: (value: T) => Result,
  blame: (cause: unknown) => MitmError,
): Promise<Result> {
  let value: T
  try {
    value = await promise
  } catch (error) {
    throw blame(error)
  }
  return next(value)
}

function changeText(change: object): string {
  return typeof change === 'function' ? '' : ` (${Object.keys(change).join(', ')})`
}

/** The error for a function of a rule, which is named by `rule`. */
export function ruleFailed(rule: string, what: string, cause: unknown): MitmError {
  return new MitmError('MITM_RULE_FAILED', `Cannot ${what} by the rule ${rule}: ${errorText(cause)}`, { cause })
}
