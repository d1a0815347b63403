import { describe, expect, it } from 'vitest'

import { locate } from './request-location.ts'
import { compilePathGlob, compileUrlGlob } from './url-glob.ts'

const matches = (glob: string, url: string): boolean => compileUrlGlob('url', glob).matches(locate(url), () => true)

describe('compileUrlGlob()', () => {
  it.each([
    ['https://api.test', 'https://api.test/', true],
    ['https://api.test/', 'https://api.test/', true],
    ['https://api.test', 'https://api.test/a', false],
    ['https://api.test/a', 'https://api.test/a?x=1', false],
    ['https://api.test/a?x=1', 'https://api.test/a?x=1', true],
    ['https://api.test/a?x=1', 'https://api.test/ax=1', false],
    ['https://api.test/*', 'https://api.test/a', true],
    ['https://api.test/*', 'https://api.test/a/b', false],
    ['https://api.test/**', 'https://api.test/a/b?c=d', true],
    ['https://api.test/a/**/b', 'https://api.test/a/b', true],
    ['https://api.test/a/**/b', 'https://api.test/a/c/d/b', true],
    ['https://api.test/a/**/b', 'https://api.test/ab', false],
    ['**/price', 'http://shop.test/v1/price', true],
    ['**/price', 'http://shop.test/v1/prices', false],
    ['**/*.{png,jpg}', 'https://cdn.test/i.jpg', true],
    ['**/*.{png,jpg}', 'https://cdn.test/i.gif', false],
    ['https://{api,pay}.test/**', 'https://pay.test/x', true],
    ['https://api.test/a{,/**}', 'https://api.test/a', true],
    ['https://api.test/a.b', 'https://api.test/axb', false],
    ['https://api.test/\\*', 'https://api.test/*', true],
    ['https://api.test/\\*', 'https://api.test/a', false],
    ['https://api.test/\\{a\\}', 'https://api.test/{a}', true],
    ['*://api.test/**', 'http://api.test/x', true],
    ['**://*.shop.test/**', 'https://a.shop.test/x', true],
    ['**://*.shop.test/**', 'https://evil.test/?next=https://a.shop.test/x', false],
    ['HTTPS://API.test:443/A', 'https://api.test/A', true],
    ['https://api.test/A', 'https://api.test/a', false],
    ['https://api.test/a', 'HTTPS://API.TEST:443/a', true],
    ['https://api.test/a', 'https://api.test:8443/a', false],
    ['https://api.test/ü', 'https://api.test/%C3%BC', true],
    ['/a/*', 'https://any.test/a/b?x=1', true],
    ['/a/*?x=*', 'https://any.test/a/b?x=1', true],
    ['/a/*?x=*', 'https://any.test/a/b', false],
    ['**', 'http://[::1]:8080/', true],
    ['wss://chat.test/**', 'https://chat.test/live', true],
    ['wss://chat.test:443/live', 'https://chat.test/live', true],
    ['wss://chat.test/**', 'http://chat.test/live', false],
    ['ws://chat.test/**', 'http://chat.test/live', true],
    ['{ws,wss}://chat.test/**', 'http://chat.test/live', true],
  ])('%s and %s: %s', (glob, url, expected) => {
    expect(matches(glob, url)).toBe(expected)
  })

  it.each(['', '*', 'api.test/charge', '*.shop.test/**', 'htps://api.test/', '{a', 'a}', 'https://a/{b,{c,d}}'])(
    'refuses %j, which no URL could match',
    (glob) => {
      expect(() => compileUrlGlob('url', glob)).toThrow(expect.objectContaining({ code: 'MITM_INVALID_FILTER' }))
    },
  )

  it('refuses braces that multiply without end', () => {
    expect(() => compileUrlGlob('url', `https://a/${'{a,b}'.repeat(20)}`)).toThrow('at most 1000 alternatives')
  })

  it.each([
    ['https://api.test/**', 'api.test', 443, true],
    ['https://api.test/**', 'API.TEST', 443, true],
    ['https://api.test/**', 'api.test', 8443, false],
    ['https://api.test/**', 'api.test', 80, false],
    ['https://api.test/**', 'other.test', 443, false],
    ['https://api.test:8443/**', 'api.test', 8443, true],
    ['http://api.test/**', 'api.test', 80, true],
    ['http://api.test/**', 'api.test', 443, false],
    ['*://api.test/**', 'api.test', 80, true],
    ['*://api.test/**', 'api.test', 443, true],
    ['*://api.test/**', 'api.test', 81, false],
    ['**://*.shop.test/**', 'a.shop.test', 443, true],
    ['**://*.shop.test/**', 'shop.test', 443, false],
    ['https://{a,b}.test/**', 'b.test', 443, true],
    ['https://{a,b}.test/**', 'c.test', 443, false],
    ['https://api.*/**', 'api.test', 8443, true],
    ['https://[::1]/**', '::1', 443, true],
    ['https://**/price', 'any.test', 1, true],
    ['**/price', 'any.test', 1, true],
    ['/price', 'any.test', 1, true],
  ])('%s may match %s:%i: %s', (glob, host, port, expected) => {
    expect(compileUrlGlob('url', glob).forecast({ host, port, tls: false }) !== 'none').toBe(expected)
  })

  it.each([
    ['**', 'all', true, false],
    ['/**', 'all', true, false],
    ['**/*', 'all', true, false],
    ['*://api.test/**', 'some', false, false],
    ['*://api.test:8080/**', 'none', false, false],
    ['{http,https}://*/**', 'all', false, false],
    ['https://api.test/**', 'some', false, false],
    ['https://api.test', 'some', false, true],
    ['https://api.test/*', 'some', false, true],
    ['https://{api.test/**,api.test/a}', 'some', false, true],
    ['https://**/x', 'some', false, true],
    ['**/price', 'some', false, true],
  ])('%s at api.test:443: %s; for all: %s, needs the path: %s', (glob, forecast, isForAll, needsPath) => {
    const compiled = compileUrlGlob('url', glob)
    expect(compiled.forecast({ host: 'api.test', port: 443, tls: false })).toBe(forecast)
    expect(compiled).toMatchObject({ isForAll, needsPath })
  })
})

describe('compilePathGlob()', () => {
  it('refuses a query and what is no path', () => {
    expect(() => compilePathGlob('path', '/a?b')).toThrow('path is "/a?b", expected a path without query')
    expect(() => compilePathGlob('path', 'a')).toThrow('expected a path')
  })
})
