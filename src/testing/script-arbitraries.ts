/** Generates scripts for conversations in HTTP/1, or in what is left of it: who sends what, and when. */
import fc from 'fast-check'

import { looksLikeRequest } from '../protocols/http1/head.ts'
import { looksLikeTls } from '../tls/client-hello.ts'
import type { Line, Script, Turn } from './conversation.ts'
import {
  octets,
  oddRequest,
  oddResponse,
  responsePlan,
  responseTo,
  soup,
  validExchangePlan,
  validRequest,
} from './http1-arbitraries.ts'
import type { ValidExchange } from './http1-arbitraries.ts'

interface Step {
  readonly side: 'client' | 'server'
  readonly wire: string
  /** Whether it is a whole message, if those before it were. */
  readonly isClean: boolean
  readonly isUpgrade?: boolean
}

const UPGRADE =
  'GET /socket HTTP/1.1\r\nHost: origin.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n'
const SWITCHING = 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n'

const cleanSteps: fc.Arbitrary<readonly Step[]> = validExchangePlan.map((plan): readonly Step[] => [
  { side: 'client', wire: plan.request.wire, isClean: true },
  ...plan.interim.map((wire): Step => ({ side: 'server', wire, isClean: true })),
  { side: 'server', wire: responseTo(plan.request.method, plan.response, false).wire, isClean: true },
])
const closeSteps: fc.Arbitrary<readonly Step[]> = validExchangePlan.map((plan): readonly Step[] => [
  { side: 'client', wire: plan.request.wire, isClean: true },
  { side: 'server', wire: responseTo(plan.request.method, plan.response, true).wire, isClean: false },
])
const oddSteps: fc.Arbitrary<readonly Step[]> = fc
  .record({
    request: fc.oneof(
      oddRequest.map((wire) => ({ wire, isClean: false })),
      validRequest.map(({ wire }) => ({ wire, isClean: true })),
    ),
    response: fc.oneof(
      oddResponse,
      responsePlan.map((plan) => responseTo('GET', plan, true).wire),
    ),
  })
  .map(({ request, response }): readonly Step[] => [
    { side: 'client', ...request },
    { side: 'server', wire: response, isClean: false },
  ])
const upgradeSteps: fc.Arbitrary<readonly Step[]> = fc
  .record({ after: fc.array(fc.tuple(fc.boolean(), octets(30)), { maxLength: 4 }), isEager: fc.boolean() })
  .map(({ after, isEager }): readonly Step[] => [
    { side: 'client', wire: UPGRADE, isClean: true, isUpgrade: true },
    { side: 'server', wire: SWITCHING, isClean: true },
    ...after.map(([isClient, wire]): Step => ({ side: isClient ? 'client' : 'server', wire, isClean: !isEager })),
  ])

/** The places in what a side has sent that a proxy must have passed on without seeing more. */
class Sent {
  total = 0
  safe = 0
  text = ''
  isClean = true

  add(step: Step, isOtherClean: boolean, isPipelined: boolean): void {
    this.text += step.wire
    this.total += step.wire.length
    this.isClean &&= step.isClean && isOtherClean
    // Heads and chunk lines may be held until they are whole. Nothing waits behind exactly one blank line.
    if (this.isClean || (isPipelined && /[^\r\n]\r?\n\r?\n$/.test(step.wire))) this.safe = this.total
  }
}

/** How octets are cut into writes: places modulo their number, or after each. */
const cuts: fc.Arbitrary<Turn['cuts']> = fc.oneof(
  { arbitrary: fc.constant([]), weight: 2 },
  { arbitrary: fc.array(fc.nat(), { minLength: 1, maxLength: 5 }), weight: 6 },
  { arbitrary: fc.constant('each' as const), weight: 1 },
)

/** What limits the scripts that are made. */
export interface ScriptOptions {
  /** Whether the client may send requests before the ones before are answered and a side may end early. @defaultValue true */
  readonly isPipelined?: boolean
  /** How the ends of the connection may come. @defaultValue orderly */
  readonly ends?: 'orderly' | 'reset'
}

const ending = fc.record({
  order: fc.constantFrom('client', 'server', 'both'),
  /** What a side says after the other's end. */
  lastWords: fc.oneof(
    fc.constant(''),
    soup,
    validRequest.map(({ wire }) => wire),
    octets(20),
  ),
  isPrompt: fc.boolean(),
  /** Which turn of a script that ends by a reset is the last. */
  resetAt: fc.nat(20),
})

/**
 * Conversations in which neither side waits for octets that the other sends later, nor for some that a proxy may hold.
 */
