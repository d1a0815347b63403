import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { Connection } from '../connection.ts'
import { Exchange, HttpRequest } from '../exchange.ts'
import type { DuringOptions } from './limits.ts'
import { RuleList } from './rule-list.ts'
import type { Rule } from './rule.ts'

function exchangeOf(url = 'https://api.test/a'): Exchange {
  const request = new HttpRequest({ method: 'GET', url, target: '/', httpVersion: 'HTTP/1.1', fields: [] })
  return new Exchange(new Connection(), request)
}

/** For each of some calls: whether a rule answered it. */
function answered(rules: RuleList, calls: number): string {
  let seen = ''
  for (let call = 0; call < calls; call++) {
    const intervention = rules.intercept(exchangeOf())
    seen += intervention && 'answer' in intervention ? 'x' : '.'
  }
  return seen
}

describe('once(), times() and after()', () => {
  it.each<[string, (rule: Rule) => Rule, string, number]>([
    ['once', (rule) => rule.once(), 'x.....', 0],
    ['times', (rule) => rule.times(3), 'xxx...', 0],
    ['after', (rule) => rule.after(2), '..xxxx', 2],
    ['after and times, in either order', (rule) => rule.times(2).after(1), '.xx...', 1],
    ['none at all', (rule) => rule.times(0), '......', 0],
    ['the same said twice', (rule) => rule.once().times(1).after(1).after(1), '.x....', 1],
  ])('%s', (_, limit, expected, skipped) => {
    const rules = new RuleList()
    const rule = limit(rules.when('**').respond(200))
    expect(answered(rules, 6)).toBe(expected)
    expect([rule.calls, rule.skipped]).toEqual([expected.split('x').length - 1, skipped])
  })

  it('lets the older rule in force for what they keep a rule from', () => {
    const rules = new RuleList()
    const older = rules.when('**').respond(201)
    rules.when('**').respond(503).after(1).once()
    answered(rules, 3)
    expect(older.calls).toBe(2)
  })
})

describe('probability()', () => {
  const draw = (seed: number | string, calls = 40): string => {
    const rules = new RuleList({ seed })
    rules.when('**').respond(200).probability(0.5)
    return answered(rules, calls)
  }

  it('comes out the same with the same seed, and otherwise with another', () => {
    expect(draw('a test')).toBe(draw('a test'))
    expect(draw('a test')).not.toBe(draw('another test'))
    expect(draw(1)).toMatch(/x.*\..*x/)
  })

  it('applies a rule as often as it says, and counts the others', () => {
    const rules = new RuleList({ seed: 7 })
    const rule = rules.when('**').respond(200).probability(0.2)
    answered(rules, 2000)
    expect(rule.calls).toBeGreaterThan(340)
    expect(rule.calls).toBeLessThan(460)
    expect(rule.calls + rule.skipped).toBe(2000)
  })

  it('of 0 is never, of 1 always', () => {
    const rules = new RuleList()
    const rule = rules.when('**').respond(200).probability(0)
    expect(answered(rules, 20)).not.toContain('x')
    rule.remove()
    rules.when('**').respond(200).probability(1)
    expect(answered(rules, 20)).not.toContain('.')
  })

  it('is not shifted by other rules, whoever was made between', () => {
    const rules = new RuleList({ seed: 3 })
    rules.when('**').respond(200).probability(0.5)
    rules.when('**').rewriteRequest({ headers: {} }).probability(0.5)
    expect(answered(rules, 40)).toBe(draw(3))
  })

  it('is drawn only for what after() has let through, and tells that the seed was used', () => {
    const rules = new RuleList({ seed: 3 })
    rules.when('**').respond(200).after(10).probability(0.5)
    expect(answered(rules, 10)).not.toContain('x')
    expect(rules.drawnSeed).toBeUndefined()
    expect(answered(rules, 40)).toBe(draw(3))
    expect(rules.drawnSeed).toBe(3)
  })
})

describe('during()', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it('applies a rule in its span only, and counts nothing outside of it', () => {
    const rules = new RuleList()
    const rule = rules.when('**').respond(503).during({ afterMs: 100, forMs: 50 }).after(1)
    expect([answered(rules, 2), rule.isLive]).toEqual(['..', false])
    vi.advanceTimersByTime(100)
    expect([answered(rules, 2), rule.isLive]).toEqual(['.x', true])
    vi.advanceTimersByTime(49)
    expect(answered(rules, 1)).toBe('x')
    vi.advanceTimersByTime(1)
    expect([answered(rules, 1), rule.isLive, rule.calls, rule.skipped]).toEqual(['.', false, 2, 1])
  })

  it('keeps a host from being dialled until its span is over', () => {
    const rules = new RuleList()
    const host = { host: 'api.test', port: 443, tls: true }
    rules.when('**').respond(503).during({ afterMs: 100, forMs: 50 })
    expect(rules.mayAnswer(host)).toBe(true)
    vi.advanceTimersByTime(150)
    expect(rules.mayAnswer(host)).toBe(false)
  })

  it('has no end without forMs', () => {
    const rules = new RuleList()
    rules.when('**').respond(503).during({ afterMs: 10 })
    vi.advanceTimersByTime(1e9)
    expect(answered(rules, 1)).toBe('x')
  })
})

