import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { Connection } from '../connection.ts'
import { Exchange, HttpRequest } from '../exchange.ts'
import { compileFilter } from './filter.ts'
import type { ExchangeFilter } from './filter.ts'
import { locate } from './request-location.ts'
import { indexKeyOf, RuleIndex } from './rule-index.ts'

function exchangeOf(url: string): Exchange {
  const request = new HttpRequest({ method: 'GET', url, target: '/', httpVersion: 'HTTP/1.1', fields: [] })
  return new Exchange(new Connection(), request)
}

describe('indexKeyOf()', () => {
  it.each<[ExchangeFilter, string | undefined]>([
    ['https://api.test/a', 'href https://api.test/a'],
    ['https://api.test:443/a?b=?', 'href https://api.test/a?b=?'],
    ['https://api.test/**', 'host api.test'],
    ['http://api.test:81/{a,b}', 'host api.test'],
    ['/a/b', 'path /a/b'],
    ['/a?b', 'pathAndQuery /a?b'],
    [{ method: 'GET', url: 'https://api.test/a' }, 'href https://api.test/a'],
    [{ host: 'api.test:8443', path: '/*' }, 'host api.test'],
    ['**/a', 'segment a'],
    ['https://api.test/v1/users/*', 'hostAndSegment api.test/users'],
    ['/a/*/b', 'segment a'],
    [{ host: 'api.test', path: '**/b/*' }, 'hostAndSegment api.test/b'],
    ['**/a*', undefined],
    ['https://*.test/a', 'segment a'],
    ['https://API.test/a', 'segment a'],
    ['https://*.test/{a,b}/c', undefined],
    ['{http,https}://api.test/a', undefined],
    [{ host: '*.test' }, undefined],
    [/a/, undefined],
    [() => true, undefined],
    [{}, undefined],
  ])('of %j', (filter, expected) => {
    const key = indexKeyOf(filter)
    expect(key && `${key.by} ${key.value}`).toBe(expected)
  })
})

const PATHS = [
  '',
  '/',
  '/a',
  '/a/b',
  '/a?x=1',
  '/a%20b',
  '/é',
  '/*',
  '/**',
  '/{a,b}',
  '/a\\*',
  '/a/*',
  '/**/b',
  '/*/a?**',
  '/a/**/b',
]

describe('RuleIndex', () => {
  const host = fc.constantFrom('api.test', 'API.test', 'shop.test', 'api.test:443', 'api.test:81', '[::1]')
  const path = fc.constantFrom(...PATHS)
  const scheme = fc.constantFrom('http', 'https', '**', '{http,https}', 'HTTPS')
  const url = fc.tuple(scheme, host, path).map((parts) => `${parts[0]}://${parts[1]}${parts[2]}`)
  const filter: fc.Arbitrary<ExchangeFilter> = fc.oneof(
    url,
    path.filter((text) => text.startsWith('/')),
    url.map((text) => ({ url: text })),
    host.map((text) => ({ host: text })),
    fc.constantFrom('**', '**/a', '**/b/**', '**a/b', /a/, {}),
  )
  const requested = fc
    .tuple(
      fc.constantFrom('http', 'https'),
      host,
      fc.constantFrom('', '/', '/a', '/a/b', '/b', '/a/x/b', '/a?x=1', '/b/a?x/b', '/a%20b'),
    )
    .map((parts) => `${parts[0]}://${parts[1]}${parts[2]}`)

  it('finds every filter that matches, in their order', () => {
    fc.assert(
      fc.property(fc.array(filter, { maxLength: 20 }), requested, (filters, address) => {
        const index = new RuleIndex(filters, indexKeyOf)
        const found = index.candidates(locate(address))
        const matches = (each: ExchangeFilter): boolean => compileFilter(each).headMatches(exchangeOf(address))
        expect(found.filter(matches)).toEqual(filters.filter(matches))
      }),
      { numRuns: 1000 },
    )
  })

  it('leaves out what is for other places', () => {
    const filters = Array.from({ length: 1000 }, (_, number) => `https://api.test/${number}`)
    const index = new RuleIndex(['**', ...filters, '/7', 'https://shop.test/**'], indexKeyOf)
    expect(index.candidates(locate('https://API.test:443/7'))).toEqual(['**', 'https://api.test/7', '/7'])
    expect(index.candidates(locate('https://shop.test/'))).toEqual(['**', 'https://shop.test/**'])
  })
})
