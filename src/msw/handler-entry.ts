/** A handler among the rules of a mitm: what it is for, and how often it has answered. */
import type { Exchange } from '../exchange.ts'
import { placeText } from '../internal/call-site.ts'
import type { Answer } from '../middleware.ts'
import type { Destination } from '../protocol.ts'
import type { HandlerOutcome, ListedHandler } from '../rules/listed-handler.ts'
import type { RequestLocation } from '../rules/request-location.ts'
import type { IndexKey } from '../rules/rule-index.ts'
import { addressOf } from './handler-address.ts'
import type { HandlerAddress } from './handler-address.ts'
import { callFrameOf } from './handlers.ts'
import type { MswHandler } from './handlers.ts'

/** What an entry is made of. */
interface HandlerParts<Handler extends MswHandler> {
  readonly handler: Handler
  /** What it is for, in its own words. */
  readonly header: string
  /** Its path, as MSW has it. */
  readonly path: unknown
  /** `file:line` at which it was handed over. */
  readonly handedOver: () => string | undefined
}

/** A handler among the rules. */
export abstract class HandlerEntry<Handler extends MswHandler = MswHandler> implements ListedHandler {
  readonly kind = 'handler'
  /** As the user gave it. */
  readonly handler: Handler
  /** What it is for, in its own words. */
  readonly header: string
  isRemoved = false
  abstract readonly isForWebSockets: boolean
  readonly #address: HandlerAddress
  readonly #handedOver: () => string | undefined
  #calls = 0

  constructor({ handler, header, path, handedOver }: HandlerParts<Handler>) {
    this.#handedOver = handedOver
    this.handler = handler
    this.header = header
    this.#address = addressOf(path)
  }

  abstract ask(exchange: Exchange, others: readonly object[]): Promise<HandlerOutcome>

  /** Goes back to what MSW leaves of its state when handlers are reset, and when they are restored. */
  abstract reset(): void
  abstract restore(): void

  preflight(_exchange: Exchange): Answer | undefined | Promise<Answer | undefined> {
    return undefined
  }

  /** Takes it out: it is asked no more. */
  remove(): void {
    this.isRemoved = true
  }

  /** `file:line` at which it was made; where MSW has noted a line of its own instead, at which it was handed over. */
  get where(): string | undefined {
    return [placeText(callFrameOf(this.handler) ?? ''), this.#handedOver()].find(
      (place) => place !== undefined && !/^node:|(?:^|[/\\])node_modules[/\\]/.test(place),
    )
  }

  get indexKey(): IndexKey | undefined {
    const { host } = this.#address
    return host === undefined ? undefined : { by: 'host', value: host }
  }

  mayMatch(destination: Destination): boolean {
    return !this.isRemoved && this.#address.mayMatch(destination)
  }

  means(_method: string, location: RequestLocation): boolean {
    return this.#address.means(location)
  }

  misses(_method: string, location: RequestLocation): readonly string[] {
    if (this.#address.means(location)) return ['MSW said that it is not for this one']
    return [`url is ${location.href}, expected that of ${this.header}`]
  }

  /** `handler GET https://api.test/user (handlers.ts:12)`. */
  describe(): string {
    const { where } = this
    return `handler ${this.header}${where === undefined ? '' : ` (${where})`}`
  }

  explain(): string {
    const calls = this.#calls
    return `${this.describe()}; ${calls === 0 ? 'never answered' : `answered ${calls === 1 ? 'once' : `${calls} times`}`}`
  }

  /** Notes that it decided about an exchange. */
  protected decided(exchange: Exchange): void {
    this.#calls++
    this.asked(exchange)
  }

  /** Notes that it was at work on an exchange. */
  protected asked(exchange: Exchange): void {
    exchange.handler = { header: this.header, where: this.where }
  }
}
