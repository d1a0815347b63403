/** A mitm with rules, and with handlers of MSW among them. */
import { MitmError } from './errors.ts'
import { isMiddleware } from './flow/pipeline.ts'
import type { Middleware } from './middleware.ts'
import { Mitm } from './mitm.ts'
import type { MitmAuthority, Registration } from './mitm.ts'
import { demandHandlers, HandlerBook } from './msw/handler-book.ts'
import type { HandlerDesk } from './msw/handler-desk.ts'
import { isHandler } from './msw/handlers.ts'
import type { MswHandler } from './msw/handlers.ts'
import type { MitmOptions } from './options.ts'
import type { ExchangeFilter } from './rules/filter.ts'
import type { RuleList } from './rules/rule-list.ts'
import type { Rule } from './rules/rule.ts'
import type { WebSocketRule } from './rules/web-socket-rule.ts'

/** What rules and handlers are kept in. */
export interface RuledMitmParts {
  readonly rules: RuleList
  readonly desk: HandlerDesk
}

/** A {@link Mitm} that does what rules and handlers say. */
export class RuledMitm extends Mitm {
  /** @internal */
  protected readonly ruleList: RuleList
  readonly #handlers: HandlerBook
  #isOver = false

  /** @param parts - Both are among the middlewares of the options. */
  constructor(options: MitmOptions<MitmAuthority>, { rules, desk }: RuledMitmParts) {
    super(options)
    this.ruleList = rules
    this.#handlers = new HandlerBook(rules, desk)
  }

  /** Takes no rules and handlers any more. */
  protected beginClose(): void {
    this.#isOver = true
  }

  override async close(): Promise<void> {
    this.beginClose()
    await super.close()
    this.#handlers.close()
  }

  /** The rules, newest first. */
  get rules(): readonly Rule[] {
    return this.ruleList.rules
  }

  /**
   * Makes a rule for the requests that match. It does nothing until it is told what.
   *
   * @throws {@link MitmError} `MITM_INVALID_FILTER`; `MITM_INVALID_RULE` for a filter that looks at the response;
   *   `MITM_NOT_RUNNING` after `close()`.
   */
  when(filter: ExchangeFilter): Rule {
    this.#demandOpen('make a rule for')
    return this.ruleList.when(filter)
  }

  /**
   * Makes a rule for the WebSockets that match: their messages can be read, changed, dropped, delayed and sent, and their
   * server be mocked.
   *
   * @param filter - A URL with any of the schemes `ws`, `wss`, `http` and `https`, or any other filter of requests.
   * @throws {@link MitmError} as `when`
   */
  webSocket(filter: ExchangeFilter): WebSocketRule {
    this.#demandOpen('make a rule for')
    return this.ruleList.webSocket(filter)
  }

  /** `when({ method: 'GET', url })`. */
  get(url: string | RegExp): Rule {
    return this.when({ method: 'GET', url })
  }

  /** `when({ method: 'POST', url })`. */
  post(url: string | RegExp): Rule {
    return this.when({ method: 'POST', url })
  }

  /** `when({ method: 'PUT', url })`. */
  put(url: string | RegExp): Rule {
    return this.when({ method: 'PUT', url })
  }

  /** `when({ method: 'PATCH', url })`. */
  patch(url: string | RegExp): Rule {
    return this.when({ method: 'PATCH', url })
  }

  /** `when({ method: 'DELETE', url })`. */
  delete(url: string | RegExp): Rule {
    return this.when({ method: 'DELETE', url })
  }

  /** `when({ method: 'HEAD', url })`. */
  head(url: string | RegExp): Rule {
    return this.when({ method: 'HEAD', url })
  }

  /**
   * Adds handlers of MSW, and middlewares. Handlers stand in one order with rules: they are asked before everything there is,
   * and of those given here the first is asked first. Middlewares run behind the others.
   *
   * A handler is used by its shape, whichever copy and major of MSW made it (2.10 and newer, and 3). What it remembers (`once`,
   * generators) is kept apart for each mitm.
   *
   * @returns What takes them out again.
   * @throws {@link MitmError} `MITM_INVALID_HANDLER`, `MITM_INVALID_MIDDLEWARE`, `MITM_NOT_RUNNING` after `close()`; then none is added.
   *
   * @example
   * ```ts
   * import { http, HttpResponse } from 'msw'
   * import type { TestMitm } from 'playwright-mitm/core'
   *
   * export function logIn(mitm: TestMitm): void {
   *   mitm.use(http.get('https://api.test/user', () => HttpResponse.json({ name: 'Ada' })))
   * }
   * ```
   */
  override use(...given: readonly (Middleware | MswHandler)[]): Registration {
    const middlewares = given.filter((each): each is Middleware => !isHandler(each) && isMiddleware(each))
    const handlers = demandHandlers(
      'use()',
      given.filter((each) => isHandler(each) || !isMiddleware(each)),
    )
    if (handlers.length > 0) this.#demandOpen('add a handler to')
    const registration = super.use(...middlewares)
    const remove = this.#handlers.add(handlers)
    const dispose = (): void => {
      registration.dispose()
      remove()
    }
    return { dispose, [Symbol.dispose]: dispose }
  }

  /**
   * Adds handlers as the option `handlers` does: `resetHandlers()` leaves them.
   *
   * @throws as `use`
   * @internal
   */
  useInitially(where: string, handlers: readonly unknown[]): void {
    this.#handlers.add(demandHandlers(where, handlers), true)
  }

  /**
   * Takes out the handlers that `use()` has added. With handlers given, takes out all of them; these then are the initial ones.
   * Generators begin anew. Rules stay.
   *
   * @throws {@link MitmError} `MITM_INVALID_HANDLER`; then nothing changes.
   */
  resetHandlers(...next: readonly MswHandler[]): void {
    const handlers = demandHandlers('resetHandlers()', next)
    this.#demandOpen('reset the handlers of')
    this.#handlers.reset(handlers)
  }

  /** Lets handlers that were for one request (`once`) answer once more. */
  restoreHandlers(): void {
    this.#handlers.restore()
  }

  /** The handlers, in the order in which they are asked. */
  listHandlers(): readonly MswHandler[] {
    return this.#handlers.list()
  }

  /** Drops all rules, and all handlers but the initial ones, as if they had never been asked. */
  protected resetRules(): void {
    this.ruleList.clear()
    this.#handlers.reset([])
    this.#handlers.restore()
  }

  #demandOpen(what: string): void {
    if (this.#isOver) throw new MitmError('MITM_NOT_RUNNING', `Cannot ${what} a mitm that was closed`)
  }
}
