/** The rules of a mitm, as one middleware. */
import type { Connection } from '../connection.ts'
import type { MitmError } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import type { FaultFeed } from '../fault.ts'
import { isPromise } from '../internal/maybe-promise.ts'
import type { MaybePromise } from '../internal/maybe-promise.ts'
import type { Seed } from '../internal/random.ts'
import type { ConnectionIntervention, ConnectionMoment, Intervention, Middleware, OfferedAlpn } from '../middleware.ts'
import type { Destination } from '../protocol.ts'
import type { WebSocketHandler } from '../web-socket.ts'
import { Chance } from './chance.ts'
import { ConnectionUses } from './connection-uses.ts'
import { isPreflight, preflightAnswer, preflightMethod } from './cors.ts'
import { UseFeed } from './fault-feed.ts'
import { compileFilter } from './filter.ts'
import type { ExchangeFilter } from './filter.ts'
import { interventionOf } from './intervention-of.ts'
import { nearestMiss } from './nearest-exchange.ts'
import { LateUses } from './late-uses.ts'
import { demandRequestFilter } from './request-filter.ts'
import { locate } from './request-location.ts'
import { indexKeyOf, RuleIndex } from './rule-index.ts'
import type { IndexKey } from './rule-index.ts'
import type { RuleHooks } from './rule-hooks.ts'
import type { RuleUse } from './rule-use.ts'
import { Rule } from './rule.ts'
import type { RuleListOptions } from './rule-list-options.ts'
import type { UnmatchedPolicy } from './unmatched.ts'
import { Unopened } from './unopened.ts'
import { WebSocketRule } from './web-socket-rule.ts'

/** What is being found out for an exchange. */
interface Attempt {
  readonly exchange: Exchange
  /** The rules that could mean it, newest first. */
  readonly candidates: readonly Rule[]
  /** All rules there were when it came. */
  readonly rules: readonly Rule[]
  readonly isPreflight: boolean
  /** Whether no rule was asked yet if the server can be reached. */
  readonly isUndialled: boolean
  readonly uses: RuleUse[]
  /** What takes back all that was counted. */
  readonly undo: (() => void)[]
}

