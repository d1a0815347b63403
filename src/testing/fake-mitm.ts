/** A mitm without a proxy: tests say what passed. */
import { Connection } from '../connection.ts'
import { Exchange, HttpRequest, HttpResponse } from '../exchange.ts'
import type { Field } from '../exchange.ts'
import { Signal } from '../internal/signal.ts'
import type { WaitOptions } from '../internal/signal.ts'

/** Looks like a mitm to the matchers. */
export class FakeMitm {
  readonly isMitm = true as const
  readonly url = 'http://127.0.0.1:8080'
  readonly exchanges: Exchange[] = []
  drawnSeed: number | string | undefined
  readonly changes: Signal = new Signal()

  readonly #connection = new Connection()
  readonly #idle = new Signal()
  #isIdle = false

  /** A request whose head has come, and whose body too unless `isComplete` is false. */
  request(
    method: string,
    url: string,
    {
      body = '',
      isComplete = true,
      fields = [],
    }: { body?: string | Buffer; isComplete?: boolean; fields?: Field[] } = {},
  ): Exchange {
    const head = { method, url, target: url, httpVersion: 'HTTP/1.1', fields }
    const exchange = new Exchange(this.#connection, new HttpRequest(head))
    exchange.request.keepBody(1024)
    if (body.length > 0) exchange.request.addBody(Buffer.from(body))
    if (isComplete) exchange.request.finish()
    this.exchanges.push(exchange)
    this.changes.fire()
    return exchange
  }

  /** The whole response to a request. */
  respond(exchange: Exchange, status: number): void {
    exchange.response = new HttpResponse({ status, statusText: '', httpVersion: 'HTTP/1.1', fields: [] })
    exchange.response.finish()
    exchange.endReason = 'complete'
    this.changes.fire()
  }

  /** From now on the traffic has settled. */
  settle(): void {
    this.#isIdle = true
    this.#idle.fire()
  }

  async waitForIdle(options: WaitOptions = {}): Promise<boolean> {
    const outcome = await this.#idle.until(() => (this.#isIdle ? true : undefined), options)
    return outcome.state === 'met'
  }
}
