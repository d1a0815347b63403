/** One use of a rule: for an exchange, or for a connection before there is an exchange. */
import type { Connection } from '../connection.ts'
import type { Exchange } from '../exchange.ts'
import type { Fault } from '../fault.ts'
import type { Act } from './act.ts'
import { isWebSocketHandshake } from '../web-socket-handshake.ts'
import { isForHttp2, isForWebSockets, profileOf } from './fault-stages.ts'
import type { Admission } from './limits.ts'
import { isDeciding } from './rule-acts.ts'
import type { Rule } from './rule.ts'
import type { SequenceActs } from './sequence.ts'

/** A fault of a use, and what is the same in all its draws. */
export interface UsedFault {
  readonly act: Act
  readonly fault: Fault
  /** Of which stream its numbers are drawn. */
  readonly label: string
}

/** For uses that are not counted, and repeat none. */
export const UNCOUNTED: RuleUse['repeatable'] = { admission: { kind: 'use', number: -1 }, step: undefined }

/** One use of a rule. What the rule is told later belongs to it too. */
export class RuleUse {
  readonly rule: Rule
  readonly step: SequenceActs | undefined
  /** What it is for. */
  readonly of: Exchange | Connection
  /** What was counted for it; undefined where nothing was. */
  readonly #admission: Extract<Admission, { kind: 'use' }> | undefined
  readonly #number: number
  /** The rule in words, as it was then. */
  readonly text: string
  #isTakenBack = false
  /** Whether it is for a request that does not ask for a WebSocket. */
  /** What of its acts is for others. */
  readonly #isForOthers: ((act: Act) => boolean) | undefined

  /**
   * @param admission - What was counted for it, or for the use that is repeated here.
   * @param isCounted - Whether it counts itself.
   */
  constructor(
    rule: Rule,
    of: Exchange | Connection,
    {
      admission,
      step,
      isCounted,
    }: { admission: Admission & { kind: 'use' }; step: SequenceActs | undefined; isCounted: boolean },
  ) {
    this.rule = rule
    this.of = of
    this.step = step
    this.#admission = isCounted ? admission : undefined
    this.#number = admission.number
    this.#isForOthers = 'request' in of ? othersThan(of) : undefined
    this.text = step ? `${step.describe()}: ${step.text}` : rule.describe()
  }

  /** What is done: by the rule each time, and by this step of its sequence. */
  get acts(): readonly Act[] {
    const { rule, step } = this
    const acts = step ? [...rule.acts, ...step.acts] : rule.acts
    const isForOther = this.#isForOthers
    return isForOther ? acts.filter((act) => !isForOther(act)) : acts
  }

  /** Whether older rules are left nothing: it answers, or does not let the server be reached. */
  decides(isUndialled: boolean): boolean {
    const { acts } = this
    return acts.some(isDeciding) || (this.rule.dialsForExchanges(isUndialled) && profileOf(acts).dial)
  }

  /** Its faults at the moment; none once the rule has been removed. */
  get faults(): readonly UsedFault[] {
    if (this.rule.isRemoved) return []
    const found: UsedFault[] = []
    for (const [at, act] of this.acts.entries()) {
      if (act.kind !== 'fault') continue
      found.push({ act, fault: act.fault, label: `${this.rule.label} use ${this.#number} act ${at}` })
    }
    return found
  }

  /** Whether it counts as a use of the rule. */
  get isCounted(): boolean {
    return this.#admission !== undefined
  }

  /** How to repeat it without counting. */
  get repeatable(): { readonly admission: Admission & { kind: 'use' }; readonly step: SequenceActs | undefined } {
    return { admission: this.#admission ?? { kind: 'use', number: this.#number }, step: this.step }
  }

  /** Takes back that the rule was used: the next one has this use again. */
  takeBack(): void {
    if (this.#isTakenBack || !this.#admission) return
    this.#isTakenBack = true
    this.rule.takeBack(this.#admission)
  }

  /** How often each of its faults has acted so far, by its text: once or not at all. */
  fired(): string[] {
    const texts = new Set(this.acts.flatMap((act) => (act.kind === 'fault' ? [act.fault.text] : [])))
    if (texts.size === 0) return []
    return this.of.faults.map(({ text }) => text).filter((text) => texts.has(text))
  }
}

/** Which acts are not for an exchange. */
function othersThan(exchange: Exchange): (act: Act) => boolean {
  const isWebSocket = isWebSocketHandshake(exchange)
  const isByHttp2 = exchange.http2 !== undefined
  return (act) => (!isWebSocket && isForWebSockets(act)) || (!isByHttp2 && isForHttp2(act))
}
