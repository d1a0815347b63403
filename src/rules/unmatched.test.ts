import { describe, expect, it, vi } from 'vitest'

import { Connection } from '../connection.ts'
import type { MitmError } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import type { Intervention, RewrittenResponse } from '../middleware.ts'
import { connectionBy, exchangeOf } from '../testing/exchanges.ts'
import type { ExchangeParts } from '../testing/exchanges.ts'
import { RuleList } from './rule-list.ts'
import { suggestedRule } from './suggested-rule.ts'
import { UnmatchedError, UnmatchedPolicy } from './unmatched.ts'
import type { Unmatched } from './unmatched.ts'

/** A connection that notes what is reported on it. */
class ReportingConnection extends Connection {
  override report(error: MitmError): void {
    this.errors.push(error)
  }
}

const request = (parts: ExchangeParts = {}): Exchange =>
  exchangeOf({ method: 'POST', url: 'https://pay.test/charge', connection: new ReportingConnection(), ...parts })

function decide(policy: UnmatchedPolicy, exchange: Exchange, rules = new RuleList()): Intervention | undefined {
  const intervention = policy.intercept(exchange, rules.rules, [])
  if (intervention instanceof Promise) throw new Error('a promise, where none was needed')
  return intervention
}

async function answerOf(intervention: Intervention | undefined): Promise<RewrittenResponse> {
  if (intervention?.answer?.kind !== 'respond') throw new Error('no answer')
  return intervention.answer.response(exchangeOf())
}

function textOf(exchange: Exchange, rules = new RuleList(), option: Unmatched = 'block'): string {
  decide(new UnmatchedPolicy(option), exchange, rules)
  return exchange.error?.message ?? ''
}