export function scripts(options: ScriptOptions = {}): fc.Arbitrary<Script> {
  const { isPipelined = true } = options
  const steps = fc
    .array(
      fc.oneof(
        { arbitrary: cleanSteps, weight: 6 },
        { arbitrary: oddSteps, weight: 3 },
        { arbitrary: closeSteps, weight: 1 },
      ),
      { minLength: 1, maxLength: 4 },
    )
    .chain((list) =>
      fc.option(upgradeSteps, { freq: 4, nil: [] }).map((last): readonly Step[] => [...list.flat(), ...last]),
    )
  const pace = fc.record({ cuts, isEager: isPipelined ? fc.boolean() : fc.constant(false) })
  return fc
    .record({ steps, paces: fc.array(pace, { minLength: 8, maxLength: 8 }), ending })
    .map(({ steps: list, paces, ending: how }) => makeScript(list, paces, how, options))
    .filter(({ client }) => !looksLikeTls(Buffer.from(client.turns.map((turn) => turn.octets).join(''), 'latin1')))
}

function makeScript(
  steps: readonly Step[],
  paces: readonly { readonly cuts: Turn['cuts']; readonly isEager: boolean }[],
  how: { order: string; lastWords: string; isPrompt: boolean; resetAt: number },
  { isPipelined = true, ends = 'orderly' }: ScriptOptions,
): Script {
  const sent = { client: new Sent(), server: new Sent() }
  const turns: { client: Turn[]; server: Turn[] } = { client: [], server: [] }
  // Behind an upgrade all waits for its answer; one that is no whole answer leaves that open.
  let mayWait = true
  const whole = ends === 'reset' ? steps.slice(0, 1 + (how.resetAt % steps.length)) : steps
  // Where a rule makes exchanges wait for each other, nothing follows one that may never be over; nor may octets that are
  // no request follow one in the same breath.
  const last = whole.findIndex(({ isClean }) => !isClean)
  const used = isPipelined || last < 0 ? whole : whole.slice(0, whole[last]?.side === 'server' ? last + 1 : last)
  for (const [index, step] of used.entries()) {
    const pace = paces[index % paces.length] ?? { cuts: [], isEager: false }
    const isClient = step.side === 'client'
    const mine = isClient ? sent.client : sent.server
    const others = isClient ? sent.server : sent.client
    const isClean = sent.client.isClean && sent.server.isClean
    if (step.isUpgrade && !isClean) mayWait = false
    const canAsk = looksLikeRequest(Buffer.from(sent.client.text, 'latin1')) !== 'incomplete' || sent.client.total === 0
    const after = pace.isEager || !mayWait || (isClient && !canAsk) ? 0 : others.safe
    turns[step.side].push({ octets: step.wire, after, cuts: pace.cuts })
    mine.add(step, others.isClean, isPipelined)
  }
  const { lastWords, isPrompt } = how
  const order = mayWait ? how.order : 'both'
  const line = (side: 'client' | 'server'): Line => {
    const others = side === 'client' ? sent.server : sent.client
    const isFirst = order === side
    const own = turns[side]
    if (ends === 'reset') {
      if (order !== 'server' ? side === 'client' : side === 'server') {
        return { turns: own, endAfter: isPrompt ? 0 : others.safe, ending: 'reset' }
      }
      return { turns: own, endAfter: 'end', ending: 'fin' }
    }
    if (order === 'both' || isFirst)
      return { turns: own, endAfter: isPrompt || !mayWait ? 0 : others.safe, ending: 'fin' }
    const spoken = lastWords ? [...own, { octets: lastWords, after: 'end' as const, cuts: [] }] : own
    return { turns: spoken, endAfter: 'end', ending: 'fin' }
  }
  return { client: line('client'), server: line('server') }
}

/** The script of valid exchanges, each answered when it has come. */
export function scriptOf(
  exchanges: readonly ValidExchange[],
  allCuts: readonly Turn['cuts'][],
  isPipelined: boolean,
): Script {
  const client: Turn[] = []
  const server: Turn[] = []
  let asked = 0
  let answered = 0
  let turn = 0
  const nextCuts = (): Turn['cuts'] => allCuts[turn++ % allCuts.length] ?? []
  for (const { request, interim: heads, response } of exchanges) {
    client.push({ octets: request.wire, after: isPipelined ? 0 : answered, cuts: nextCuts() })
    asked += request.wire.length
    for (const wire of [...heads, response.wire]) {
      server.push({ octets: wire, after: asked, cuts: nextCuts() })
      answered += wire.length
    }
  }
  const closes = exchanges.at(-1)?.response.isCloseDelimited === true
  return {
    client: { turns: client, ending: 'fin', endAfter: closes ? 'end' : answered },
    server: { turns: server, ending: 'fin', endAfter: closes ? 0 : 'end' },
  }
}

/** How turns are cut, for {@link scriptOf}. */
export const cutLists: fc.Arbitrary<readonly Turn['cuts'][]> = fc.array(cuts, { minLength: 6, maxLength: 6 })
