/** When … then …: what is done to the exchanges that a filter means. */
import type { Connection } from '../connection.ts'
import type { MitmError } from '../errors.ts'
import { Exchange } from '../exchange.ts'
import type { ConnectionMoment } from '../middleware.ts'
import type { Destination } from '../protocol.ts'
import { triesHandshakesTwice } from '../source.ts'
import { invalidRule, ruleFailed } from './act.ts'
import type { Act, Blame } from './act.ts'
import { noteCallSite } from '../internal/call-site.ts'
import { SharedPaces } from './fault-feed.ts'
import { breaksHandshake, isForOthers, problemBeforeRequest, profileOf } from './fault-stages.ts'
import type { ActProfile } from './fault-stages.ts'
import type { CompiledFilter } from './filter.ts'
import { Limits, timesText } from './limits.ts'
import type { Admission, DuringOptions } from './limits.ts'
import { Repeats } from './repeats.ts'
import { RuleActs } from './rule-acts.ts'
import { RuleHistory } from './rule-history.ts'
import type { RuleHooks } from './rule-hooks.ts'
import { RuleUse, UNCOUNTED } from './rule-use.ts'
import { makeSteps } from './sequence.ts'
import type { SequenceActs, SequenceStep, StepHost } from './sequence.ts'

/**
 * What is done to the exchanges that a filter means. Rules are made by `when()`; each method adds to the rule and takes
 * effect at once. A rule may do several things, but decide (`respond`, `json`, `block`) only once. A rule that does
 * nothing is passed over, and not counted.
 *
 * How often: `during`, `after`, `probability` and `times` are asked in this order, whatever the order in which they were
 * told. What a limit keeps the rule from passes as if the rule were not there.
 *
 * All methods that add throw a {@link MitmError} `MITM_INVALID_RULE` when the rule cannot do what it is told.
 *
 * @example
 * ```ts
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function declineOnce(mitm: TestMitm): void {
 *   mitm.post('https://pay.test/charge').json({ error: 'declined' }, { status: 402 }).once()
 * }
 * ```
 */
export class Rule extends RuleActs implements Disposable {
  /** @internal */
  readonly filter: CompiledFilter
  /** @internal Names it to chance. */
  readonly label: string
  /** @internal What paces everything that passes by its faults of links. */
  readonly paces: SharedPaces
  readonly #hooks: RuleHooks
  readonly #limits: Limits
  readonly #findCallSite: () => string | undefined
  readonly #onChange = new Set<() => void>()
  readonly #repeats = new Repeats<RuleUse['repeatable']>()
  readonly #history = new RuleHistory()
  #steps: readonly SequenceActs[] = []
  #profile: ActProfile | undefined
  #version = 0
  #isRemoved = false

  /** @internal Rules are made by `when()`. */
  constructor(filter: CompiledFilter, hooks: RuleHooks) {
    super()
    this.filter = filter
    this.label = hooks.label
    this.paces = new SharedPaces(hooks.chance, hooks.label)
    this.#hooks = hooks
    this.#findCallSite = noteCallSite()
    this.#limits = new Limits(this.#refuse, hooks.chance.stream(hooks.label))
  }

  /** How often it was applied. */
  get calls(): number {
    return this.#limits.calls
  }

  /** How often `after` and `probability` kept it from what its filter means. */
  get skipped(): number {
    return this.#limits.skipped
  }

  /** `file:line` at which it was made, outside this package. */
  get where(): string | undefined {
    return this.#findCallSite()
  }

  /** Whether it would be applied now to an exchange that its filter means, as far as `after` and `probability` let it. */
  get isLive(): boolean {
    return !this.#isRemoved && (this.acts.length > 0 || this.#steps.length > 0) && this.#limits.isOpen
  }

  /** @internal Whether it has been taken out. */
  get isRemoved(): boolean {
    return this.#isRemoved
  }

