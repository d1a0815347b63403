import { describe, expect, it } from 'vitest'

import { connectionBy, exchangeOf } from '../testing/exchanges.ts'
import { baseUrlOf } from './base-url.ts'

describe('baseUrlOf()', () => {
  const URL_OF_REQUEST = 'https://api.test/users'

  it.each<[string, Readonly<Record<string, string>>, string | undefined]>([
    ['a page that is loaded', { 'sec-fetch-mode': 'navigate', referer: 'https://other.test/' }, 'https://api.test'],
    ['a page that is loaded in the clear', { 'upgrade-insecure-requests': '1' }, 'https://api.test'],
    ['its origin', { origin: 'https://shop.test:8443' }, 'https://shop.test:8443'],
    ['its referer', { referer: 'https://shop.test/cart?a=1' }, 'https://shop.test'],
    ['the same origin, without a referer', { 'sec-fetch-site': 'same-origin' }, 'https://api.test'],
    ['no origin that it tells', { origin: 'null' }, 'https://base.test'],
    ['nothing', {}, 'https://base.test'],
  ])('is that of %s', (_, headers, expected) => {
    const exchange = exchangeOf({ url: URL_OF_REQUEST, fields: Object.entries(headers) })
    expect(baseUrlOf(exchange, 'https://base.test')).toBe(expected)
  })

  it('is the own one of a page that tells nothing, and none of a program, where there is no base URL', () => {
    const parts = { url: URL_OF_REQUEST, fields: [['Host', 'api.test']] as const }
    expect(baseUrlOf(exchangeOf({ ...parts, connection: connectionBy('browser') }), undefined)).toBe('https://api.test')
    expect(baseUrlOf(exchangeOf({ ...parts, connection: connectionBy('http-proxy') }), undefined)).toBeUndefined()
  })
})
