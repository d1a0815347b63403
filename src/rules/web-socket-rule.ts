/** When … then … for WebSockets: what is done to their messages. */
import type { Side } from '../errors.ts'
import { MitmError } from '../errors.ts'
import { Signal } from '../internal/signal.ts'
import type { WaitOptions } from '../internal/signal.ts'
import type { MitmWebSocket, MockedWebSocket, WebSocketData } from '../web-socket.ts'
import type { CompiledFilter } from './filter.ts'
import type { RuleHooks } from './rule-hooks.ts'
import { Rule } from './rule.ts'
import { messageAct, mockAct, openAct, watchAct } from './web-socket-act.ts'
import type { MessageHandler, MessageHandlerOptions, WebSocketMockOptions } from './web-socket-act.ts'

const DEFAULT_WAIT_MS = 30_000

/**
 * What is done to the WebSockets that a filter means. Made by `webSocket()`. It has all that a {@link Rule} has: what
 * answers does so in place of the handshake. `once()`, `times()` and the others count WebSockets, not messages.
 *
 * What is told to it takes effect at once, also on WebSockets that are open already, unless it is limited to some of them
 * (`once()`, `after()`, …); then it is for those to come. When it is removed, messages pass as if it had never been.
 *
 * @example
 * ```ts
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function loseOrders(mitm: TestMitm): void {
 *   mitm.webSocket('wss://shop.test/live').onMessage((message) => {
 *     if (message.from === 'client' && message.text().includes('order')) return null
 *     return undefined
 *   })
 * }
 * ```
 */
export class WebSocketRule extends Rule {
  readonly #sockets = new Set<MitmWebSocket>()
  readonly #changes = new Signal()

  /** @internal Rules are made by `webSocket()`. */
  constructor(filter: CompiledFilter, hooks: RuleHooks) {
    super(filter, hooks)
    this.add(
      watchAct({
        opened: (socket) => {
          this.#sockets.add(socket)
          this.#changes.fire()
        },
        closed: (socket) => {
          this.#sockets.delete(socket)
          this.#changes.fire()
        },
      }),
    )
  }

  /** The open WebSockets that it was applied to, in the order in which they were opened. */
  get sockets(): readonly MitmWebSocket[] {
    return [...this.#sockets]
  }

  /**
   * Waits for an open WebSocket that it was applied to. One that is open already counts.
   *
   * @returns The one that was opened last.
   * @throws {@link MitmError} `MITM_WAIT_TIMEOUT`.
   */
  async waitForSocket({ timeoutMs = DEFAULT_WAIT_MS, signal }: WaitOptions = {}): Promise<MitmWebSocket> {
    const outcome = await this.#changes.until(() => this.sockets.at(-1), { timeoutMs, signal })
    if (outcome.state === 'met') return outcome.value
    const why = outcome.state === 'timeout' ? `none in ${timeoutMs} ms` : 'the rule was removed'
    throw new MitmError(
      'MITM_WAIT_TIMEOUT',
      `Waited for a WebSocket of the rule ${JSON.stringify(this.describe())}: ${why}`,
    )
  }

  /**
   * Says what becomes of each message:
   *
   * - nothing (`undefined`): it passes as it is;
   * - `null`: it is dropped;
   * - a text or octets: that is sent instead, as a text or a binary message;
   * - an array of these, and of messages: they are sent in its place, in this order.
   *
   * The messages behind one wait until it is decided. Several handlers are asked one after the other, those of the oldest
   * rule first, each about what the one before has made. A message larger than `maxBodyBytes` passes unasked.
   *
   * @param handler - May be asynchronous.
   * @param options - Whose messages it is asked about.
   */
  onMessage(handler: MessageHandler, options?: MessageHandlerOptions): this {
    return this.add(this.made(() => messageAct(this, handler, options, this.blame)))
  }

  /** Calls a function with each WebSocket that is opened, and with those that are open. */
  onOpen(handler: (socket: MitmWebSocket) => unknown): this {
    return this.add(this.made(() => openAct(this, handler, this.blame)))
  }

  /**
   * Answers in place of the server, which need not exist. Decides.
   *
   * @param serve - Is called with each WebSocket that is opened. It may send, and say what it does with messages.
   * @param options - Which subprotocol is chosen.
   *
   * @example
   * ```ts
   * import type { TestMitm } from 'playwright-mitm/core'
   *
   * export function mockPrices(mitm: TestMitm): void {
   *   mitm.webSocket('wss://prices.test/live').mock((socket) => {
   *     socket.send(JSON.stringify({ eur: 42 }))
   *     socket.onMessage((message) => `you said ${message.text()}`)
   *   })
   * }
   * ```
   */
  mock(serve: (socket: MockedWebSocket) => unknown = () => undefined, options?: WebSocketMockOptions): this {
    const act = this.made(() => mockAct(serve, options, this.blame))
    return this.decide('mock', act)
  }

  /**
   * Sends a message to one end of every WebSocket that is open, as if the other end had sent it.
   *
   * @param to - Which end. @defaultValue `'client'`
   * @returns To how many it is sent.
   */
  send(data: WebSocketData, to: Side = 'client'): number {
    return this.sockets.filter((socket) => socket[to].send(data)).length
  }

  /**
   * Closes every WebSocket that is open.
   *
   * @param code - 1000 to 1003, 1007 to 1014, or 3000 to 4999. @defaultValue none, which is read as 1005
   * @param reason - At most 123 octets. @defaultValue none
   * @param to - One end only; what that answers goes on to the other. @defaultValue both ends
   * @returns How many are closed by that.
   */
  close(code?: number, reason?: string, to?: Side): number {
    return this.sockets.filter((socket) => (to ? socket[to] : socket).close(code, reason)).length
  }

  override remove(): void {
    super.remove()
    this.#changes.end()
  }
}
