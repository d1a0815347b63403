/** The act that answers with server-sent events. */
import type { MitmError } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import type { MaybePromise } from '../internal/maybe-promise.ts'
import type { RewrittenResponse } from '../middleware.ts'
import { invalidRule } from './act.ts'
import type { Act, Blame } from './act.ts'
import { fixedResponse } from './answer-init.ts'
import { useOnce } from './answer-stream.ts'
import { chain } from './blamed.ts'
import { problemWithEvent, writeEvent } from './event-stream.ts'
import type { ServerSentEvent } from './event-stream.ts'
import { functionName, show } from './filter-text.ts'
import { applyHeaders, fieldValue, problemWithHeaders, setField } from './headers-input.ts'
import type { HeadersInput } from './headers-input.ts'
import { hasNoBody, problemWithStatus } from './message-change.ts'

/** Events, at once or as they happen. */
export type EventSourceInput = Iterable<ServerSentEvent> | AsyncIterable<ServerSentEvent>

/** How server-sent events are sent. */
export interface SseInit {
  /** @defaultValue 200 */
  readonly status?: number | undefined
  /** `content-type` is `text/event-stream` and `cache-control` is `no-store`, unless named here. */
  readonly headers?: HeadersInput | undefined
  /**
   * Whether the response stays open behind the last event. Browsers connect again when it ends, and are given all the
   * events again. @defaultValue false
   */
  readonly keepOpen?: boolean | undefined
}

const INIT_KEYS = ['status', 'headers', 'keepOpen']

/** Answers with server-sent events. @throws {@link MitmError} `MITM_INVALID_RULE` */
export function sseAct(
  events: EventSourceInput | ((exchange: Exchange) => MaybePromise<EventSourceInput>),
  init: SseInit,
  blame: Blame,
): Act {
  const problem = problemWithSseInit(init) ?? (typeof events === 'function' ? undefined : problemWithEvents(events))
  if (problem) throw invalidRule('sse', problem)
  const given = applyHeaders([], init.headers)
  let fields = given
  for (const [name, value] of [
    ['content-type', 'text/event-stream'],
    ['cache-control', 'no-store'],
  ] as const) {
    if (fieldValue(given, name) === undefined) fields = setField(fields, name, value)
  }
  const { body: _, ...head } = fixedResponse({ status: init.status, headers: fields })
  const failed = (cause: unknown): MitmError => blame('answer with server-sent events', cause)
  const respond = (source: EventSourceInput): RewrittenResponse => {
    const problemNow = problemWithEvents(source)
    if (problemNow) throw failed(new TypeError(problemNow))
    return { ...head, body: undefined, stream: eventOctets(source, init.keepOpen ?? false, failed) }
  }
  const count = Array.isArray(events) ? ` (${events.length})` : ''
  return {
    kind: 'answer',
    text: `answer ${head.status} with server-sent events${typeof events === 'function' ? ` of ${functionName(events)}` : count}`,
    answer: {
      kind: 'respond',
      needsBody: typeof events === 'function',
      response: (exchange) =>
        typeof events === 'function' ? chain(() => events(exchange), respond, failed) : respond(events),
    },
  }
}

function problemWithSseInit(init: SseInit): string | undefined {
  if (typeof init !== 'object' || init === null) return `its second argument is ${show(init)}, expected an object`
  const unknown = Object.keys(init).find((key) => !INIT_KEYS.includes(key))
  if (unknown !== undefined) return `${JSON.stringify(unknown)} is not known, expected ${INIT_KEYS.join(', ')}`
  const { status = 200, headers, keepOpen } = init
  if (hasNoBody(status)) return `status ${status} has no body, but events are given`
  if (keepOpen !== undefined && typeof keepOpen !== 'boolean')
    return `keepOpen is ${show(keepOpen)}, expected true or false`
  return problemWithStatus(status) ?? problemWithHeaders(headers)
}

function problemWithEvents(events: unknown): string | undefined {
  const isMany =
    typeof events === 'object' && events !== null && (Symbol.iterator in events || Symbol.asyncIterator in events)
  if (!isMany) return `events is ${show(events)}, expected something iterable, or a function that returns it`
  if (!Array.isArray(events)) return undefined
  for (const [at, event] of (events as readonly unknown[]).entries()) {
    const problem = problemWithEvent(event)
    if (problem) return `events[${at}] ${problem}`
  }
  return undefined
}

function eventOctets(
  events: EventSourceInput,
  staysOpen: boolean,
  blame: (cause: unknown) => MitmError,
): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]() {
      let iterator: Iterator<unknown> | AsyncIterator<unknown> | undefined
      let count = 0
      return {
        async next() {
          try {
            iterator ??= begin(events)
            const { done, value } = await iterator.next()
            if (done) {
              iterator = undefined
              if (!staysOpen) return { done: true, value: undefined }
              // Whoever reads returns when the client has left.
              return await new Promise<never>(() => undefined)
            }
            count++
            const problem = problemWithEvent(value)
            if (problem) throw new TypeError(`event ${count} ${problem}`)
            // Boundary: just checked.
            return { done: false, value: Buffer.from(writeEvent(value as ServerSentEvent)) }
          } catch (error) {
            throw blame(error)
          }
        },
        return() {
          // Not waited for: a generator answers only when it is done with what it waits for.
          if (iterator) void Promise.resolve(iterator.return?.()).catch(() => undefined)
          return Promise.resolve({ done: true, value: undefined })
        },
      }
    },
  }
}

function begin(events: EventSourceInput): Iterator<unknown> | AsyncIterator<unknown> {
  const iterator = Symbol.asyncIterator in events ? events[Symbol.asyncIterator]() : events[Symbol.iterator]()
  if ((iterator as unknown) === events) useOnce(events)
  return iterator
}
