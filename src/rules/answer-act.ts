/** Acts that answer in place of the server. */
import type { Exchange, Field } from '../exchange.ts'
import type { MaybePromise } from '../internal/maybe-promise.ts'
import type { Answer, RewrittenResponse } from '../middleware.ts'
import { invalidRule } from './act.ts'
import type { Act, Blame } from './act.ts'
import { fixedResponse, initText, isFixed, problemWithInit, responseOf } from './answer-init.ts'
import type { AnswerBody, RespondInit } from './answer-init.ts'
import { chain } from './blamed.ts'
import { corsFields } from './cors.ts'
import type { CorsSetting } from './cors.ts'
import { functionName, show } from './filter-text.ts'
import { fieldValue } from './headers-input.ts'
import type { HeadersInput } from './headers-input.ts'

/** A `Response` of the Fetch standard, by its shape: the global one, undici's, or another's. */
export interface ResponseLike {
  readonly status: number
  readonly statusText: string
  readonly headers: Iterable<readonly [string, string]>
  readonly body: ReadableStream<Uint8Array> | null
  arrayBuffer(): Promise<ArrayBuffer>
}

/** Makes an answer when the request has come whole. */
export type Responder = (exchange: Exchange) => MaybePromise<RespondInit | ResponseLike>

/** How a JSON answer is sent. */
export interface JsonInit {
  /** @defaultValue 200 */
  status?: number
  /** `content-type` is `application/json` unless named here. */
  headers?: HeadersInput
}

/** Answers. @throws {@link MitmError} `MITM_INVALID_RULE` */
export function respondAct(
  answer: number | RespondInit | Responder,
  body: AnswerBody | undefined,
  headers: HeadersInput | undefined,
  blame: Blame,
): Act {
  if (typeof answer !== 'number' && (body !== undefined || headers !== undefined)) {
    throw invalidRule('respond', `the first argument is ${show(answer)}, expected a status where others follow`)
  }
  if (typeof answer === 'function') return computedAct(answer, blame)
  return initAct('respond', typeof answer === 'number' ? { status: answer, body, headers } : answer, blame)
}

/** Answers with a value as JSON. @throws {@link MitmError} `MITM_INVALID_RULE` */
export function jsonAct(value: unknown, init: JsonInit = {}, blame: Blame): Act {
  if (Object.prototype.toString.call(init) !== '[object Object]') {
    throw invalidRule('json', `its second argument is ${show(init)}, expected { status, headers }`)
  }
  const unknown = Object.keys(init).find((key) => key !== 'status' && key !== 'headers')
  if (unknown !== undefined) {
    throw invalidRule(
      'json',
      `${JSON.stringify(unknown)} is not known, expected { status, headers } as second argument`,
    )
  }
  if (value === undefined) throw invalidRule('json', 'json is undefined, which JSON has no word for')
  return initAct('json', { ...init, json: value }, blame)
}

/** Sends the client elsewhere. @throws {@link MitmError} `MITM_INVALID_RULE` */
export function redirectAct(url: string | URL, status: number, blame: Blame): Act {
  if (![301, 302, 303, 307, 308].includes(status)) {
    throw invalidRule('redirect', `status is ${show(status)}, expected 301, 302, 303, 307 or 308`)
  }
  const text = url instanceof URL ? url.href : url
  if (typeof text !== 'string' || !URL.canParse(text, 'http://origin.test/')) {
    throw invalidRule('redirect', `url is ${show(url)}, expected a URL, which may be relative`)
  }
  const location = URL.canParse(text) ? new URL(text).href : encodeURI(decodeSafely(text))
  const act = initAct('redirect', { status, headers: { location } }, blame)
  return { ...act, text: `redirect to ${text} (${status})` }
}

/** What is escaped already must not be escaped again. */
function decodeSafely(url: string): string {
  try {
    return decodeURI(url)
  } catch {
    return url
  }
}

function initAct(method: string, init: RespondInit, blame: Blame): Act {
  const problem = problemWithInit(init)
  if (problem) throw invalidRule(method, problem)
  const failed = (cause: unknown): ReturnType<Blame> => blame('answer', cause)
  const fixed = isFixed(init) ? fixedResponse(init) : undefined
  return {
    kind: 'answer',
    text: fixed ? fixedText(fixed, init) : initText(init),
    answer: {
      kind: 'respond',
      needsBody: false,
      response: () =>
        fixed ??
        chain(
          () => responseOf(init, failed),
          (response) => response,
          failed,
        ),
    },
  }
}

function fixedText({ status, fields }: RewrittenResponse, init: RespondInit): string {
  const octets = fixedResponse({ ...init, headers: {} }).body?.length ?? 0
  return `answer ${status}${octets > 0 ? ` with ${fieldValue(fields, 'content-type')} (${octets} ${octets === 1 ? 'octet' : 'octets'})` : ''}`
}

function computedAct(responder: Responder, blame: Blame): Act {
  const failed = (cause: unknown): ReturnType<Blame> => blame('answer', cause)
  const respond = (given: unknown): MaybePromise<RewrittenResponse> => {
    const init = isResponse(given) ? initOfResponse(given) : given
    const problem = problemWithInit(init)
    if (problem) throw failed(new TypeError(`the function returned an answer that cannot be sent: ${problem}`))
    return chain(
      // Boundary: just checked.
      () => responseOf(init as RespondInit, failed),
      (response) => response,
      failed,
    )
  }
  return {
    kind: 'answer',
    text: `answer with what ${functionName(responder)} returns`,
    answer: {
      kind: 'respond',
      needsBody: true,
      response: (exchange) => {
        const made = chain(() => responder(exchange), respond, failed)
        return made
      },
    },
  }
}

function isResponse(value: unknown): value is ResponseLike {
  return (
    typeof value === 'object' &&
    value !== null &&
    'arrayBuffer' in value &&
    typeof value.arrayBuffer === 'function' &&
    'headers' in value &&
    typeof value.headers === 'object' &&
    value.headers !== null &&
    Symbol.iterator in value.headers &&
    'status' in value
  )
}

function initOfResponse({ status, statusText, headers, body }: ResponseLike): RespondInit {
  const fields = [...headers].map(([name, value]): Field => [name, value])
  // One that `fetch` gave has been decoded: its fields still speak of what was on the wire.
  const isCoded = fields.some(([name]) => name === 'content-encoding')
  const kept = fields.filter(([name]) => !/^(?:transfer-encoding|connection|keep-alive|trailer)$/.test(name))
  return {
    status,
    headers: isCoded ? kept.filter(([name]) => name !== 'content-length') : kept,
    ...(statusText !== '' && { statusText }),
    ...(body !== null && { body }),
  }
}

/** An answer that pages of other origins may read, as far as `setting` says so at the time. */
export function shared(answer: Answer, setting: () => CorsSetting): Answer {
  if (answer.kind !== 'respond') return answer
  const share = (response: RewrittenResponse, exchange: Exchange): RewrittenResponse => {
    const fields = corsFields(exchange, response.fields, setting())
    return fields === response.fields ? response : { ...response, fields }
  }
  return {
    ...answer,
    response: (exchange) => {
      const response = answer.response(exchange)
      return response instanceof Promise ? response.then((made) => share(made, exchange)) : share(response, exchange)
    },
  }
}
