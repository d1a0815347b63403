/** Takes what a server answers to one request of a bridge. What a step fails with breaks the exchange off. */
import type { Field } from '../../exchange.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import type { BridgedResponseHead, ResponseHandlers, ServerFailure } from './bridge-server.ts'
import type { BridgedExchange } from './bridged-exchange.ts'
import type { Sending } from './bridged-request.ts'

/** Takes one response. */
export class ResponseTaker implements ResponseHandlers {
  readonly #of: BridgedExchange
  readonly #sending: Sending

  constructor(of: BridgedExchange, sending: Sending) {
    this.#of = of
    this.#sending = sending
  }

  interim(head: BridgedResponseHead): void {
    this.#of.request.onProgress(false)
    this.#of.response.interim(head)
  }

  head(head: BridgedResponseHead, isWhole: boolean): MaybePromise<void> {
    this.#of.request.onProgress(true)
    return this.#of.guarded(() => this.#of.response.onHead(head, isWhole))
  }

  data(octets: Buffer): MaybePromise<void> {
    return this.#of.guarded(() => this.#of.response.onBody(octets))
  }

  end(trailers: readonly Field[]): MaybePromise<void> {
    return this.#of.guarded(() => this.#of.response.onEnd(trailers))
  }

  failed(failure: ServerFailure): void {
    if (!this.#of.request.triesAgain(this.#sending, failure)) this.#of.response.onFailure(failure)
  }

  closed(code: number): void {
    this.#of.response.onClosed(code)
  }
}
