import { describe, expect, it } from 'vitest'

import * as faults from '../faults/faults.ts'
import { RuleList } from './rule-list.ts'
import type { Rule } from './rule.ts'
import type { ExchangeFilter } from './filter.ts'

const PINNED = ['pinned.test', '::1']

function when(filter: ExchangeFilter): Rule {
  // On port 8443, and on no other, TLS of anybody is passed through.
  return new RuleList({ isPassedThrough: (host, port) => PINNED.includes(host) || port === 8443 }).when(filter)
}

describe('a rule for what is passed through', () => {
  it.each<[string, ExchangeFilter]>([
    ['a URL', 'https://pinned.test/charge'],
    ['a pattern of one host', 'https://pinned.test/**'],
    ['a host without a path', 'https://pinned.test'],
    ['a url among others', { method: 'POST', url: 'https://pinned.test/**' }],
    ['an address', 'https://[::1]/a'],
    ['a port', 'https://api.test:8443/**'],
  ])('cannot look into it, and says so at once: %s', (_, filter) => {
    const acts: ((rule: Rule) => Rule)[] = [
      (rule) => rule.respond(200),
      (rule) => rule.rewriteResponse({ status: 201 }),
      (rule) => rule.fault(faults.status(503)),
      (rule) => rule.sequence(503),
    ]
    for (const act of acts) {
      expect(() => act(when(filter))).toThrow(expect.objectContaining({ code: 'MITM_INVALID_RULE' }))
      expect(() => act(when(filter))).toThrow(/passed through .*expected faults of dialling, cuts or paces/)
    }
  })

  it.each<[string, ExchangeFilter]>([
    ['a URL', 'https://pinned.test/**'],
    ['a host', { host: 'pinned.test' }],
    ['host and port', { host: 'api.test:8443' }],
  ])('cannot change its handshake: %s', (_, filter) => {
    for (const fault of [faults.certExpired(), faults.tlsVersion('TLSv1.2'), faults.tlsRequireClientCertificate()]) {
      expect(() => when(filter).fault(fault)).toThrow(expect.objectContaining({ code: 'MITM_INVALID_RULE' }))
    }
  })

  it('may cut it, slow it down, refuse it, and break its handshake', () => {
    for (const fault of [
      faults.resetPeer(),
      faults.network('Slow 3G'),
      faults.refuseConnection(),
      faults.connectStatus(403),
      faults.tlsAlert(40),
      faults.tlsDelay({ ms: 1 }),
    ]) {
      expect(() => when('https://pinned.test/**').fault(fault)).not.toThrow()
    }
  })

  it.each<[string, ExchangeFilter]>([
    ['it may be plain HTTP', { host: 'pinned.test' }],
    ['it is plain HTTP', 'http://pinned.test/**'],
    ['it is for others too', 'https://*.test/**'],
    ['it is for others too, by braces', 'https://{pinned,api}.test/**'],
    ['it is for everything', '**'],
    ['it is a RegExp', /pinned/],
    ['it is a function', () => true],
    ['it is another host', 'https://api.test/**'],
    ['only another port is passed through', 'https://api.test:9443/**'],
  ])('is taken where it is not certain: %s', (_, filter) => {
    expect(() => when(filter).respond(200)).not.toThrow()
  })
})
