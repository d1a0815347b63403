import { describe, expect, it } from 'vitest'

import { Connection } from '../connection.ts'
import { Exchange, HttpRequest } from '../exchange.ts'
import type { Field } from '../exchange.ts'
import { corsFields, isPreflight, preflightAnswer, preflightMethod } from './cors.ts'
import type { CorsOptions, CorsSetting } from './cors.ts'
import { RuleList } from './rule-list.ts'

function exchangeOf(fields: readonly Field[], method = 'GET'): Exchange {
  const head = { method, url: 'https://api.test/a', target: '/a', httpVersion: 'HTTP/1.1', fields }
  return new Exchange(new Connection(), new HttpRequest(head))
}

const fromShop = exchangeOf([['Origin', 'https://shop.test']])

const preflight = (...more: Field[]): Exchange =>
  exchangeOf([['Origin', 'https://shop.test'], ['Access-Control-Request-Method', 'PUT'], ...more], 'OPTIONS')

async function preflightFields(exchange: Exchange, setting?: CorsSetting): Promise<readonly Field[] | undefined> {
  const answer = preflightAnswer(exchange, setting)
  if (answer?.kind !== 'respond') return undefined
  return (await answer.response(exchange)).fields
}

describe('corsFields()', () => {
  it('lets the asking origin read all of a cross-origin answer', () => {
    const fields: readonly Field[] = [
      ['content-type', 'text/plain'],
      ['X-A', '1'],
      ['set-cookie', 'a=b'],
    ]
    expect(corsFields(fromShop, fields, undefined)).toEqual([
      ...fields,
      ['vary', 'origin'],
      ['access-control-allow-origin', 'https://shop.test'],
      ['access-control-allow-credentials', 'true'],
      ['access-control-expose-headers', 'content-type, x-a'],
    ])
  })

  it.each<[string, Exchange, readonly Field[], CorsSetting]>([
    ['a request without an origin', exchangeOf([]), [], undefined],
    ['a same-origin request', exchangeOf([['Origin', 'https://api.test']]), [], undefined],
    ['an answer that says it itself', fromShop, [['Access-Control-Allow-Origin', 'https://b.test']], undefined],
    ['a rule that does not want it', fromShop, [], false],
  ])('leaves %s alone', (_, exchange, fields, setting) => {
    expect(corsFields(exchange, fields, setting)).toBe(fields)
  })

  it('goes by what the rule says', () => {
    expect(corsFields(fromShop, [], { origin: '*', exposeHeaders: ['x-b'] })).toEqual([
      ['vary', 'origin'],
      ['access-control-allow-origin', '*'],
      ['access-control-expose-headers', 'x-b'],
    ])
    expect(corsFields(exchangeOf([]), [], { origin: 'https://b.test', credentials: false })).toEqual([
      ['vary', 'origin'],
      ['access-control-allow-origin', 'https://b.test'],
    ])
  })

  it.each([
    ['accept', 'accept, origin'],
    ['accept, Origin', 'accept, Origin'],
    ['*', '*'],
  ])('adds the origin to what an answer varies by: %s', (before, after) => {
    expect(corsFields(fromShop, [['Vary', before]], undefined)).toContainEqual(['Vary', after])
  })

  it('takes an opaque origin for another one', () => {
    expect(corsFields(exchangeOf([['Origin', 'null']]), [], undefined)).toContainEqual([
      'access-control-allow-origin',
      'null',
    ])
  })
})

describe('a preflight', () => {
  it('is an OPTIONS that asks for a method', () => {
    expect([isPreflight(preflight()), preflightMethod(preflight())]).toEqual([true, 'PUT'])
    expect(isPreflight(exchangeOf([['Origin', 'https://shop.test']], 'OPTIONS'))).toBe(false)
    expect(isPreflight(exchangeOf([['Access-Control-Request-Method', 'PUT']], 'OPTIONS'))).toBe(false)
    expect(isPreflight(exchangeOf(preflight().request.fields, 'POST'))).toBe(false)
  })

  it('is allowed what it asks for', async () => {
    const asked = preflight(
      ['Access-Control-Request-Headers', 'content-type,x-token'],
      ['Access-Control-Request-Private-Network', 'true'],
    )
    expect(await preflightFields(asked)).toEqual([
      ['access-control-allow-origin', 'https://shop.test'],
      ['access-control-allow-credentials', 'true'],
      ['access-control-allow-methods', 'PUT'],
      ['access-control-allow-headers', 'content-type,x-token'],
      ['access-control-allow-private-network', 'true'],
      ['vary', 'origin'],
    ])
  })

  it('is allowed what the rule says', async () => {
    const options: CorsOptions = { origin: '*', methods: ['GET', 'PUT'], headers: ['x-a', 'x-b'], maxAgeSeconds: 60 }
    expect(await preflightFields(preflight(), options)).toEqual([
      ['access-control-allow-origin', '*'],
      ['access-control-allow-methods', 'GET, PUT'],
      ['access-control-allow-headers', 'x-a, x-b'],
      ['access-control-max-age', '60'],
      ['vary', 'origin'],
    ])
    expect(await preflightFields(preflight(), false)).toBeUndefined()
  })

  it('is answered where a rule would answer what it asks for, and does not count', async () => {
    const rules = new RuleList()
    const rule = rules.when({ method: 'PUT', url: 'https://api.test/a' }).json(1).once()
    const answer = (await rules.intercept(preflight()))?.answer
    expect(answer?.kind === 'respond' && (await answer.response(preflight())).status).toBe(204)
    expect(rule.calls).toBe(0)
    rule.cors(false)
    expect(await rules.intercept(preflight())).toBeUndefined()
  })
})

describe('cors()', () => {
  it.each<[string, unknown]>([
    ['true', true],
    ['an unknown key', { origins: '*' }],
    ['a URL with a path', { origin: 'https://a.test/b' }],
    ['credentials for all', { origin: '*', credentials: true }],
    ['a text of methods', { methods: 'GET' }],
    ['a method that is none', { methods: ['GET, PUT'] }],
    ['half a second', { maxAgeSeconds: 0.5 }],
    ['credentials that are none', { credentials: 1 }],
  ])('refuses %s', (_, options) => {
    expect(() => new RuleList().when('**').cors(options as CorsOptions)).toThrow(
      expect.objectContaining({ code: 'MITM_INVALID_RULE' }),
    )
  })

  it('may be called after the answer', async () => {
    const rules = new RuleList()
    rules.when('**').json(1).cors({ origin: '*' })
    const answer = (await rules.intercept(fromShop))?.answer
    const response = answer?.kind === 'respond' ? await answer.response(fromShop) : undefined
    expect(response?.fields).toContainEqual(['access-control-allow-origin', '*'])
  })
})