/** More hosts than a test has: what is known of them is then found out anew. */
const MAX_HOSTS = 1000

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
  readonly #chance: Chance
  readonly #maxBodyBytes: number
  readonly #unmatched: UnmatchedPolicy | undefined
  readonly #onError: (error: MitmError, exchange: Exchange) => void
  readonly #onConnectionFault: (rule: Rule) => void
  readonly #onLateFault: () => void
  readonly #onActAdded: () => void
  readonly #connections: ConnectionUses
  readonly #unopened: Unopened
  /** What the running exchanges have of rules. */
  readonly #uses: LateUses
  readonly #keys = new WeakMap<Rule, IndexKey>()
  /** Replaced, never changed: an exchange that is waiting goes on with the list it began with. */
  #rules: readonly Rule[] = []
  // What follows from the rules, found out when it is asked for.
  #index: RuleIndex<Rule> | undefined
  #forConnections: readonly Rule[] | undefined
  readonly #mayAnswer = new Map<string, boolean>()
  readonly #mayIntercept = new Map<string, boolean>()
  #count = 0

  constructor(options: RuleListOptions = {}) {
    const { maxBodyBytes, seed, unmatched, onError, onConnectionFault, onLateFault, onActAdded } = options
    this.#chance = new Chance(seed ?? 0)
    this.#unopened = new Unopened(options.isPassedThrough)
    this.#maxBodyBytes = maxBodyBytes ?? 10 * 1024 * 1024
    this.#unmatched = unmatched?.isHermetic ? unmatched : undefined
    this.#onError = onError ?? ((error, { connection }) => connection.report(error))
    this.#onConnectionFault = onConnectionFault ?? (() => undefined)
    this.#onLateFault = onLateFault ?? (() => undefined)
    this.#onActAdded = onActAdded ?? (() => undefined)
    this.#connections = new ConnectionUses(this.#chance)
    this.#uses = new LateUses(this.#chance)
  }

  /** Newest first; used-up ones too. */
  get rules(): readonly Rule[] {
    return this.#rules
  }

  /** Whether there is no rule. */
  get isEmpty(): boolean {
    return this.#rules.length === 0
  }

  /** The seed, once it has decided anything. */
  get drawnSeed(): Seed | undefined {
    return this.#chance.isDrawn ? this.#chance.seed : undefined
  }

  /**
   * Adds a rule, which is tried before those there are. It does nothing until it is told what.
   *
   * @throws {@link MitmError} `MITM_INVALID_FILTER`, and `MITM_INVALID_RULE` for a filter that looks at the response.
   */
  when(filter: ExchangeFilter): Rule {
    const compiled = demandRequestFilter('when', compileFilter(filter))
    return this.#add(filter, (hooks) => new Rule(compiled, hooks))
  }

  /**
   * Adds a rule for WebSockets.
   *
   * @throws as `when`
   */
  webSocket(filter: ExchangeFilter): WebSocketRule {
    const compiled = demandRequestFilter('webSocket', compileFilter(filter, { webSocket: true }))
    return this.#add(filter, (hooks) => new WebSocketRule(compiled, hooks))
  }

  #add<Made extends Rule>(filter: ExchangeFilter, make: (hooks: RuleHooks) => Made): Made {
    const rule = make({
      chance: this.#chance,
      label: `rule ${this.#count++}`,
      removed: (removed) => this.#set(this.#rules.filter((other) => other !== removed)),
      changed: () => this.#changed(),
      actAdded: this.#onActAdded,
      connectionFaultAdded: this.#onConnectionFault,
      // Not at once: how often it is for may follow in the same breath.
      lateActAdded: (given) => queueMicrotask(() => (given.isForRunning || given.calls > 0) && this.#onLateFault()),
      problemWith: (act) => this.#unopened.problemWith(filter, act),
      remark: (given) => this.#unopened.text(given),
      failed: this.#onError,
    })
    const key = indexKeyOf(filter)
    if (key) this.#keys.set(rule, key)
    this.#set([rule, ...this.#rules])
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
    const rules = this.#rules
    this.#set([])
    for (const rule of rules) rule.remove()
  }

  /** All rules in words, newest first, a line each; those that were never applied with what came nearest. */
  explain(exchanges: readonly Exchange[] = []): string {
    if (this.#rules.length === 0) return 'no rules'
    return this.#rules
      .map((rule) => {
        const nearest = rule.calls + rule.skipped === 0 ? nearestMiss(rule.filter, exchanges) : undefined
        return nearest === undefined ? rule.explain() : `${rule.explain()}; ${nearest}`
      })
      .join('\n')
  }

  /** Whether a rule that is not used up could keep a request to this host from its server. */
  mayAnswer(destination: Destination): boolean {
    if (this.#unmatched?.mayAnswer(destination)) return true
    return this.#could(
      this.#mayAnswer,
      destination,
      ({ sparesServer, profile }) => sparesServer || profile.breaksConnections,
    )
  }

  /** Whether a rule that is not used up could do anything to a request to this host. */
  mayIntercept(destination: Destination): boolean {
    if (this.#unmatched?.mayAnswer(destination)) return true
    return this.#could(this.#mayIntercept, destination, ({ profile }) => profile.forExchanges || profile.dial)
  }

  /**
   * What a host is offered by ALPN that is not asked first. Faults that there are in one version only need that version;
   * those that break messages off look as they do in HTTP/1 where nobody knows what the server speaks.
   */
  offeredAlpn(destination: Destination): OfferedAlpn | undefined {
    const meant = this.#rules.filter(({ isUsable, filter }) => isUsable && filter.mayMatch(destination))
    if (meant.some(({ profile }) => profile.http2)) return { protocols: ['h2', 'http/1.1'], isCertain: true }
    if (meant.some(({ profile }) => profile.http1)) return { protocols: ['http/1.1'], isCertain: true }
    return meant.some(({ profile }) => profile.cut) ? { protocols: ['http/1.1'], isCertain: false } : undefined
  }

  /** Whether one of the rules that could do something could mean a request to this host. */
  #could(known: Map<string, boolean>, destination: Destination, could: (rule: Rule) => boolean): boolean {
    if (this.#rules.length === 0) return false
    const key = `${destination.host}:${destination.port}:${destination.tls}`
    const before = known.get(key)
    if (before !== undefined) return before
    const found = this.#rules.filter((rule) => rule.isUsable && could(rule) && rule.filter.mayMatch(destination))
    // What the clock may change is not kept.
    if (!found.some((rule) => rule.isTimed)) {
      if (known.size >= MAX_HOSTS) known.clear()
      known.set(key, found.length > 0)
    }
    return found.length > 0
  }

  /** What goes wrong with a connection before there is a request, or where there is none. */
  interceptConnection(connection: Connection, moment: ConnectionMoment): ConnectionIntervention | undefined {
    this.#forConnections ??= this.#rules.filter(
      ({ profile: { dial, tunnel, tls, relay } }) => dial || tunnel || tls || relay,
    )
    if (moment.stage === 'relay' && moment.isPassthrough) this.#unopened.note(this.#rules, moment.destination)
    return (
      this.#connections.intercept(
        moment.isUnderWay ? this.#forConnections.filter((rule) => rule.isForRunning) : this.#forConnections,
        connection,
        moment,
      ) ?? this.#unmatched?.interceptConnection(connection, moment, this.#rules)
    )
  }

  /** What the rules do to this exchange; a promise only when one of them must look at the request's body first. */
  intercept(exchange: Exchange): MaybePromise<Intervention | undefined> {
    if (this.#rules.length === 0 && !this.#unmatched) return undefined
    this.#index ??= new RuleIndex(this.#rules, (rule) => this.#keys.get(rule))
    // A preflight is for a request of another method.
    const isForOther = isPreflight(exchange)
    const candidates = isForOther
      ? this.#index.candidates(locate(exchange.request.url))
      : this.#index.candidatesFor(exchange.request, {
          means: ({ filter }) => filter.addressMatches(exchange),
          fieldOf: ({ filter }) => filter.demandedField,
        })
    if (candidates.length === 0 && !this.#unmatched) return undefined
    const isUndialled = !this.#connections.isDialled(exchange.connection)
    return this.#tryFrom(0, {
      exchange,
      candidates,
      rules: this.#rules,
      isPreflight: isForOther,
      isUndialled,
      uses: [],
      undo: [],
    })
  }

  /** The faults of rules for everything, which an exchange that came before them gets for the rest of it. */
  lateFaults(exchange: Exchange): FaultFeed | undefined {
    return this.#uses.faults(exchange, this.#rules)
  }

  /** What rules do to an open WebSocket that they were told of later. */
  lateWebSocket(exchange: Exchange): readonly WebSocketHandler[] {
    return this.#uses.webSocket(exchange, this.#rules)
  }

  /** An exchange is over. */
  exchangeEnded(exchange: Exchange): void {
    this.#uses.ended(exchange)
  }

  /** A connection is over. */
  connectionEnded(connection: Connection): void {
    this.#connections.ended(connection)
  }

  #tryFrom(first: number, attempt: Attempt): MaybePromise<Intervention | undefined> {
    const { exchange, candidates, isUndialled, isPreflight: isForOther } = attempt
    for (let at = first; at < candidates.length; at++) {
      const rule = candidates[at]
      if (!rule?.isLive) continue
      const preflight = isForOther ? this.#preflight(rule, exchange) : undefined
      if (preflight) return preflight
      if (!rule.concernsExchanges(isUndialled) || !rule.headMatches(exchange, !isForOther)) continue
      if (rule.filter.needsBodyOf(exchange)) return this.#tryWithBody(at, attempt)
      if (rule.restMatches(exchange) && this.#apply(rule, attempt)) return this.#conclude(attempt)
    }
    return this.#conclude(attempt)
  }

  /** Goes on with the rule at `at`, the head of which matches, when the body has come. */
  async #tryWithBody(at: number, attempt: Attempt): Promise<Intervention | undefined> {
    const { exchange, candidates } = attempt
    exchange.request.keepBody(this.#maxBodyBytes)
    await exchange.request.whenComplete()
    const rule = candidates[at]
    // Meanwhile another exchange may have used it up, or the test removed it.
    const isDecided = rule?.isLive && rule.restMatches(exchange) && this.#apply(rule, attempt)
    return isDecided ? this.#conclude(attempt) : this.#tryFrom(at + 1, attempt)
  }

  /** Counts a rule, and applies it unless its limits say otherwise; whether older ones are left nothing by that. */
  #apply(rule: Rule, { exchange, isUndialled, uses, undo }: Attempt): boolean {
    const use = rule.take(exchange, undo)
    if (!use) return false
    uses.push(use)
    exchange.rules.push(use.text)
    return use.decides(isUndialled)
  }

  #conclude(attempt: Attempt): MaybePromise<Intervention | undefined> {
    const { exchange, rules, uses, isUndialled } = attempt
    if (this.#unmatched && !uses.at(-1)?.decides(isUndialled)) {
      const applied = uses.map(({ rule }) => rule)
      const refusal = this.#unmatched.intercept(exchange, rules, applied)
      if (isPromise(refusal)) return refusal.then((refused) => refused ?? this.#interventionOf(attempt))
      if (refusal) return refusal
    }
    return this.#interventionOf(attempt)
  }

  #interventionOf({ exchange, uses, undo, isUndialled }: Attempt): Intervention | undefined {
    if (uses.length === 0) return undefined
    this.#uses.began(exchange, uses)
    const oldestFirst = uses.toReversed()
    const takeBack = (): void => {
      for (const each of undo.splice(0)) each()
      for (const { text } of uses) noteTakenBack(exchange, text)
    }
    const feed = new UseFeed(oldestFirst, isUndialled ? 'exchangeUndialled' : 'exchange', this.#chance, takeBack)
    return interventionOf(
      oldestFirst.flatMap(({ acts }) => acts),
      feed,
    )
  }

  /** What a rule says to the question that a browser asks before a request that the rule would answer. */
  #preflight(rule: Rule, exchange: Exchange): Intervention | undefined {
    if (!rule.decides || rule.profile.isForWebSockets) return undefined
    if (!rule.filter.matchesPreflight(exchange, preflightMethod(exchange))) return undefined
    const answer = preflightAnswer(exchange, rule.corsSetting)
    if (!answer) return undefined
    exchange.rules.push(`CORS preflight of ${rule.describe()}`)
    return { answer }
  }

  #set(rules: readonly Rule[]): void {
    this.#rules = rules
    this.#index = undefined
    this.#changed()
  }

  #changed(): void {
    this.#forConnections = undefined
    this.#mayAnswer.clear()
    this.#mayIntercept.clear()
  }
}

function noteTakenBack(exchange: Exchange, text: string): void {
  const at = exchange.rules.indexOf(text)
  if (at >= 0) exchange.rules[at] = `${text} (not counted: the browser sends it again)`
}