describe('limits that cannot be', () => {
  it.each<[string, (rule: Rule) => unknown, string]>([
    ['half a time', (rule) => rule.times(0.5), 'times() of the rule "when **: answer 200" .*: count is 0.5, expected'],
    ['NaN times', (rule) => rule.times(Number.NaN), 'count is NaN'],
    [
      'once after three times',
      (rule) => rule.times(3).once(),
      'once().*: times(3) says already that it is applied 3 times',
    ],
    ['twice after once', (rule) => rule.once().times(2), 'times().*: once() says already that it is applied once'],
    ['after less than nothing', (rule) => rule.after(-1), 'after().*: count is -1'],
    ['after two numbers', (rule) => rule.after(1).after(2), 'after(1) was said before, and now 2'],
    [
      'a probability of 1.5',
      (rule) => rule.probability(1.5),
      'probability().*: it is 1.5, expected a number from 0 to 1',
    ],
    ['a probability of NaN', (rule) => rule.probability(Number.NaN), 'it is NaN'],
    ['two probabilities', (rule) => rule.probability(0.1).probability(0.2), 'probability(0.1) was said before'],
    ['a negative span', (rule) => rule.during({ forMs: -1 }), 'during().*: forMs is -1'],
    ['a span that begins before', (rule) => rule.during({ afterMs: -1 }), 'afterMs is -1'],
    ['a span of NaN', (rule) => rule.during({ forMs: Number.NaN }), 'forMs is NaN'],
    ['a span without limits', (rule) => rule.during({}), 'neither afterMs nor forMs'],
    ['a span in other words', (rule) => rule.during({ ms: 1 } as DuringOptions), '"ms" is not known'],
    ['a number as span', (rule) => rule.during(1 as DuringOptions), 'it is 1, expected { afterMs, forMs }'],
    ['two spans', (rule) => rule.during({ forMs: 1 }).during({ forMs: 2 }), 'from 0 ms on for 1 ms'],
  ])('%s', (_, tell, text) => {
    const rule = new RuleList().when('**').respond(200)
    const pattern = text.replaceAll(/[()*{}]/g, String.raw`\$&`).replaceAll(String.raw`.\*`, '.*')
    const found = expect.objectContaining({
      code: 'MITM_INVALID_RULE',
      message: expect.stringMatching(pattern) as string,
    })
    expect(() => tell(rule)).toThrow(found as Error)
    expect(() => tell(rule)).toThrow(/ \(src\/rules\/limits\.test\.ts:\d+\): /)
  })
})

describe('explain()', () => {
  it('tells the limits, and how far they are', () => {
    const rules = new RuleList({ seed: 5 })
    const rule = rules.when('**').respond(503).during({ forMs: 60_000 }).after(2).probability(1).times(2)
    const text = 'when **: answer 503, from 0 ms on for 60000 ms, after the first 2, with probability 1, 2 times'
    expect(rule.explain()).toBe(`${text}; applied 0 times`)
    answered(rules, 3)
    expect(rule.explain()).toBe(`${text}; applied once, skipped 2 times`)
    answered(rules, 3)
    expect(rule.explain()).toBe(`${text}; applied 2 times, skipped 2 times, used up`)
    rule.remove()
    expect(rule.explain()).toBe(`${text}; applied 2 times, skipped 2 times, removed`)
    expect(String(rule)).toBe(rule.explain())
  })

  it('tells why a rule was passed over', () => {
    const rules = new RuleList()
    const idle = rules.when('**')
    const late = rules.when('**').respond(200).after(1)
    const first = exchangeOf()
    void rules.intercept(first)
    expect(idle.passedOver(first)).toBe('it does nothing yet')
    expect(late.passedOver(first)).toBe('after(1): it was number 1')
    const once = rules.when('**').respond(200).once()
    void rules.intercept(exchangeOf())
    expect(once.passedOver(exchangeOf())).toBe('used up (applied once)')
    expect(late.passedOver(exchangeOf())).toBeUndefined()
    once.remove()
    expect(once.passedOver(exchangeOf())).toBe('it was removed')
  })
})
