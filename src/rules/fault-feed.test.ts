import { describe, expect, it, vi } from 'vitest'

import { Connection } from '../connection.ts'
import { Exchange, HttpRequest } from '../exchange.ts'
import { noteFault } from '../fault-record.ts'
import type { Fault, FaultFeed, PacePart } from '../fault.ts'
import { bandwidth, certExpired, latency, limitData, refuseConnection, resetPeer } from '../faults/faults.ts'
import { RuleList } from './rule-list.ts'

function exchangeOf(url = 'https://api.test/a'): Exchange {
  const request = new HttpRequest({ method: 'GET', url, target: '/', httpVersion: 'HTTP/1.1', fields: [] })
  return new Exchange(new Connection(), request)
}

function feedOf(rules: RuleList, exchange = exchangeOf()): FaultFeed {
  const intervention = rules.intercept(exchange)
  if (!intervention || intervention instanceof Promise || !intervention.faults) throw new Error('no faults')
  return intervention.faults
}

const names = (feed: FaultFeed): string[] => feed.faults.map(({ fault }) => fault.name)

function paceOf({ parts }: Fault): PacePart {
  const part = parts.find((each): each is PacePart => each.stage === 'pace')
  if (!part) throw new Error('no pace')
  return part
}

describe('the faults of an exchange', () => {
  it('are those of all rules that are applied, the oldest first', () => {
    const rules = new RuleList()
    rules.when('**').fault(latency({ ms: 1 }))
    rules.when('**/b').fault(resetPeer())
    rules
      .when('**')
      .fault(bandwidth({ kbps: 1 }))
      .fault(limitData({ bytes: 1 }))
    expect(names(feedOf(rules))).toEqual(['latency', 'bandwidth', 'limitData'])
  })

  it('come and go with their rules while it runs, and those that stay are the same things', () => {
    const rules = new RuleList()
    const rule = rules
      .when('**')
      .fault(latency({ ms: 1 }))
      .once()
    const other = rules.when('**').fault(bandwidth({ kbps: 1 }))
    const feed = feedOf(rules)
    const [first] = feed.faults
    const changed = vi.fn<() => void>()
    const stop = feed.subscribe(changed)
    rule.fault(limitData({ bytes: 1 }))
    expect([changed.mock.calls.length, names(feed)]).toEqual([1, ['latency', 'limitData', 'bandwidth']])
    expect(feed.faults[0]).toBe(first)
    other.remove()
    expect([changed.mock.calls.length, names(feed)]).toEqual([2, ['latency', 'limitData']])
    rules.clear()
    expect([changed.mock.calls.length, names(feed)]).toEqual([3, []])
    stop()
    rule.fault(latency({ ms: 2 }))
    expect(changed).toHaveBeenCalledTimes(3)
  })

  it('of a rule that was told to do so later, appear in the exchanges that it was applied to', () => {
    const rules = new RuleList()
    const rule = rules.when('**').rewriteRequest({ headers: {} })
    const feed = feedOf(rules)
    expect(names(feed)).toEqual([])
    rule.fault(resetPeer({ afterBytes: 1 }))
    expect(names(feed)).toEqual(['resetPeer'])
  })

  it('share the pace of a link, and have a pace of a message for themselves', () => {
    const link = bandwidth({ kbps: 1 })
    const message: Fault = { ...link, parts: [{ ...paceOf(link), scope: 'message' }] }
    const rules = new RuleList()
    rules.when('**').fault(link).fault(message)
    const [one, other] = [feedOf(rules), feedOf(rules)].map((feed) => feed.faults)
    expect(one?.[0]?.paceOf(paceOf(link))).toBe(other?.[0]?.paceOf(paceOf(link)))
    expect(one?.[1]?.paceOf(paceOf(message))).not.toBe(other?.[1]?.paceOf(paceOf(message)))
    const others = new RuleList()
    others.when('**').fault(link)
    expect(feedOf(others).faults[0]?.paceOf(paceOf(link))).not.toBe(one?.[0]?.paceOf(paceOf(link)))
  })

  it('draw from the seed, each exchange from numbers of its own', () => {
    const draws = (): number[] => {
      const rules = new RuleList({ seed: 'a' })
      rules.when('**').fault(latency({ ms: 1 }))
      const [first, second] = [feedOf(rules), feedOf(rules)]
      expect(rules.drawnSeed).toBeUndefined()
      // In the other order: what one draws is not what the other has left.
      const later = second.faults[0]?.random() ?? 0
      expect(rules.drawnSeed).toBe('a')
      return [first.faults[0]?.random() ?? 0, first.faults[0]?.random() ?? 0, later]
    }
    expect(draws()).toEqual(draws())
    expect(new Set(draws()).size).toBe(3)
  })

  it('that act before there is a request are none, but for those that keep a new connection from its server', () => {
    const rules = new RuleList()
    rules.when({ host: 'api.test' }).fault(certExpired())
    expect(rules.intercept(exchangeOf())).toBeUndefined()
    const rule = rules.when({ method: 'GET', url: 'https://api.test/a' }).fault(refuseConnection())
    expect([names(feedOf(rules)), rule.calls]).toEqual([['refuseConnection'], 1])
  })

  it('that keep from the server leave older rules nothing', () => {
    const rules = new RuleList()
    const older = rules.when('**').respond(200)
    rules.when('**').fault(refuseConnection())
    const intervention = rules.intercept(exchangeOf())
    expect(intervention).not.toHaveProperty('answer')
    expect(older.calls).toBe(0)
  })

  it('are told by their rule when they have acted, also those of exchanges that are over', () => {
    const rules = new RuleList()
    const rule = rules.when('**').fault(latency({ ms: 1 }))
    const text = rule.explain()
    const [one, other] = [exchangeOf(), exchangeOf()]
    const fault = feedOf(rules, one).faults[0]?.fault
    feedOf(rules, other)
    if (!fault) throw new Error('no fault')
    expect(rule.explain()).toBe(text.replace('0 times', '2 times'))
    noteFault(one.connection, fault, one)
    rules.exchangeEnded(one)
    noteFault(other.connection, fault, other)
    expect(rule.explain()).toBe(`${text.replace('0 times', '2 times')}; acted: ${fault.text} 2 times`)
    rules.exchangeEnded(other)
    rules.exchangeEnded(other)
    expect(rule.explain()).toContain(`${fault.text} 2 times`)
  })
})

