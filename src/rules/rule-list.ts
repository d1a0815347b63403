/** The rules of a mitm, as one middleware. */
import type { MitmError } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import type { MaybePromise } from '../internal/maybe-promise.ts'
import type { Intervention, Middleware } from '../middleware.ts'
import type { Destination } from '../protocol.ts'
import { invalidRule } from './act.ts'
import { compileFilter } from './filter.ts'
import type { ExchangeFilter } from './filter.ts'
import { interventionOf } from './intervention-of.ts'
import { Rule } from './rule.ts'

/** The options of a {@link RuleList}. */
export interface RuleListOptions {
  /** Octets held of a body that a filter looks at; a larger one does not match. @defaultValue 10 MiB */
  maxBodyBytes?: number | undefined
  /** Is told when a function in a filter threw. @defaultValue reports it on the exchange's connection */
  onError?: ((error: MitmError, exchange: Exchange) => void) | undefined
}

const NONE: readonly Rule[] = []

/**
 * The rules of a mitm. Each request is tried against them from the newest to the oldest; what a rule does not decide,
 * the next one may. Once one has decided, older ones are not asked. Of several rules that change the same message, the
 * older ones are applied first, so that the newest has the last word.
 *
 * A function in a filter that throws is reported (`MITM_RULE_FAILED`), and its rule passed over. A body is only held
 * where a rule, all else of which matches, looks at it.
 */
export class RuleList implements Middleware {
  readonly name = 'rules'
  readonly #maxBodyBytes: number
  readonly #onError: (error: MitmError, exchange: Exchange) => void
  /** Replaced, never changed: an exchange that is waiting goes on with the list it began with. */
  #rules: readonly Rule[] = []

  constructor({ maxBodyBytes, onError }: RuleListOptions = {}) {
    this.#maxBodyBytes = maxBodyBytes ?? 10 * 1024 * 1024
    this.#onError = onError ?? ((error, { connection }) => connection.report(error))
  }

  /** Newest first; used-up ones too. */
  get rules(): readonly Rule[] {
    return this.#rules
  }

  /** Whether there is no rule. */
  get isEmpty(): boolean {
    return this.#rules.length === 0
  }

  /**
   * Adds a rule, which is tried before those there are. It does nothing until it is told what.
   *
   * @throws {@link MitmError} `MITM_INVALID_FILTER`, and `MITM_INVALID_RULE` for a filter with a `status`.
   */
  when(filter: ExchangeFilter): Rule {
    const compiled = compileFilter(filter)
    if (compiled.needsResponse) {
      throw invalidRule(
        'when',
        'the filter has a status, but rules are chosen before there is a response; ' +
          'look at response.status in a function for rewriteResponse()',
      )
    }
    const rule = new Rule(compiled, {
      removed: (removed) => {
        this.#rules = this.#rules.filter((other) => other !== removed)
      },
      failed: this.#onError,
    })
    this.#rules = [rule, ...this.#rules]
    return rule
  }

  /** A rule for GET requests. @throws as `when` */
  get(url: string | RegExp): Rule {
    return this.when({ method: 'GET', url })
  }

  /** A rule for POST requests. @throws as `when` */
  post(url: string | RegExp): Rule {
    return this.when({ method: 'POST', url })
  }

  /** A rule for PUT requests. @throws as `when` */
  put(url: string | RegExp): Rule {
    return this.when({ method: 'PUT', url })
  }

  /** A rule for PATCH requests. @throws as `when` */
  patch(url: string | RegExp): Rule {
    return this.when({ method: 'PATCH', url })
  }

  /** A rule for DELETE requests. @throws as `when` */
  delete(url: string | RegExp): Rule {
    return this.when({ method: 'DELETE', url })
  }

  /** A rule for HEAD requests. @throws as `when` */
  head(url: string | RegExp): Rule {
    return this.when({ method: 'HEAD', url })
  }

  /** A rule for OPTIONS requests. @throws as `when` */
  options(url: string | RegExp): Rule {
    return this.when({ method: 'OPTIONS', url })
  }

  /** Takes all rules out. */
  clear(): void {
    for (const rule of this.#rules) rule.remove()
  }

  /** Whether a rule that is not used up could answer a request to this host. */
  mayAnswer(destination: Destination): boolean {
    return this.#rules.some((rule) => rule.decides && rule.isLive && rule.filter.mayMatch(destination))
  }

  /** What the rules do to this exchange; a promise only when one of them must look at the request's body first. */
  intercept(exchange: Exchange): MaybePromise<Intervention | undefined> {
    return this.#tryFrom(0, this.#rules, NONE, exchange)
  }

  /** @param before - The rules that have been applied already. */
  #tryFrom(
    first: number,
    rules: readonly Rule[],
    before: readonly Rule[],
    exchange: Exchange,
  ): MaybePromise<Intervention | undefined> {
    let applied = before
    for (let at = first; at < rules.length && !applied.at(-1)?.decides; at++) {
      const rule = rules[at]
      if (!rule?.isLive || !rule.headMatches(exchange)) continue
      if (rule.filter.needsRequestBody) return this.#tryWithBody(at, rules, applied, exchange)
      rule.use(exchange)
      applied = [...applied, rule]
    }
    if (applied.length === 0) return undefined
    return interventionOf(
      applied.toReversed().flatMap((each) => each.acts),
      undefined,
    )
  }

  /** Goes on with the rule at `at`, the head of which matches, when the body has come. */
  async #tryWithBody(
    at: number,
    rules: readonly Rule[],
    before: readonly Rule[],
    exchange: Exchange,
  ): Promise<Intervention | undefined> {
    exchange.request.keepBody(this.#maxBodyBytes)
    await exchange.request.whenComplete()
    const rule = rules[at]
    // Meanwhile another exchange may have used it up, or the test removed it.
    if (!rule?.isLive || !rule.restMatches(exchange)) return this.#tryFrom(at + 1, rules, before, exchange)
    rule.use(exchange)
    return this.#tryFrom(at + 1, rules, [...before, rule], exchange)
  }
}
