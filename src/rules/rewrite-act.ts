/** Acts that change messages. */
import type { MitmError } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import type { MaybePromise } from '../internal/maybe-promise.ts'
import type { Rewrite, RewrittenRequest, RewrittenResponse } from '../middleware.ts'
import { invalidRule } from './act.ts'
import type { Act, Blame } from './act.ts'
import { chain } from './blamed.ts'
import { isEdit } from './content-change.ts'
import { show } from './filter-text.ts'
import { changeRequest, changeResponse, problemWithRequestChange, problemWithResponseChange } from './message-change.ts'
import type { RequestChange, ResponseChange } from './message-change.ts'
import { viewRequest, viewResponse } from './message-view.ts'
import type { RequestView, ResponseView } from './message-view.ts'

/** Given to `rewriteRequest`: returns what becomes of the request, or undefined to leave it. */
export type RequestRewriter = (request: RequestView) => MaybePromise<RequestChange | undefined | void>

/** Given to `rewriteResponse`: returns what becomes of the response, or undefined to leave it. */
export type ResponseRewriter = (
  response: ResponseView,
  exchange: Exchange,
) => MaybePromise<ResponseChange | undefined | void>

/** Changes requests. @throws {@link MitmError} `MITM_INVALID_RULE` */
export function rewriteRequestAct(change: RequestChange | RequestRewriter, blame: Blame): Act {
  const how = {
    method: 'rewriteRequest',
    findProblem: problemWithRequestChange,
    apply: changeRequest,
    blame: (cause: unknown) => blame('rewrite the request', cause),
  }
  const rewrite =
    typeof change === 'function'
      ? computedRewrite((message: RewrittenRequest) => change(viewRequest(message)), how)
      : fixedRewrite(change, how)
  return {
    kind: 'rewriteRequest',
    text: `rewrite the request${changeText(change)}`,
    rewrite,
    leadsElsewhere: typeof change === 'object' && change.url !== undefined && URL.canParse(change.url),
  }
}

/** Changes responses. @throws {@link MitmError} `MITM_INVALID_RULE` */
export function rewriteResponseAct(change: ResponseChange | ResponseRewriter, blame: Blame): Act {
  const how = {
    method: 'rewriteResponse',
    findProblem: problemWithResponseChange,
    apply: changeResponse,
    blame: (cause: unknown) => blame('rewrite the response', cause),
  }
  const rewrite =
    typeof change === 'function'
      ? computedRewrite((message: RewrittenResponse, exchange) => change(viewResponse(message), exchange), how)
      : fixedRewrite(change, how)
  return { kind: 'rewriteResponse', text: `rewrite the response${changeText(change)}`, rewrite }
}

/** Sends requests to another origin. @throws {@link MitmError} `MITM_INVALID_RULE` */
export function forwardAct(origin: string, options: { readonly keepHost?: boolean } = {}): Act {
  if (typeof origin !== 'string' || !isOrigin(origin)) {
    throw invalidRule(
      'forwardTo',
      `origin is ${show(origin)}, expected scheme, host and port, such as "http://127.0.0.1:4001", without a path`,
    )
  }
  const unknown = Object.keys(options).find((key) => key !== 'keepHost')
  if (unknown !== undefined)
    throw invalidRule('forwardTo', `${JSON.stringify(unknown)} is not known, expected keepHost`)
  const { keepHost = false } = options
  if (typeof keepHost !== 'boolean')
    throw invalidRule('forwardTo', `keepHost is ${show(keepHost)}, expected true or false`)
  const to = new URL(origin).origin
  return {
    kind: 'rewriteRequest',
    text: `forward to ${to}${keepHost ? ', keeping Host' : ''}`,
    leadsElsewhere: true,
    rewrite: {
      needsBody: false,
      apply(request) {
        const { pathname, search } = new URL(request.url)
        if (keepHost) return { ...request, url: `${to}${pathname}${search}`, keepsHost: true }
        return changeRequest(request, { url: `${to}${pathname}${search}` })
      },
    },
  }
}

function isOrigin(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, pathname, search, hash, username, password } = new URL(text)
  return (
    /^https?:$/.test(protocol) &&
    pathname === '/' &&
    `${search}${hash}${username}${password}` === '' &&
    !/[?#]/.test(text)
  )
}

/** What kind of message is changed, and how. */
interface How<Message, Change> {
  readonly method: string
  findProblem(change: unknown): string | undefined
  apply(message: Message, change: Change, exchange: Exchange): Message
  blame(cause: unknown): MitmError
}

function fixedRewrite<Message, Change extends object>(change: Change, how: How<Message, Change>): Rewrite<Message> {
  const problem = how.findProblem(change)
  if (problem) throw invalidRule(how.method, problem)
  return {
    needsBody: isEdit(change),
    apply(message, exchange) {
      try {
        return how.apply(message, change, exchange)
      } catch (error) {
        throw how.blame(error)
      }
    },
  }
}

function computedRewrite<Message, Change>(
  compute: (message: Message, exchange: Exchange) => MaybePromise<Change | undefined | void>,
  how: How<Message, Change>,
): Rewrite<Message> {
  return {
    needsBody: true,
    apply: (message, exchange) =>
      chain(
        () => compute(message, exchange),
        (change) => {
          if (change === undefined) return message
          const problem = how.findProblem(change)
          if (problem) throw how.blame(new TypeError(`the function returned a change that cannot be made: ${problem}`))
          try {
            return how.apply(message, change, exchange)
          } catch (error) {
            throw how.blame(error)
          }
        },
        (cause) => how.blame(cause),
      ),
  }
}

function changeText(change: object): string {
  return typeof change === 'function' ? '' : ` (${Object.keys(change).join(', ')})`
}