  /** Whether it answers in place of the server, now or in a step still to come. */
  override get decides(): boolean {
    return super.decides || this.#steps.some((step, at) => step.decides && this.#limits.isLeft(at))
  }

  /** @internal Whether the server of a request is not needed, now or in a step still to come. */
  override get sparesServer(): boolean {
    return super.sparesServer || this.#steps.some((step, at) => step.sparesServer && this.#limits.isLeft(at))
  }

  /** @internal Whether it could be applied, now or later. */
  get isUsable(): boolean {
    return !this.#isRemoved && !this.#limits.isSpent
  }

  /** @internal Whether the passing of time can change what it does. */
  get isTimed(): boolean {
    return this.#limits.isTimed
  }

  /** @internal Whether it is for all that its filter means, however often that is, with faults that need no beginning. */
  get isForRunning(): boolean {
    return (
      this.isLive &&
      this.#steps.length === 0 &&
      !this.#limits.isLimited &&
      (this.profile.relay || this.profile.webSocket || this.profile.http2) &&
      !this.filter.needsRequestBody
    )
  }

  /** @internal Grows whenever its acts change. */
  get version(): number {
    return this.#version
  }

  /** @internal What it does, in all its steps. */
  get profile(): ActProfile {
    return (this.#profile ??= profileOf([...this.acts, ...this.#steps.flatMap(({ acts }) => acts)]))
  }

  /** Lets it be applied once; then it steps aside. */
  once(): this {
    return this.#setTimes('once', 1)
  }

  /** Lets it be applied `count` times in all; then it steps aside. */
  times(count: number): this {
    return this.#setTimes('times', count)
  }

  /** Lets the first `count` of what its filter means pass as if it were not there. They are counted in `skipped`. */
  after(count: number): this {
    this.#limits.setAfter(count)
    return this
  }

  /**
   * Leaves to chance whether it is applied: each time, with this probability from 0 to 1. What comes out is decided by the
   * seed of the mitm; the others are counted in `skipped`.
   */
  probability(probability: number): this {
    this.#limits.setProbability(probability)
    return this
  }

  /** Lets it be applied in a span of time only, which begins when the rule is made. Outside of it, it is passed over. */
  during(span: DuringOptions): this {
    this.#limits.setDuring(span)
    this.#hooks.changed(this)
    return this
  }

  /**
   * Does something else each time: call number one gets the first step, and so on; after the last step the rule steps
   * aside. Other acts of the rule are done each time.
   *
   * @param steps - For each call a function that is given something with the acts of a rule; or a fault; or a status to
   *   answer with; or `'pass'`, which leaves it alone.
   *
   * @example
   * ```ts
   * import { faults } from 'playwright-mitm/core'
   * import type { TestMitm } from 'playwright-mitm/core'
   *
   * export function recoverSlowly(mitm: TestMitm): void {
   *   mitm.post('https://pay.test/charge').sequence(faults.resetPeer(), 503, (step) => step.json({ id: 1 }))
   * }
   * ```
   */
  sequence(...steps: readonly SequenceStep[]): this {
    if (this.#steps.length > 0) throw this.#refuse('sequence', 'the rule has a sequence already, expected one')
    if (this.#limits.hasTimes) {
      throw this.#refuse('sequence', 'once() or times() was called, but a sequence is applied once for each step')
    }
    const made = makeSteps(steps, this.#stepHost())
    if (super.decides && made.some((step) => step.decides)) {
      throw this.#refuse('sequence', 'the rule has an answer for every call already, and one of the steps has another')
    }
    this.#limits.setTimes('sequence', made.length)
    this.#steps = made
    this.#actsChanged()
    return this
  }

  /** Takes the rule out. What it is doing already goes on, but its faults end. */
  remove(): void {
    if (this.#isRemoved) return
    this.#isRemoved = true
    this.#hooks.removed(this)
    this.#actsChanged()
  }

  /** Takes the rule out. */
  [Symbol.dispose](): void {
    this.remove()
  }

  /**
   * What it is for, what it does, how often, how often it was applied, which of its faults acted, and the last reason why
   * it passed over a request because of its body.
   */
  explain(): string {
    const { calls, skipped } = this
    const next = this.#steps[this.#limits.nextUse]
    const state = [
      `applied ${timesText(calls)}`,
      skipped > 0 && `skipped ${timesText(skipped)}`,
      next && `next is step ${next.number} (${next.text})`,
      this.#isRemoved ? 'removed' : this.#limits.closedText,
    ].filter(Boolean)
    return `${this.describe()}; ${state.join(', ')}${this.#history.text()}${this.#hooks.remark(this)}`
  }

  override toString(): string {
    return this.explain()
  }

  /** @internal What it is for, what it does, and how often. */
  override describe(): string {
    const acts = this.acts.map(({ text }) => text)
    if (this.#steps.length > 0) acts.push(`first ${this.#steps.map(({ text }) => text).join(', then ')}`)
    return `when ${this.filter.text}: ${acts.join(', ') || 'does nothing yet'}${this.#limits.text()}`
  }

  /** @internal Whether the head of the request is what the filter means. @param isAddressKnown - Whether its URL is. */
  headMatches(exchange: Exchange, isAddressKnown = false): boolean {
    if (isForOthers(this.profile, exchange)) return false
    return this.filter[isAddressKnown ? 'restOfHeadMatches' : 'headMatches'](exchange, this.#onThrow)
  }

  /** @internal Whether the rest of it is, once the body has come. What is not is noted. */
  restMatches(exchange: Exchange): boolean {
    const misses = this.filter.restMisses(exchange, this.#onThrow)
    if (misses.length > 0) this.#history.missed(exchange, misses)
    return misses.length === 0
  }

  /** @internal Whether the filter means a connection on which there is no request yet. */
  matchesConnection(destination: Destination, connection: Connection): boolean {
    return this.filter.matchesConnection(destination, connection, (error) => {
      connection.report(this.blame('choose', error))
    })
  }

  /** @internal Whether its faults of dialling act on an exchange: where the filter was not, or could not be, asked before. */
  dialsForExchanges(isUndialled: boolean): boolean {
    return isUndialled || this.filter.unknownBeforeRequest.length > 0
  }

  /** @internal Whether anything of it is for exchanges. @param isUndialled - Whether not reaching the server is, too. */
  concernsExchanges(isUndialled: boolean): boolean {
    const { forExchanges, dial, tunnel, tls } = this.profile
    return forExchanges || (dial && this.dialsForExchanges(isUndialled)) || !(dial || tunnel || tls)
  }

  /**
   * @internal Counts that its filter means an exchange or a connection.
   *
   * @param undo - Is given what takes that back.
   * @returns Undefined when a limit keeps it from being applied.
   */
  take(of: Exchange | Connection, undo?: (() => void)[]): RuleUse | undefined {
    const wasSpent = this.#limits.isSpent
    const admission = this.#limits.admit()
    if (!admission) return undefined
    if (this.#limits.isSpent !== wasSpent || this.#steps.length > 0) this.#hooks.changed(this)
    if (admission.kind === 'skip') {
      undo?.push(() => this.takeBack(admission))
      if (of instanceof Exchange) this.#history.skipped(of, admission.why)
      return undefined
    }
    const use = new RuleUse(this, of, { admission, step: this.#steps[admission.number], isCounted: true })
    undo?.push(() => use.takeBack())
    this.#history.began(use)
    return use
  }

  /** @internal The same for a connection; not counted for a browser's second try, nor where it is only late by it. */
  takeForConnection(connection: Connection, { stage, destination }: ConnectionMoment): RuleUse | undefined {
    const repeat = triesHandshakesTwice(connection) ? this.#repeats.take(destination) : undefined
    if (repeat && !this.#isRemoved) return this.#begin(connection, repeat)
    if (!this.isLive) return undefined
    const { forExchanges, breaksConnections } = this.profile
    if (stage !== 'relay' && forExchanges && !breaksConnections) return this.#begin(connection, UNCOUNTED)
    return this.take(connection)
  }

  /** Begins a use that is not counted. */
  #begin(of: Connection, repeat: RuleUse['repeatable']): RuleUse {
    const use = new RuleUse(this, of, { ...repeat, isCounted: false })
    this.#history.began(use)
    return use
  }

  /** @internal A handshake is about to be broken: the browser's second try is not counted, and is broken as well. */
  expectSecondTry(use: RuleUse, connection: Connection, destination: Destination): void {
    if (!use.isCounted || !triesHandshakesTwice(connection)) return
    if (use.faults.some(({ fault }) => breaksHandshake(fault))) this.#repeats.allow(destination, use.repeatable)
  }

  /** @internal Takes back what was counted. */
  takeBack(admission: Admission): void {
    this.#limits.takeBack(admission)
    this.#hooks.changed(this)
  }

  /** @internal A use is over. */
  ended(use: RuleUse): void {
    this.#history.ended(use)
  }

  /** @internal Calls back whenever its acts change. @returns What stops that. */
  onChange(listener: () => void): () => void {
    // A function of its own, so that the same listener may be given twice.
    const call = (): void => listener()
    this.#onChange.add(call)
    return () => this.#onChange.delete(call)
  }

  /** @internal Why it was not applied to an exchange that its filter means. */
  passedOver(exchange: Exchange): string | undefined {
    if (this.#isRemoved) return 'it was removed'
    if (this.acts.length === 0 && this.#steps.length === 0) return 'it does nothing yet'
    return this.#history.whySkipped(exchange) ?? this.#limits.whyClosed
  }

  protected override add(act: Act): this {
    this.#demandPossible(act)
    super.add(act)
    this.#actsChanged(act)
    return this
  }

  #setTimes(method: string, count: number): this {
    if (this.#steps.length > 0) {
      throw this.#refuse(method, `the rule has a sequence of ${this.#steps.length}, each of which is applied once`)
    }
    this.#limits.setTimes(method, count)
    this.#hooks.changed(this)
    return this
  }

  /** What acts before there is a request needs a filter that can be asked then; and it must not be out of reach. */
  #demandPossible(act: Act): void {
    const early = act.kind === 'fault' && problemBeforeRequest(act.fault, this.filter.unknownBeforeRequest)
    const problem = early || this.#hooks.problemWith(act)
    if (problem) throw this.#refuse(act.kind === 'fault' ? 'fault' : 'when', problem)
  }

  #stepHost(): StepHost {
    return {
      blame: this.blame,
      corsSetting: () => this.corsSetting,
      describe: () => this.describe(),
      refuse: this.#refuse,
      demandPossible: (act) => this.#demandPossible(act),
      added: (act) => (this.#steps.length > 0 ? this.#actsChanged(act) : undefined),
    }
  }

  #actsChanged(act?: Act): void {
    this.#version++
    this.#profile = undefined
    this.#hooks.changed(this)
    for (const listener of this.#onChange) listener()
    const { isForNewConnections, relay, webSocket, http2 } = act ? profileOf([act]) : this.profile
    if (this.#isRemoved) return
    this.#hooks.actAdded(this)
    if (isForNewConnections) this.#hooks.connectionFaultAdded(this)
    if (relay || webSocket || http2) this.#hooks.lateActAdded(this)
  }

  readonly #refuse = (method: string, problem: string): MitmError => invalidRule(method, problem, this.describe())

  readonly #onThrow = (error: unknown, exchange: Exchange): void => {
    this.#hooks.failed(this.blame('choose', error), exchange)
  }

  protected override readonly blame: Blame = (what, cause) =>
    ruleFailed(`${JSON.stringify(this.describe())}${this.where ? ` (${this.where})` : ''}`, what, cause)
}
