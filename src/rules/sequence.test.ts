import { describe, expect, it } from 'vitest'

import { Connection } from '../connection.ts'
import { Exchange, HttpRequest } from '../exchange.ts'
import { certExpired, latency, resetPeer } from '../faults/faults.ts'
import { RuleList } from './rule-list.ts'
import type { Rule } from './rule.ts'
import type { SequenceStep } from './sequence.ts'

function exchangeOf(): Exchange {
  const head = { method: 'GET', url: 'https://api.test/a', target: '/a', httpVersion: 'HTTP/1.1', fields: [] }
  return new Exchange(new Connection(), new HttpRequest(head))
}

/** What a call gets: the status of an answer, the faults, or nothing. */
async function next(rules: RuleList, exchange = exchangeOf()): Promise<number | string> {
  const intervention = await rules.intercept(exchange)
  const faults = (intervention?.faults?.faults ?? []).map(({ fault }) => fault.name).join()
  if (intervention?.answer?.kind !== 'respond') return faults || 'nothing'
  return (await intervention.answer.response(exchangeOf())).status
}

describe('sequence()', () => {
  it('does one step for each call, then steps aside', async () => {
    const rules = new RuleList()
    rules.when('**').respond(200)
    const rule = rules.when('**').sequence(resetPeer(), 503, 'pass', (step) => step.json({}, { status: 201 }))
    const seen = []
    for (let call = 0; call < 6; call++) seen.push(await next(rules))
    expect(seen).toEqual(['resetPeer', 503, 200, 201, 200, 200])
    expect([rule.calls, rule.isLive, rule.decides]).toEqual([4, false, false])
  })

  it('may decide as long as one of the steps to come does', async () => {
    const rules = new RuleList()
    const host = { host: 'api.test', port: 443, tls: true }
    const rule = rules.when('**').sequence(503, 'pass')
    expect([rule.decides, rules.mayAnswer(host)]).toEqual([true, true])
    await next(rules)
    expect([rule.decides, rule.isLive, rules.mayAnswer(host)]).toEqual([false, true, false])
  })

  it('goes with the limits and with other acts of its rule, which are done each time', async () => {
    const rules = new RuleList()
    rules
      .when('**')
      .fault(latency({ ms: 1 }))
      .sequence('pass', resetPeer())
      .after(1)
    expect([await next(rules), await next(rules), await next(rules), await next(rules)]).toEqual([
      'nothing',
      'latency',
      'latency,resetPeer',
      'nothing',
    ])
  })

  it('says its steps, which one is next, and which one an exchange got', async () => {
    const rules = new RuleList()
    const rule = rules.when('**').sequence(503, 'pass', (step) => step.delay(5).respond(200))
    const text = 'when **: first answer 503, then pass, then wait 5 ms + answer 200'
    expect(rule.explain()).toBe(`${text}; applied 0 times, next is step 1 (answer 503)`)
    const exchange = exchangeOf()
    await next(rules, exchange)
    expect(exchange.rules).toEqual([`step 1 of ${text}: answer 503`])
    expect(rule.explain()).toBe(`${text}; applied once, next is step 2 (pass)`)
    await next(rules)
    await next(rules)
    expect(rule.explain()).toBe(`${text}; applied 3 times, used up`)
  })

  it('blames the rule for a function of a step that fails', async () => {
    const rules = new RuleList()
    rules.when('**').sequence((step) =>
      step.rewriteRequest(() => {
        throw new Error('oops')
      }),
    )
    const rewrite = (await rules.intercept(exchangeOf()))?.rewriteRequest?.[0]
    const request = { method: 'GET', url: 'https://api.test/', fields: [], body: undefined }
    expect(() => rewrite?.apply(request, exchangeOf())).toThrow(
      /by the rule "when \*\*: first .*sequence\.test\.ts:\d+\): oops/,
    )
  })

  it.each<[string, (rule: Rule) => unknown, string]>([
    ['no step', (rule) => rule.sequence(), 'there are no steps'],
    ['a second sequence', (rule) => rule.sequence(200).sequence(200), 'a sequence already'],
    ['times() beside it', (rule) => rule.times(1).sequence(200), 'once() or times() was called'],
    ['times() behind it', (rule) => rule.sequence(200, 201).times(2), 'times() of .*: the rule has a sequence of 2'],
    ['once() behind it', (rule) => rule.sequence(200).once(), 'once() of .*: the rule has a sequence of 1'],
    ['an answer beside it', (rule) => rule.respond(200).sequence('pass', 503), 'an answer for every call already'],
    ['an answer behind it', (rule) => rule.sequence('pass', 503).respond(200), 'has an answer already'],
    ['two answers in a step', (rule) => rule.sequence((step) => step.respond(200).block()), 'has an answer already'],
    ['a step of another kind', (rule) => rule.sequence('skip' as SequenceStep), 'step 1 is "skip", expected'],
    ['a step that is nothing', (rule) => rule.sequence(200, null as unknown as SequenceStep), 'step 2 is null'],
    ['a status that is none', (rule) => rule.sequence(99), 'respond() .*: '],
    ['a step that does nothing', (rule) => rule.sequence(() => undefined), 'step 1 does nothing'],
    ['an asynchronous step', (rule) => rule.sequence(async (step) => step.respond(200)), 'asynchronous'],
    ['a fault before requests', (rule) => rule.sequence(certExpired()), 'certExpired acts before there is a request'],
  ])('refuses %s', (_, tell, text) => {
    const pattern = text.replaceAll(/[()]/g, String.raw`\$&`)
    const invalid: unknown = expect.objectContaining({
      code: 'MITM_INVALID_RULE',
      message: expect.stringMatching(pattern) as string,
    })
    expect(() => tell(new RuleList().when({ method: 'GET', url: 'https://api.test/a' }))).toThrow(invalid)
  })

  it('leaves a rule as it was when it is refused', async () => {
    const rules = new RuleList()
    const rule = rules.when('**')
    expect(() => rule.sequence(200, 99)).toThrow()
    rule.respond(201).once()
    expect([await next(rules), await next(rules)]).toEqual([201, 'nothing'])
  })
})
