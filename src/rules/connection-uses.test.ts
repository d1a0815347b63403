import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { Connection } from '../connection.ts'
import { Exchange, HttpRequest } from '../exchange.ts'
import {
  certExpired,
  connectReset,
  connectStatus,
  latency,
  network,
  refuseConnection,
  resetPeer,
  tlsAlert,
  tlsDelay,
  tlsReset,
} from '../faults/faults.ts'
import type { ConnectionMoment } from '../middleware.ts'
import { RuleList } from './rule-list.ts'

const API = { host: 'api.test', port: 443, tls: true }

/** The names of the faults that act on a connection at a moment. */
function faultsAt(
  rules: RuleList,
  connection: Connection,
  stage: ConnectionMoment['stage'],
  destination = API,
): string[] | undefined {
  return rules.interceptConnection(connection, { stage, destination })?.faults?.faults.map(({ fault }) => fault.name)
}

function byBrowser(): Connection {
  const connection = new Connection()
  connection.layers.push('socks5')
  connection.isGreased = true
  return connection
}

function exchangeOn(connection: Connection): Exchange {
  const head = { method: 'GET', url: 'https://api.test/a', target: '/a', httpVersion: 'HTTP/1.1', fields: [] }
  return new Exchange(connection, new HttpRequest(head))
}

describe('a connection', () => {
  it('is asked at each stage for the faults of that stage, and counted once', () => {
    const rules = new RuleList()
    const rule = rules.when({ host: 'api.test' }).fault(connectStatus(503)).fault(tlsReset()).fault(resetPeer())
    const connection = new Connection()
    expect(faultsAt(rules, connection, 'tunnel')).toEqual(['connectStatus'])
    expect(faultsAt(rules, connection, 'tls')).toEqual(['tlsReset'])
    expect(faultsAt(rules, connection, 'relay')).toEqual(['resetPeer'])
    expect(rule.calls).toBe(1)
    expect(faultsAt(rules, new Connection(), 'tunnel', { ...API, host: 'other.test' })).toBeUndefined()
    expect(rule.calls).toBe(1)
  })

  it('fails by the newest rule alone, and is late by all', () => {
    const rules = new RuleList()
    const oldest = rules.when({}).fault(tlsReset())
    rules.when({}).fault(certExpired())
    rules.when({}).fault(tlsDelay({ ms: 1 }))
    expect(faultsAt(rules, new Connection(), 'tls')).toEqual(['certExpired', 'tlsDelay'])
    expect(oldest.calls).toBe(0)
  })

  it('is kept from its server only as often as the rule says', () => {
    const rules = new RuleList()
    const rule = rules.when({ host: 'api.test' }).fault(refuseConnection()).after(1).once()
    const seen = Array.from({ length: 3 }, () => faultsAt(rules, new Connection(), 'tunnel')?.join())
    expect(seen).toEqual([undefined, 'refuseConnection', undefined])
    expect([rule.calls, rule.skipped]).toEqual([1, 1])
  })

  it('that was let through is not kept from its server by its exchanges', () => {
    const rules = new RuleList()
    const rule = rules.when({ host: 'api.test' }).fault(refuseConnection()).after(1)
    const connection = new Connection()
    faultsAt(rules, connection, 'tunnel')
    expect(rules.intercept(exchangeOn(connection))).toBeUndefined()
    expect([rule.calls, rule.skipped]).toEqual([0, 1])
  })

  it('has exchanges that see the other acts of the rule only', () => {
    const rules = new RuleList()
    const rule = rules
      .when({ host: 'api.test' })
      .fault(certExpired())
      .rewriteRequest({ headers: { a: 'b' } })
    const connection = new Connection()
    faultsAt(rules, connection, 'tunnel')
    faultsAt(rules, connection, 'tls')
    const intervention = rules.intercept(exchangeOn(connection))
    expect(intervention).toMatchObject({ rewriteRequest: [{}], faults: { faults: [] } })
    expect(rule.calls).toBe(2)
  })

  it('is late by a link without counting, which is for exchanges', () => {
    const rules = new RuleList()
    const rule = rules
      .when({})
      .fault(network({ downKbps: 1, upKbps: 1, rttMs: 2 }))
      .once()
    const connection = new Connection()
    expect(faultsAt(rules, connection, 'tunnel')).toEqual(['network'])
    expect(faultsAt(rules, connection, 'tls')).toEqual(['network'])
    expect(rule.calls).toBe(0)
    expect(rules.intercept(exchangeOn(connection))).toMatchObject({
      faults: { faults: [{ fault: { name: 'network' } }] },
    })
    expect(rule.calls).toBe(1)
  })

  it('that was there before fails by its exchanges', () => {
    const rules = new RuleList()
    const connection = new Connection()
    rules.when({ host: 'api.test' }).fault(refuseConnection())
    expect(rules.intercept(exchangeOn(connection))).toMatchObject({
      faults: { faults: [{ fault: { name: 'refuseConnection' } }] },
    })
  })

  it('keeps its faults until the rule is removed', () => {
    const rules = new RuleList()
    const rule = rules.when({}).fault(connectReset()).once()
    const feed = rules.interceptConnection(new Connection(), { stage: 'tunnel', destination: API })?.faults
    const changed = vi.fn<() => void>()
    feed?.subscribe(changed)
    expect([rule.isLive, feed?.faults.length]).toEqual([false, 1])
    rule.remove()
    expect([changed.mock.calls.length, feed?.faults.length]).toEqual([1, 0])
  })

  it('reports a function of the filter that throws, and passes the rule over', () => {
    const rules = new RuleList()
    rules
      .when({
        host: () => {
          throw new Error('oops')
        },
      })
      .fault(tlsReset())
    const reported: string[] = []
    const connection = new Connection()
    connection.report = ({ code }) => reported.push(code)
    expect(faultsAt(rules, connection, 'tls')).toBeUndefined()
    expect(reported).toEqual(['MITM_RULE_FAILED'])
  })
})