describe('an exchange that a browser sends again by itself', () => {
  it('is not counted: the rule is live again at once, and does the same to the next one', () => {
    const rules = new RuleList()
    const rule = rules.when('**').fault(resetPeer()).once()
    const older = rules.when('**').rewriteRequest({ headers: {} })
    const exchange = exchangeOf()
    const feed = feedOf(rules, exchange)
    expect([rule.isLive, rule.calls]).toEqual([false, 1])
    feed.notCounted?.()
    feed.notCounted?.()
    expect([rule.isLive, rule.calls, older.calls]).toEqual([true, 0, 0])
    expect(exchange.rules).toEqual([
      `${older.describe()} (not counted: the browser sends it again)`,
      `${rule.describe()} (not counted: the browser sends it again)`,
    ])
    expect([names(feedOf(rules)), rule.calls, rule.isLive]).toEqual([['resetPeer'], 1, false])
  })

  it('has its step of a sequence, and its chance, again', () => {
    const rules = new RuleList({ seed: 1 })
    rules.when('**').sequence(resetPeer(), resetPeer({ afterBytes: 1 }))
    const first = exchangeOf()
    const feed = feedOf(rules, first)
    const drawn = feed.faults[0]?.random()
    const secondFeed = feedOf(rules)
    feed.notCounted?.()
    const again = feedOf(rules)
    expect([feed, secondFeed, again].map((each) => each.faults[0]?.fault.text)).toEqual([
      resetPeer().text,
      resetPeer({ afterBytes: 1 }).text,
      resetPeer().text,
    ])
    expect(again.faults[0]?.random()).toBe(drawn)
  })

  it('counts among those that after() lets pass only once', () => {
    const rules = new RuleList()
    const late = rules.when('**').rewriteRequest({ headers: {} }).after(1)
    rules.when('**').fault(latency({ ms: 1 }))
    feedOf(rules).notCounted?.()
    expect(late.skipped).toBe(0)
    feedOf(rules)
    expect([late.skipped, late.calls]).toEqual([1, 0])
    feedOf(rules)
    expect([late.skipped, late.calls]).toEqual([1, 1])
  })
})