describe('UnmatchedPolicy', () => {
  it('lets everything pass unless told otherwise', () => {
    for (const policy of [
      new UnmatchedPolicy(),
      new UnmatchedPolicy('forward'),
      new UnmatchedPolicy('bypass'),
      new UnmatchedPolicy({ mode: 'forward' }),
    ]) {
      expect(policy.isHermetic).toBe(false)
      expect(policy.mayAnswer({ host: 'pay.test', port: 443, tls: true })).toBe(false)
      expect(decide(policy, request())).toBeUndefined()
      const moment = { stage: 'relay', destination: { host: 'db.test', port: 5432, tls: false } } as const
      expect(policy.interceptConnection(new Connection(), moment, [])).toBeUndefined()
    }
  })

  it('with warn, lets it pass, and prints what it is once for each method and path, but not for what a page loads of itself', () => {
    const print = vi.spyOn(console, 'warn').mockImplementation(() => undefined)
    const policy = new UnmatchedPolicy({ mode: 'warn', allow: ['https://cdn.test/**'] })
    expect(policy.mayAnswer({ host: 'pay.test', port: 443, tls: true })).toBe(false)
    expect(policy.mayIntercept({ host: 'pay.test', port: 443, tls: true })).toBe(true)
    expect(policy.mayIntercept({ host: 'cdn.test', port: 443, tls: true })).toBe(false)
    const script = [['sec-fetch-dest', 'script']] as const
    for (const parts of [
      {},
      { url: 'https://pay.test/charge?again' },
      { url: 'https://cdn.test/' },
      { url: 'https://pay.test/a.js', fields: script },
    ]) {
      expect(decide(policy, request(parts))).toBeUndefined()
    }
    expect(print.mock.calls).toEqual([[expect.stringContaining('POST https://pay.test/charge matches no rule')]])
    print.mockRestore()
  })

  it.each([
    ['block', false],
    ['fail', true],
    ['error', true],
  ] as const)('with %s, answers with what is wrong, and reports it', async (mode, failsTest) => {
    const exchange = request()
    const response = await answerOf(decide(new UnmatchedPolicy(mode), exchange))

    expect(response.status).toBe(502)
    expect(response.fields).toContainEqual(['x-playwright-mitm-error', 'MITM_UNMATCHED_REQUEST'])
    expect(response.fields).toContainEqual(['content-type', 'text/plain; charset=utf-8'])
    const [error] = exchange.connection.errors
    expect(error).toBeInstanceOf(UnmatchedError)
    expect(error).toMatchObject({ code: 'MITM_UNMATCHED_REQUEST', failsTest })
    expect(exchange.error).toBe(error)
    expect(String(response.body)).toBe(`playwright-mitm: ${error?.message}\n`)
  })

  it('lets a request pass to which a rule was applied, but not for a rule that is for everything', () => {
    const rules = new RuleList()
    const policy = new UnmatchedPolicy('block')
    const one = rules.when({ method: 'POST', url: 'https://pay.test/charge' }).delay(1)
    const all = rules.when('**').delay(1)
    expect(policy.intercept(request(), rules.rules, [all, one])).toBeUndefined()
    expect(policy.intercept(request(), rules.rules, [all])).toMatchObject({
      answer: { kind: 'respond', answeredBy: 'mitm' },
    })
  })

  it('lets pass what is allowed', () => {
    const policy = new UnmatchedPolicy({ mode: 'block', allow: ['https://cdn.test/**', { source: 'server' }] })
    expect(decide(policy, request({ url: 'https://cdn.test/a.js' }))).toBeUndefined()
    expect(decide(policy, request({ connection: connectionBy('http-proxy') }))).toBeUndefined()
    const connection = new ReportingConnection()
    connection.layers.push('socks5')
    expect(decide(policy, request({ connection }))).toBeDefined()
  })

  it('waits for the body where a filter of the allow list looks at it', async () => {
    const policy = new UnmatchedPolicy({ mode: 'block', allow: [{ json: { dry: true } }] })
    const allowed = request({ isComplete: false })
    const decision = policy.intercept(allowed, [], [])
    allowed.request.addBody(Buffer.from('{"dry":true}'))
    allowed.request.finish()
    expect(await decision).toBeUndefined()

    const refused = request({ isComplete: false })
    const other = policy.intercept(refused, [], [])
    refused.request.addBody(Buffer.from('{"dry":'))
    refused.request.finish()
    expect(await answerOf(await other)).toMatchObject({ status: 502 })
  })

  it('answers a preflight, so that the request itself is the one to be told of', async () => {
    const fields = [
      ['origin', 'https://shop.test'],
      ['access-control-request-method', 'PUT'],
    ] as const
    const preflight = request({ method: 'OPTIONS', fields })
    expect(await answerOf(decide(new UnmatchedPolicy('fail'), preflight))).toMatchObject({ status: 204 })
    expect(preflight.connection.errors).toEqual([])

    const sent = request({ method: 'PUT', fields: fields.slice(0, 1) })
    const response = await answerOf(decide(new UnmatchedPolicy('fail'), sent))
    expect(response.fields).toContainEqual(['access-control-allow-origin', 'https://shop.test'])
  })

  it.each<[Unmatched, string, boolean]>([
    ['block', 'pay.test', true],
    [{ mode: 'fail', allow: ['https://pay.test/**'] }, 'pay.test', false],
    [{ mode: 'fail', allow: [{ host: 'pay.test' }] }, 'pay.test', false],
    [{ mode: 'fail', allow: [{ host: /^pay/ }] }, 'pay.test', false],
    [{ mode: 'fail', allow: ['https://pay.test/**'] }, 'other.test', true],
    [{ mode: 'fail', allow: ['https://pay.test/a'] }, 'pay.test', true],
    [{ mode: 'fail', allow: [{ host: 'pay.test', source: 'page' }] }, 'pay.test', true],
    [{ mode: 'fail', allow: [{ host: () => true }] }, 'pay.test', true],
  ])('%j keeps the server of %s from being contacted early: %s', (option, host, expected) => {
    expect(new UnmatchedPolicy(option).mayAnswer({ host, port: 443, tls: false })).toBe(expected)
  })

  it('refuses connections that are not HTTP, unless a rule or the allow list means them', () => {
    const destination = { host: 'db.test', port: 5432, tls: false }
    const relay = { stage: 'relay', destination } as const
    const connection = new Connection()
    const policy = new UnmatchedPolicy('fail')
    const refused = policy.interceptConnection(connection, relay, [])
    expect(refused?.refuse).toMatchObject({
      code: 'MITM_UNMATCHED_REQUEST',
      authority: 'db.test:5432',
      failsTest: true,
    })
    expect(refused?.refuse?.message).toContain("allow: [{ host: 'db.test:5432' }]")
    expect(policy.interceptConnection(connection, { stage: 'tunnel', destination }, [])).toBeUndefined()

    const rules = new RuleList()
    rules.when('**').delay(1)
    rules.when({ host: 'db.test', path: '/' }).delay(1)
    expect(policy.interceptConnection(connection, relay, rules.rules)).toBeDefined()
    rules.when({ host: 'db.test' }).delay(1)
    expect(policy.interceptConnection(connection, relay, rules.rules)).toBeUndefined()
    const allowing = new UnmatchedPolicy({ mode: 'fail', allow: [{ host: 'db.test:5432' }] })
    expect(allowing.interceptConnection(connection, relay, [])).toBeUndefined()
  })

  it.each<[unknown, string]>([
    [
      'stop',
      `Cannot use option "unmatched": it is "stop", expected 'forward', 'warn', 'block' or 'fail' (of MSW: 'bypass', 'warn' or 'error'), or { mode, allow }`,
    ],
    [1, 'Cannot use option "unmatched": it is 1'],
    [{}, 'Cannot use option "unmatched.mode": it is undefined'],
    [{ mode: 'block', deny: [] }, 'Cannot use option "unmatched.deny": it is not an option'],
    [{ mode: 'block', allow: 'a' }, 'Cannot use option "unmatched.allow": it is "a", expected an array of filters'],
    [{ mode: 'block', allow: [{ status: 200 }] }, 'has status in its filter 0, which only a response can tell'],
    [{ mode: 'block', allow: ['cdn.test'] }, 'Cannot use filter: url is "cdn.test"'],
  ])('refuses %j', (option, text) => {
    expect(() => new UnmatchedPolicy(option as Unmatched)).toThrow(text) // as an untyped caller would
  })
})

