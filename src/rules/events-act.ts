/** The act that changes the server-sent events of a response while it streams. */
import type { MitmError } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import { EventStreamReader } from '../internal/event-stream.ts'
import type { EventStreamPart, ReceivedEvent } from '../internal/event-stream.ts'
import { isPromise } from '../internal/maybe-promise.ts'
import type { MaybePromise } from '../internal/maybe-promise.ts'
import { invalidRule } from './act.ts'
import type { Act, Blame } from './act.ts'
import { chain } from './blamed.ts'
import { problemWithEvent, writeEvent } from './event-stream.ts'
import type { ServerSentEvent } from './event-stream.ts'
import { functionName, show } from './filter-text.ts'

/** What becomes of an event: itself or nothing said (it passes), another one, several, or `null` or none (it is dropped). */
export type EventChange = ServerSentEvent | readonly ServerSentEvent[] | null | undefined | void

/** Given to `rewriteEvents`: called for each event in turn, the next one when it is done with the one before. */
export type EventRewriter = (event: ReceivedEvent, exchange: Exchange) => MaybePromise<EventChange>

/** Changes server-sent events. @throws {@link MitmError} `MITM_INVALID_RULE` */
export function eventsAct(rewriter: EventRewriter, blame: Blame): Act {
  if (typeof rewriter !== 'function') {
    throw invalidRule('rewriteEvents', `it is ${show(rewriter)}, expected a function`)
  }
  const what = 'rewrite the events of the response'
  const failed = (cause: unknown): MitmError => blame(what, cause)
  return {
    kind: 'responseStream',
    text: `${what} by ${functionName(rewriter)}`,
    rewrite: {
      open(exchange) {
        // So that what the server sent can be told from what the client got.
        exchange.serverResponse?.keepBody(exchange.connection.flow.settings.maxBodyBytes)
        return (octets) => new EventPipe(rewriter, exchange, failed).pipe(octets)
      },
      blame: failed,
    },
  }
}

/** Takes a body apart, and puts it together again. */
class EventPipe {
  readonly #rewriter: EventRewriter
  readonly #exchange: Exchange
  readonly #blame: (cause: unknown) => MitmError
  readonly #reader: EventStreamReader
  /** Whether what was sent last is an event with the octets that it came with. */
  #isLastSame = true

  constructor(rewriter: EventRewriter, exchange: Exchange, blame: (cause: unknown) => MitmError) {
    this.#rewriter = rewriter
    this.#exchange = exchange
    this.#blame = blame
    this.#reader = new EventStreamReader(exchange.connection.flow.settings.maxBodyBytes)
  }

  async *pipe(octets: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of octets) {
      const { response } = this.#exchange
      if (response && !response.isEventStream) {
        yield chunk
        continue
      }
      for (const part of this.#take(chunk)) {
        const pieces = chain(
          () => this.#change(part),
          (made) => made,
          this.#blame,
        )
        // In their order: that is the back-pressure.
        yield* isPromise(pieces) ? await pieces : pieces
      }
    }
    yield this.#reader.end()
  }

  #take(chunk: Uint8Array): readonly EventStreamPart[] {
    try {
      return this.#reader.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length))
    } catch (error) {
      throw this.#blame(error)
    }
  }

  #change({ octets, event, isTail = false }: EventStreamPart): MaybePromise<readonly Buffer[]> {
    if (!event) return isTail && !this.#isLastSame ? [] : [octets]
    const change = this.#rewriter(event, this.#exchange)
    const apply = (made: EventChange): readonly Buffer[] => {
      const pieces = made === undefined ? [octets] : written(made ?? [], event, octets)
      this.#isLastSame = pieces.at(-1) === octets
      return pieces
    }
    return isPromise(change) ? change.then(apply) : apply(change)
  }
}

/** The octets of what an event was changed into; of itself, if it is among that, as it came. */
function written(
  made: ServerSentEvent | readonly ServerSentEvent[],
  event: ReceivedEvent,
  octets: Buffer,
): readonly Buffer[] {
  const isMany = Array.isArray(made)
  // Boundary: TypeScript takes no readonly array for an array.
  const events = isMany ? (made as readonly ServerSentEvent[]) : [made as ServerSentEvent]
  return events.map((one, at) => {
    if (one === event) return octets
    const problem = problemWithEvent(one)
    if (problem)
      throw new TypeError(`the function returned an event that ${isMany ? `(number ${at + 1}) ` : ''}${problem}`)
    return Buffer.from(writeEvent(one))
  })
}
