/** The act that changes the server-sent events of a response while it streams. */
import type { Transformer, TransformStreamDefaultController } from 'node:stream/web'

import type { Exchange } from '../exchange.ts'
import { EventStreamReader } from '../internal/event-stream.ts'
import type { EventStreamPart, ReceivedEvent } from '../internal/event-stream.ts'
import { isPromise } from '../internal/maybe-promise.ts'
import type { MaybePromise } from '../internal/maybe-promise.ts'
import { invalidRule } from './act.ts'
import type { Act, Blame } from './act.ts'
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
  return {
    kind: 'responseStream',
    text: `${what} by ${functionName(rewriter)}`,
    rewrite: {
      open(exchange) {
        const { maxBodyBytes } = exchange.connection.flow.settings
        // So that what the server sent can be told from what the client got.
        exchange.serverResponse?.keepBody(maxBodyBytes)
        return new TransformStream(new EventPipe(rewriter, exchange, maxBodyBytes))
      },
      blame: (cause) => blame(what, cause),
    },
  }
}

class EventPipe implements Transformer<Uint8Array, Uint8Array> {
  readonly #rewriter: EventRewriter
  readonly #exchange: Exchange
  readonly #reader: EventStreamReader
  /** Whether what was sent last is an event with the octets that it came with. */
  #isLastSame = true

  constructor(rewriter: EventRewriter, exchange: Exchange, maxEventBytes: number) {
    this.#rewriter = rewriter
    this.#exchange = exchange
    this.#reader = new EventStreamReader(maxEventBytes)
  }

  async transform(chunk: Uint8Array, controller: TransformStreamDefaultController<Uint8Array>): Promise<void> {
    const { response } = this.#exchange
    if (response && !response.isEventStream) {
      controller.enqueue(chunk)
      return
    }
    for (const part of this.#reader.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length))) {
      // In their order: that is the back-pressure.
      for (const octets of await this.#change(part)) controller.enqueue(octets)
    }
  }

  flush(controller: TransformStreamDefaultController<Uint8Array>): void {
    const rest = this.#reader.end()
    if (rest.length > 0) controller.enqueue(rest)
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