describe('the text about an unmatched request', () => {
  it('has the nearest rules, a rule to paste, and how to let it through', () => {
    const rules = new RuleList()
    rules.when({ method: 'GET', url: 'https://other.test/a' }).json(1)
    rules.when('**').delay(5)
    rules.when({ method: 'POST', url: 'https://pay.test/charges' }).json({ id: 1 })
    rules.when({ method: 'GET', url: 'https://pay.test/charge' }).json({ id: 2 })
    rules.when({ method: 'POST', url: '**/charge', json: { eur: 42 } }).json(3)

    const lines = textOf(request({ body: '{"eur":41}' }), rules, 'fail')
      .replaceAll(/ \(src.*?:\d+\)/g, ' (here)')
      .split('\n')
    expect(lines).toEqual([
      "POST https://pay.test/charge matches no rule, and unmatched is 'fail'.",
      '',
      'Nearest rules:',
      '  when POST **/charge with json {"eur":42}: answer 200 with application/json (1 octet) (here)',
      '    - json at eur is 41, expected 42',
      '  when POST https://pay.test/charges: answer 200 with application/json (8 octets) (here)',
      '    - url is https://pay.test/charge, expected https://pay.test/charges',
      '  when GET https://pay.test/charge: answer 200 with application/json (8 octets) (here)',
      '    - method is POST, expected GET',
      '',
      'A rule for it:',
      "  mitm.post('https://pay.test/charge').json({})",
      'Or let it through:',
      "  unmatched: { mode: 'fail', allow: ['https://pay.test/**'] }",
      'See "Hermetic suites" in docs/rules.md [MITM_UNMATCHED_REQUEST]',
    ])
  })

  it('says why a rule was passed over though it matches', () => {
    const rules = new RuleList()
    const used = rules.when({ method: 'POST', url: '**/charge' }).json(1).once()
    const exchange = request()
    void rules.intercept(exchange)
    expect(used.isLive).toBe(false)
    expect(textOf(request(), rules)).toContain('    - used up (applied once)')

    const idle = new RuleList()
    idle.when({ method: 'POST', url: '**/charge' })
    expect(textOf(request(), idle)).toContain('    - it does nothing: it has not been told what to do')
  })

  it('says nothing of parts of a body that was not held', () => {
    const rules = new RuleList()
    rules.when({ method: 'PUT', json: {} }).json(1)
    const text = textOf(request({ isComplete: false }), rules)
    expect(text).toContain('    - method is POST, expected PUT')
    expect(text).not.toContain('json cannot be read')
  })
})

describe('suggestedRule()', () => {
  it.each<[ExchangeParts, string]>([
    [{}, "mitm.get('https://api.test/a').json({})"],
    [{ method: 'PROPFIND' }, "mitm.when({ method: 'PROPFIND', url: 'https://api.test/a' }).json({})"],
    [{ method: 'HEAD' }, "mitm.head('https://api.test/a').respond(204)"],
    [{ url: "https://api.test/it's?a=*&b={c}" }, "mitm.get('https://api.test/it\\'s?a=\\\\*&b=\\\\{c\\\\}').json({})"],
    [{ url: `https://api.test/a?q=${'x'.repeat(300)}` }, "mitm.get('https://api.test/a?**').json({})"],
    [{ fields: [['Sec-Fetch-Dest', 'document']] }, "mitm.get('https://api.test/a').respond(200, '<title></title>')"],
    [{ fields: [['Sec-Fetch-Dest', 'image']] }, "mitm.get('https://api.test/a').respond(404)"],
    [
      { method: 'POST', body: '{"query":"query Cart { cart }"}', fields: [['content-type', 'application/json']] },
      "mitm.when({ method: 'POST', url: 'https://api.test/a', graphql: 'Cart' }).json({ data: {} })",
    ],
  ])('%j: %s', (parts, expected) => {
    expect(suggestedRule(exchangeOf(parts))).toBe(expected)
  })
})
