/** The rules of a mitm, and the handlers among them, as one middleware. */
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
import type { Attempt, Entry } from './attempt.ts'
import { Chance } from './chance.ts'
import { ConnectionUses } from './connection-uses.ts'
import { isPreflight, preflightAnswer, preflightMethod } from './cors.ts'
import { UseFeed } from './fault-feed.ts'
import { compileFilter } from './filter.ts'
import type { ExchangeFilter } from './filter.ts'
import { HostMemory } from './host-memory.ts'
import { interventionOf } from './intervention-of.ts'
import { nearestMiss } from './nearest-exchange.ts'
import { LateUses } from './late-uses.ts'
import { demandRequestFilter } from './request-filter.ts'
import type { ListedHandler } from './listed-handler.ts'
import { locate } from './request-location.ts'
import { indexKeyOf, RuleIndex } from './rule-index.ts'
import type { IndexKey } from './rule-index.ts'
import type { RuleHooks } from './rule-hooks.ts'
import { Rule } from './rule.ts'
import type { RuleListOptions } from './rule-list-options.ts'
import type { UnmatchedPolicy } from './unmatched.ts'
import { Unopened } from './unopened.ts'
import { WebSocketRule } from './web-socket-rule.ts'

/**
 * The rules of a mitm, in one order with its handlers. Each request is tried against them from the newest to the oldest; what a rule does not decide,
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
  #entries: readonly Entry[] = []
  /** The rules among them. */
  #rules: readonly Rule[] = []
  // What follows from the rules, found out when it is asked for.
  #index: RuleIndex<Entry> | undefined
  #forConnections: readonly Rule[] | undefined
  readonly #mayAnswer = new HostMemory()
  readonly #mayIntercept = new HostMemory()
  #count = 0

  constructor(options: RuleListOptions = {}) {
    const { maxBodyBytes, seed, unmatched, onError, onConnectionFault, onLateFault, onActAdded } = options
    this.#chance = new Chance(seed ?? 0)
    this.#unopened = new Unopened(options.isPassedThrough)
    this.#maxBodyBytes = maxBodyBytes ?? 10 * 1024 * 1024
    this.#unmatched = unmatched?.isWatching ? unmatched : undefined
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
      removed: (removed) => this.#set(this.#entries.filter((other) => other !== removed)),
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
    this.#set([rule, ...this.#entries])
    return rule
  }

  /** Adds handlers, which are asked in their order, before everything there is. */
  addHandlers(handlers: readonly ListedHandler[]): void {
    this.#set([...handlers, ...this.#entries])
    this.#onActAdded()
  }

  /** Takes out the handlers that say they have been removed. */
  dropRemovedHandlers(): void {
    this.#set(this.#entries.filter((entry) => entry instanceof Rule || !entry.isRemoved))
  }

  /** Takes all rules out; handlers stay. */
  clear(): void {
    const rules = this.#rules
    this.#set(this.#entries.filter((entry) => !(entry instanceof Rule)))
    for (const rule of rules) rule.remove()
  }

  /** All rules and handlers in words, newest first, a line each; rules that were never applied with what came nearest. */
  explain(exchanges: readonly Exchange[] = []): string {
    if (this.#entries.length === 0) return 'no rules'
    return this.#entries
      .map((rule) => {
        if (!(rule instanceof Rule)) return rule.explain()
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
    if (this.#unmatched?.mayIntercept(destination)) return true
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

  /** Whether a rule that could do something, or a handler, could mean a request to this host. */
  #could(known: HostMemory, destination: Destination, could: (rule: Rule) => boolean): boolean {
    if (this.#entries.length === 0) return false
    return known.recall(destination, () => {
      const found = this.#entries.filter((entry) =>
        entry instanceof Rule
          ? entry.isUsable && could(entry) && entry.filter.mayMatch(destination)
          : entry.mayMatch(destination),
      )
      // What the clock may change is not kept.
      return { answer: found.length > 0, isLasting: !found.some((entry) => entry instanceof Rule && entry.isTimed) }
    })
  }

  /** What goes wrong with a connection before there is a request, or where there is none. */
  interceptConnection(connection: Connection, moment: ConnectionMoment): ConnectionIntervention | undefined {
    if (connection.isFromHandler) return undefined
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
    if (this.#entries.length === 0 && !this.#unmatched) return undefined
    // What a handler sends is for the real server.
    if (exchange.connection.isFromHandler) return undefined
    this.#index ??= new RuleIndex(this.#entries, (entry) =>
      entry instanceof Rule ? this.#keys.get(entry) : entry.indexKey,
    )
    // A preflight is for a request of another method.
    const isForOther = isPreflight(exchange)
    const candidates = isForOther
      ? this.#index.candidates(locate(exchange.request.url))
      : this.#index.candidatesFor(exchange.request, {
          means: (entry) =>
            entry instanceof Rule
              ? entry.filter.addressMatches(exchange)
              : entry.means(exchange.request.method, locate(exchange.request.url)),
          fieldOf: (entry) => (entry instanceof Rule ? entry.filter.demandedField : undefined),
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
      isHandled: false,
      unmark: undefined,
    })
  }

  /** The faults of rules for everything, which an exchange that came before them gets for the rest of it. */
  lateFaults(exchange: Exchange): FaultFeed | undefined {
    return exchange.connection.isFromHandler ? undefined : this.#uses.faults(exchange, this.#rules)
  }

  /** What rules do to an open WebSocket that they were told of later. */
  lateWebSocket(exchange: Exchange): readonly WebSocketHandler[] {
    return exchange.connection.isFromHandler ? [] : this.#uses.webSocket(exchange, this.#rules)
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
      if (rule && !(rule instanceof Rule)) {
        if (rule.isRemoved) continue
        return isForOther ? this.#askPreflight(at, rule, attempt) : this.#askHandler(at, rule, attempt)
      }
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
    const isDecided = rule instanceof Rule && rule.isLive && rule.restMatches(exchange) && this.#apply(rule, attempt)
    return isDecided ? this.#conclude(attempt) : this.#tryFrom(at + 1, attempt)
  }

  /** Goes on with the handler at `at`, when it has said what becomes of the exchange. */
  async #askHandler(at: number, handler: ListedHandler, attempt: Attempt): Promise<Intervention | undefined> {
    const { exchange, candidates } = attempt
    const outcome = await handler.ask(exchange, candidates.slice(at + 1))
    if (outcome.kind === 'other') return this.#tryFrom(at + 1, attempt)
    attempt.isHandled = true
    if (outcome.kind === 'bypassed') {
      attempt.unmark = outcome.unmark
      return this.#tryFrom(at + 1, attempt)
    }
    exchange.rules.push(outcome.kind === 'answer' ? handler.describe() : `${handler.describe()}: ${outcome.kind}`)
    if (outcome.kind === 'silent') return this.#tryFrom(at + 1, attempt)
    const others = await this.#conclude(attempt)
    return 'answer' in outcome ? { ...others, answer: outcome.answer } : others
  }

  /** The same for the question that a browser asks before a request. */
  async #askPreflight(at: number, handler: ListedHandler, attempt: Attempt): Promise<Intervention | undefined> {
    const { exchange } = attempt
    const answer = await handler.preflight(exchange)
    if (answer) {
      exchange.rules.push(`CORS preflight of ${handler.describe()}`)
      return { answer }
    }
    // One for requests of this very method may have something to say of its own.
    const isMeant = handler.means(exchange.request.method, locate(exchange.request.url))
    return isMeant ? this.#askHandler(at, handler, attempt) : this.#tryFrom(at + 1, attempt)
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
    const { exchange, rules, uses, isUndialled, isHandled } = attempt
    if (this.#unmatched && !isHandled && !uses.at(-1)?.decides(isUndialled)) {
      const applied = uses.map(({ rule }) => rule)
      const handlers = this.#entries.filter((entry): entry is ListedHandler => !(entry instanceof Rule))
      const refusal = this.#unmatched.intercept(exchange, rules, applied, handlers)
      if (isPromise(refusal)) return refusal.then((refused) => refused ?? this.#interventionOf(attempt))
      if (refusal) return refusal
    }
    return this.#interventionOf(attempt)
  }

  #interventionOf({ exchange, uses, undo, isUndialled, unmark }: Attempt): Intervention | undefined {
    if (uses.length === 0) return unmark && { rewriteRequest: [unmark] }
    this.#uses.began(exchange, uses)
    const oldestFirst = uses.toReversed()
    const takeBack = (): void => {
      for (const each of undo.splice(0)) each()
      for (const { text } of uses) {
        const at = exchange.rules.indexOf(text)
        if (at >= 0) exchange.rules[at] = `${text} (not counted: the browser sends it again)`
      }
    }
    const feed = new UseFeed(oldestFirst, isUndialled ? 'exchangeUndialled' : 'exchange', this.#chance, takeBack)
    const acts = oldestFirst.flatMap((use) => use.acts)
    return interventionOf(unmark ? [{ kind: 'rewriteRequest', text: 'unmark', rewrite: unmark }, ...acts] : acts, feed)
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

  #set(entries: readonly Entry[]): void {
    this.#entries = entries
    this.#rules = entries.filter((entry) => entry instanceof Rule)
    this.#index = undefined
    this.#changed()
  }

  #changed(): void {
    this.#forConnections = undefined
    this.#mayAnswer.clear()
    this.#mayIntercept.clear()
  }
}
