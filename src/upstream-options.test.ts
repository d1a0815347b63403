import { inspect } from 'node:util'

import { expect, test } from 'vitest'

import { TestMitm } from './test-mitm.ts'
import { resolveUpstream, UpstreamProxy } from './upstream-options.ts'
import type { UpstreamOptions } from './upstream-options.ts'

test.each<[string, unknown]>([
  ['"upstream"', 'corp'],
  ['"upstream"', null],
  ['"upstream.certs"', { certs: [] }],
  ['"upstream.ca"', { ca: 'no certificate' }],
  ['"upstream.ca"', { ca: [5] }],
  ['"upstream.rejectUnauthorized"', { rejectUnauthorized: 'no' }],
  ['"upstream.proxy"', { proxy: 'corp:3128' }],
  ['"upstream.proxy"', { proxy: 'ftp://corp' }],
  ['"upstream.proxy"', { proxy: 'socks5://' }],
  ['"upstream.proxy"', { proxy: 5 }],
  ['"upstream.noProxy"', { noProxy: 'a.test' }],
  ['"upstream.noProxy"', { noProxy: [5] }],
  ['"upstream.lookup"', { lookup: '127.0.0.1' }],
  ['upstream.lookup[\\"a.test\\"]', { lookup: { 'a.test': 'b.test' } }],
  ['upstream.lookup[\\"a.test\\"]', { lookup: { 'a.test': [] } }],
])('%s is refused by name: %j', (name, upstream) => {
  // Boundary: what a caller without types may do.
  const resolve = (): unknown => resolveUpstream(upstream as UpstreamOptions)
  expect(resolve).toThrow(expect.objectContaining({ code: 'MITM_INVALID_OPTION' }))
  expect(resolve).toThrow(name)
})

test.each(['ftp://me:hunter2@corp', 'me:hunter2@corp:80', 'https://me:hunter2@', ['http://me:hunter2@corp']])(
  'a proxy that is refused is not shown with its password: %j',
  (proxy) => {
    expect(() => resolveUpstream({ proxy: proxy as string })).toThrow(expect.not.stringContaining('hunter2'))
    expect(() => resolveUpstream({ proxy: proxy as string })).toThrow(
      expect.objectContaining({ code: 'MITM_INVALID_OPTION' }),
    )
  },
)

test('a mitm that is shown, however deeply, does not show user name and password of its proxy', () => {
  const mitm = new TestMitm({ upstream: { proxy: 'https://someone:hunter2@corp.test:3129' } })
  for (const text of [String(mitm), inspect(mitm, { depth: null, showHidden: true }), JSON.stringify(mitm.options)]) {
    expect(text).not.toContain('hunter2')
    expect(text).not.toContain('someone')
  }
  expect(String(mitm.options.upstream.proxy)).toBe('https://corp.test:3129')
})

test.each([
  ['http://corp', { protocol: 'http', host: 'corp', port: 80 }],
  ['https://corp', { protocol: 'https', host: 'corp', port: 443 }],
  ['https://corp:3129', { protocol: 'https', host: 'corp', port: 3129 }],
  ['socks://corp', { protocol: 'socks5', host: 'corp', port: 1080 }],
  ['socks5://corp', { protocol: 'socks5', host: 'corp', port: 1080 }],
  ['socks5h://corp:1', { protocol: 'socks5', host: 'corp', port: 1 }],
  ['http://[::1]:8080', { protocol: 'http', host: '::1', port: 8080 }],
])('the proxy %s', (url, expected) => {
  expect(new UpstreamProxy(new URL(url))).toMatchObject(expected)
})

test('user name and password are percent-decoded; a bare % is one', () => {
  const credentialsOf = (url: string): unknown => new UpstreamProxy(new URL(url)).credentials()
  expect(credentialsOf('http://m%40x:p%3Aw%C3%A4@corp')).toEqual({ user: 'm@x', password: 'p:wä' })
  expect(credentialsOf('http://me:100%@corp')).toEqual({ user: 'me', password: '100%' })
  expect(credentialsOf('socks5://me@corp')).toEqual({ user: 'me', password: '' })
  expect(credentialsOf('http://corp')).toBeUndefined()
})
