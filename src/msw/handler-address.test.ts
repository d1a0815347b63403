import { matchRequestUrl as match2 } from 'msw-2'
import { matchRequestUrl as match3 } from 'msw-3'
import { describe, expect, it } from 'vitest'

import { locate } from '../rules/request-location.ts'
import { addressOf } from './handler-address.ts'

const PATHS: readonly (string | RegExp)[] = [
  'https://api.test/user',
  'https://API.test/User',
  'https://api.test/user/',
  'https://api.test/user/:id',
  'https://api.test/user/:id/orders',
  'https://api.test/user/:id?',
  'https://api.test/:a/:b',
  'https://api.test/files/*',
  'https://api.test/files/:path*',
  'https://api.test/files/:path+',
  'https://api.test',
  'https://api.test/',
  'https://api.test:8443/user',
  'https://api.test:443/user',
  'http://api.test:80/user',
  'https://*.test/user',
  'https://:host/user',
  'http*://api.test/user',
  '*/user',
  '*/user/:id',
  '*',
  '/user',
  '/user/:id',
  'https://api.test/user?page=1',
  'https://api.test/user#top',
  'https://api.test/a%20b',
  'https://api.test/(user|order)',
  'https://api.test/user.json',
  /\/user$/,
  /^https:\/\/api\.test\//g,
  /order/y,
  /USER/i,
]

const URLS: readonly string[] = [
  'https://api.test/user',
  'https://api.test/user/',
  'https://api.test/USER',
  'https://api.test/user/7',
  'https://api.test/user/7/orders',
  'https://api.test/user?page=1',
  'https://api.test/order',
  'https://api.test/',
  'https://api.test/files/a/b.txt',
  'https://api.test/a%20b',
  'https://api.test/us%65r',
  'https://api.test/x/../user',
  'https://api.test/user.json',
  'https://api.test:8443/user',
  'http://api.test/user',
  'https://other.test/user',
]

const BASE_URL = 'https://api.test'

describe('addressOf()', () => {
  it.each(PATHS)('passes nothing over that MSW would mean by %s', (path) => {
    const address = addressOf(path)
    for (const url of URLS) {
      for (const match of [match2, match3]) {
        const isMeant = ((): boolean => {
          try {
            return match(new URL(url), path, BASE_URL).matches
          } catch {
            return false // a syntax that this major has not
          }
        })()
        if (!isMeant) continue
        expect(address.means(locate(url)), url).toBe(true)
        const { hostname, port, protocol } = new URL(url)
        const tls = protocol === 'https:'
        expect(address.mayMatch({ host: hostname, port: Number(port) || (tls ? 443 : 80), tls }), url).toBe(true)
      }
    }
  })

  it.each([
    ['https://api.test/user', 'https://other.test/user'],
    ['https://api.test/user', 'https://api.test/order'],
    ['https://api.test/user/:id', 'https://api.test/order/7'],
    ['https://api.test/:id/orders', 'https://api.test/7/items'],
    ['https://api.test:8443/user', 'https://api.test/user'],
    ['/user/:id', 'https://api.test/order/7'],
    [/\/user$/g, 'https://api.test/order?/user'],
  ])('tells without asking MSW that %s does not mean %s', (path, url) => {
    const address = addressOf(path)
    // Twice: a RegExp must not remember.
    for (let turn = 0; turn < 2; turn++) expect(address.means(locate(url))).toBe(false)
  })

  it('knows the only host that a path can mean, and says of others that it is not theirs', () => {
    expect(addressOf('https://API.test/user').host).toBe('api.test')
    expect(addressOf('https://api.test/user').mayMatch({ host: 'api.test', port: 443, tls: true })).toBe(true)
    expect(addressOf('https://api.test/user').mayMatch({ host: 'api.test', port: 8443, tls: true })).toBe(false)
    expect(addressOf('https://api.test/user').mayMatch({ host: 'cdn.test', port: 443, tls: true })).toBe(false)
    for (const path of ['/user', '*', 'https://*.test/', /user/, () => true])
      expect(addressOf(path).host).toBeUndefined()
  })
})
