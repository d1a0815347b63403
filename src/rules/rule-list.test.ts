import { describe, expect, it } from 'vitest'

import { Connection } from '../connection.ts'
import type { MitmError } from '../errors.ts'
import { Exchange, HttpRequest } from '../exchange.ts'
import type { Intervention } from '../middleware.ts'
import { RuleList } from './rule-list.ts'

function exchangeOf(method = 'GET', url = 'https://api.test/a'): Exchange {
  const request = new HttpRequest({ method, url, target: '/', httpVersion: 'HTTP/1.1', fields: [] })
  return new Exchange(new Connection(), request)
}

function send(exchange: Exchange, body: string): void {
  exchange.request.addBody(Buffer.from(body))
  exchange.request.finish()
}

/** What the rules do, which must be known at once. */
function interceptNow(rules: RuleList, exchange: Exchange = exchangeOf()): Intervention | undefined {
  const intervention = rules.intercept(exchange)
  if (intervention instanceof Promise) throw new Error('a promise, where none was needed')
  return intervention
}

async function statusOf(intervention: Intervention | undefined): Promise<number | undefined> {
  if (intervention?.answer?.kind !== 'respond') return undefined
  return (await intervention.answer.response(exchangeOf())).status
}

describe('RuleList', () => {
  it('leaves what no rule is for', () => {
    const rules = new RuleList()
    expect(rules.isEmpty).toBe(true)
    expect(interceptNow(rules)).toBeUndefined()
    const rule = rules.when({ method: 'POST', url: 'https://api.test/a' }).json({})
    expect(interceptNow(rules)).toBeUndefined()
    expect(rule.calls).toBe(0)
  })

  it('asks the newest rule first, and none after one that decided', async () => {
    const rules = new RuleList()
    let asked = 0
    const older = rules.when(() => ++asked > 0).respond(500)
    const newer = rules.when({ method: 'GET', url: 'https://api.test/*' }).respond(201)
    expect(rules.rules).toEqual([newer, older])
    expect(await statusOf(interceptNow(rules))).toBe(201)
    expect([asked, older.calls, newer.calls]).toEqual([0, 0, 1])
  })

  it('lets the next rule decide what one does not, and gives the newest the last word on a message', async () => {
    const rules = new RuleList()
    rules
      .when('**')
      .respond(201)
      .rewriteRequest({ headers: { a: 'older' } })
    rules.when('**').rewriteRequest({ headers: { a: 'newer' } })
    const exchange = exchangeOf()
    const intervention = interceptNow(rules, exchange)
    expect(await statusOf(intervention)).toBe(201)
    let request = { method: 'GET', url: 'https://api.test/', fields: [], body: undefined }
    for (const { apply } of intervention?.rewriteRequest ?? []) {
      request = (await apply(request, exchange)) as typeof request // the same fields
    }
    expect(request.fields).toEqual([['a', 'newer']])
    expect(exchange.rules).toEqual([
      'when **: rewrite the request (headers)',
      'when **: answer 201, rewrite the request (headers)',
    ])
  })

  it('passes over rules that do nothing, are used up, or removed', async () => {
    const rules = new RuleList()
    rules.when('**').respond(204)
    const idle = rules.when('**')
    const once = rules.when('**').respond(201).once()
    const never = rules.when('**').respond(202).times(0)
    const removed = rules.when('**').respond(203)
    removed.remove()
    {
      using scoped = rules.when('**').respond(206)
      expect(scoped.isLive).toBe(true)
    }
    expect(await statusOf(interceptNow(rules))).toBe(201)
    expect(await statusOf(interceptNow(rules))).toBe(204)
    expect([idle.calls, once.calls, never.calls, removed.calls]).toEqual([0, 1, 0, 0])
    expect(rules.rules).toHaveLength(4)
    rules.clear()
    expect(rules.isEmpty).toBe(true)
    expect(interceptNow(rules)).toBeUndefined()
  })

  it('collects all parts, and leaves out those there are none of', () => {
    const rules = new RuleList()
    rules.when('**').block()
    expect(interceptNow(rules)).toEqual({ answer: { kind: 'block' }, faults: expect.objectContaining({ faults: [] }) })
    rules.clear()
    rules
      .when('**')
      .rewriteResponse({ status: 500 })
      .clientData((data) => data)
      .serverData((data) => data)
    expect(Object.keys(interceptNow(rules) ?? {})).toEqual(['rewriteResponse', 'clientData', 'serverData', 'faults'])
  })

  it('waits for the body only where a rule looks at it', async () => {
    const rules = new RuleList()
    const rule = rules.when({ method: 'POST', json: { eur: 42 } }).json('yes')
    expect(interceptNow(rules)).toBeUndefined() // a GET: its body is of no interest

    const exchange = exchangeOf('POST')
    const intervention = rules.intercept(exchange)
    expect(intervention).toBeInstanceOf(Promise)
    send(exchange, '{"eur":42,"cents":0}')
    expect(await statusOf(await intervention)).toBe(200)

    const other = exchangeOf('POST')
    const untouched = rules.intercept(other)
    send(other, '{"eur":41}')
    expect(await untouched).toBeUndefined()
    expect(rule.calls).toBe(1)
  })

  it('goes on with the next rule when the body does not fit, never comes, or is too large', async () => {
    const rules = new RuleList({ maxBodyBytes: 5 })
    rules.when('**').respond(204)
    rules.when({ body: /.*/ }).respond(500)
    const gone = exchangeOf('POST')
    const large = exchangeOf('POST')
    const interventions = [rules.intercept(gone), rules.intercept(large)]
    gone.request.finish(false)
    send(large, 'more than five')
    expect(await Promise.all(interventions.map(async (one) => statusOf(await one)))).toEqual([204, 204])
  })

  it('applies once() to one of two requests that wait for their bodies', async () => {
    const rules = new RuleList()
    const rule = rules.when({ body: 'x' }).respond(201).once()
    const [first, second] = [exchangeOf('POST'), exchangeOf('POST')]
    const interventions = [rules.intercept(first), rules.intercept(second)]
    send(first, 'x')
    send(second, 'x')
    expect(await Promise.all(interventions.map(async (one) => statusOf(await one)))).toEqual([201, undefined])
    expect(rule.calls).toBe(1)
  })

  it('does not apply a rule that was removed while it waited', async () => {
    const rules = new RuleList()
    const rule = rules.when({ body: 'x' }).respond(201)
    const exchange = exchangeOf('POST')
    const intervention = rules.intercept(exchange)
    rule.remove()
    send(exchange, 'x')
    expect(await intervention).toBeUndefined()
  })

  it('reports a filter that throws, and passes its rule over', async () => {
    const errors: MitmError[] = []
    const rules = new RuleList({ onError: (error) => errors.push(error) })
    rules.when('**').respond(204)
    rules
      .when(() => {
        throw new Error('oops')
      })
      .respond(500)
    expect(await statusOf(interceptNow(rules))).toBe(204)
    expect(errors).toMatchObject([{ code: 'MITM_RULE_FAILED', cause: { message: 'oops' } }])
    expect(errors[0]?.message).toMatch(
      /^Cannot choose by the rule "when any request that a function accepts: answer 500" \(src\/rules\/rule-list\.test\.ts:\d+\): oops/,
    )
  })

  it('may answer only for hosts that a rule could answer for', () => {
    const rules = new RuleList()
    const api = { host: 'api.test', port: 443, tls: true }
    rules.when('**').rewriteRequest({ headers: {} })
    expect(rules.mayAnswer(api)).toBe(false)
    const rule = rules.when('https://api.test/**').respond(200).once()
    expect(rules.mayAnswer(api)).toBe(true)
    expect(rules.mayAnswer({ ...api, host: 'other.test' })).toBe(false)
    interceptNow(rules)
    expect(rule.calls).toBe(1)
    expect(rules.mayAnswer(api)).toBe(false)
  })

  it('refuses a status in the filter, which comes too late', () => {
    expect(() => new RuleList().when({ status: 500 })).toThrow(expect.objectContaining({ code: 'MITM_INVALID_RULE' }))
  })
})