describe('a handshake that a browser tries again by itself', () => {
  beforeEach(() => {
    vi.useFakeTimers()
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it('is broken once more without being counted', () => {
    const rules = new RuleList()
    const rule = rules.when({ host: 'api.test' }).fault(tlsReset()).once()
    const seen = Array.from({ length: 3 }, () => faultsAt(rules, byBrowser(), 'tls')?.join())
    expect(seen).toEqual(['tlsReset', 'tlsReset', undefined])
    expect(rule.calls).toBe(1)
  })

  it('is another one for other hosts, other clients, and after half a second', () => {
    const rules = new RuleList()
    rules.when({}).fault(tlsReset()).once()
    expect(faultsAt(rules, byBrowser(), 'tls')).toEqual(['tlsReset'])
    expect(faultsAt(rules, byBrowser(), 'tls', { ...API, host: 'other.test' })).toBeUndefined()
    expect(faultsAt(rules, new Connection(), 'tls')).toBeUndefined()
    vi.advanceTimersByTime(501)
    expect(faultsAt(rules, byBrowser(), 'tls')).toBeUndefined()
  })

  it('is none by a client that is no browser, nor after an alert that browsers take for an answer', () => {
    const rules = new RuleList()
    rules.when({}).fault(tlsReset()).once()
    const request = byBrowser()
    request.isGreased = false
    expect(faultsAt(rules, request, 'tls')).toEqual(['tlsReset'])
    expect(faultsAt(rules, byBrowser(), 'tls')).toBeUndefined()

    rules.when({}).fault(tlsAlert('bad_certificate')).once()
    expect(faultsAt(rules, byBrowser(), 'tls')).toEqual(['tlsAlert'])
    expect(faultsAt(rules, byBrowser(), 'tls')).toBeUndefined()
  })

  it('is none where a certificate is bad, nor once the rule has gone', () => {
    const rules = new RuleList()
    rules.when({}).fault(certExpired()).once()
    expect(faultsAt(rules, byBrowser(), 'tls')).toEqual(['certExpired'])
    expect(faultsAt(rules, byBrowser(), 'tls')).toBeUndefined()
    const rule = rules.when({}).fault(tlsReset()).once()
    expect(faultsAt(rules, byBrowser(), 'tls')).toEqual(['tlsReset'])
    rule.remove()
    expect(faultsAt(rules, byBrowser(), 'tls')).toBeUndefined()
  })
})

describe('a rule with a fault for connections', () => {
  it('tells that there is one, unless connections are only late by it', () => {
    const told: string[] = []
    const rules = new RuleList({ onConnectionFault: (rule) => told.push(rule.filter.text) })
    const rule = rules
      .when({ host: 'a.test' })
      .fault(latency({ ms: 1 }))
      .fault(network('Slow 4G'))
    expect(told).toEqual([])
    rule.fault(tlsReset())
    rules.when({ method: 'GET', url: '**/b' }).fault(refuseConnection())
    rules.when({ host: 'c.test' }).sequence(tlsReset(), certExpired())
    rules.when({ host: 'd.test' }).fault(tlsDelay({ ms: 1 }))
    expect(told).toEqual(
      ['a', 'c', 'd'].flatMap((name) => [`any request with host ${name}.test`, ...(name === 'a' ? ['GET **/b'] : [])]),
    )
  })

  it('is refused when its filter needs a request', () => {
    for (const fault of [tlsReset(), certExpired(), connectReset(), tlsDelay({ ms: 1 })]) {
      expect(() => new RuleList().when({ method: 'POST', url: 'https://api.test/a' }).fault(fault)).toThrow(
        new RegExp(
          String.raw`^Cannot use fault\(\) of the rule "when POST .*" \(src/rules/connection-uses\.test\.ts:\d+\): ` +
            `${fault.name} acts before there is a request, when the method, url of the filter cannot be known; ` +
            `expected a filter such as { host: 'pay.test' } or 'https://pay.test/\\*\\*'`,
        ),
      )
    }
    expect(() => new RuleList().when({ method: 'POST', url: '**' }).fault(network('Slow 4G'))).not.toThrow()
    expect(() => new RuleList().when('https://api.test/**').fault(tlsReset())).not.toThrow()
  })

  it('keeps servers from being contacted', () => {
    const rules = new RuleList()
    const rule = rules.when({ host: 'api.test' }).fault(certExpired())
    expect([rules.mayAnswer(API), rules.mayAnswer({ ...API, host: 'other.test' })]).toEqual([true, false])
    rule.remove()
    expect(rules.mayAnswer(API)).toBe(false)
  })
})
