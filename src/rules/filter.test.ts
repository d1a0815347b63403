import { gzipSync } from 'node:zlib'

import { describe, expect, it } from 'vitest'

import { HttpResponse } from '../exchange.ts'
import { exchangeOf } from '../testing/exchanges.ts'
import type { ExchangeParts } from '../testing/exchanges.ts'
import { compileFilter } from './filter.ts'
import type { ExchangeFilter } from './filter.ts'

type Given = ExchangeParts

const misses = (filter: ExchangeFilter, given?: Given): readonly string[] =>
  compileFilter(filter).misses(exchangeOf(given))

describe('compileFilter()', () => {
  it.each<[string, ExchangeFilter, Given]>([
    ['a pattern', 'https://api.test/*', {}],
    ['a RegExp on the URL', /\/a$/, {}],
    ['a RegExp with memory', /\/a$/g, {}],
    ['a function', ({ request }) => request.method === 'GET', {}],
    ['nothing', {}, {}],
    ['a method in any case', { method: 'post' }, { method: 'POST' }],
    ['a method as RegExp', { method: /^P/ }, { method: 'PUT' }],
    ['a matcher', { method: expect.stringContaining('U') }, { method: 'PUT' }],
    ['a function for a value', { path: (path: string) => path === '/a' }, {}],
    ['a host on any port', { host: 'api.test' }, { url: 'http://API.test:81/' }],
    ['a host and port', { host: 'api.test:443' }, {}],
    ['a host pattern', { host: '*.test' }, {}],
    ['an IPv6 host', { host: '[::1]:80' }, { url: 'http://[::1]/' }],
    ['a host as RegExp', { host: /^api\.test$/ }, {}],
    ['a path pattern', { path: '/*' }, { url: 'https://api.test/a?x=1' }],
    ['a query subset', { query: { page: 2, q: /^x/ } }, { url: 'https://api.test/?page=2&q=xy&z=1' }],
    ['a query as text', { query: 'a=1&b=2' }, { url: 'https://api.test/?b=2&c=3&a=1' }],
    ['one of several values', { query: { id: '2' } }, { url: 'https://api.test/?id=1&id=2' }],
    ['several values', { query: { id: ['1', '2'] } }, { url: 'https://api.test/?id=1&id=2' }],
    ['an absent parameter', { query: { id: undefined } }, {}],
    ['a query matcher', { query: expect.objectContaining({ a: '1' }) }, { url: 'https://api.test/?a=1&b=2' }],
    ['headers in any case', { headers: { 'x-ID': '1' } }, { fields: [['X-Id', '1']] }],
    [
      'a header list',
      { headers: { accept: 'a, b' } },
      {
        fields: [
          ['Accept', 'a'],
          ['Accept', 'b'],
        ],
      },
    ],
    ['an absent header', { headers: { cookie: undefined } }, {}],
    ['a body as text', { body: 'hi' }, { body: 'hi' }],
    ['an empty body', { body: '' }, {}],
    ['a body as octets', { body: Buffer.from([1, 255]) }, { body: Buffer.from([1, 255]) }],
    ['a body as RegExp', { body: /h./ }, { body: 'hi' }],
    ['a JSON subset', { json: { a: 1 } }, { body: '{"a":1,"b":2}' }],
    ['JSON that is falsy', { json: 0 }, { body: '0' }],
    ['JSON null', { json: null }, { body: 'null' }],
    [
      'JSON in gzip',
      { json: { a: expect.any(Number) } },
      { body: gzipSync('{"a":1}'), fields: [['content-encoding', 'gzip']] },
    ],
    ['a form', { form: { name: 'a b' } }, { body: 'name=a+b&x=1' }],
    ['a version', { protocol: 'http/1.1' }, {}],
    ['a version by another name', { protocol: 'h2' }, { httpVersion: 'HTTP/2.0' }],
  ])('matches by %s', (_, filter, given) => {
    const compiled = compileFilter(filter)
    const exchange = exchangeOf(given)
    expect(compiled.misses(exchange)).toEqual([])
    expect(compiled.misses(exchange)).toEqual([]) // a second time: nothing is remembered
    expect(compiled.headMatches(exchange) && compiled.restMatches(exchange)).toBe(true)
  })

  it.each<[ExchangeFilter, Given, readonly string[]]>([
    [{ method: 'POST', host: 'b.test' }, {}, ['method is GET, expected POST', 'host is api.test, expected b.test']],
    ['https://api.test/b', {}, ['url is https://api.test/a, expected https://api.test/b']],
    [{ host: 'api.test:80' }, {}, ['host is api.test, expected api.test:80']],
    [{ path: '/b' }, {}, ['path is /a, expected /b']],
    [{ protocol: 'http/2' }, {}, ['protocol is HTTP/1.1, expected http/2']],
    [{ query: { id: '1' } }, {}, ['query at id is absent, expected "1"']],
    [{ query: { id: '3' } }, { url: 'http://a/?id=1&id=2' }, ['query at id is ["1","2"], expected "3"']],
    [{ headers: { a: undefined } }, { fields: [['A', 'x']] }, ['headers at a is "x", expected none']],
    [{ body: 'a' }, { body: 'b' }, ['body is "b", expected "a" (differs at offset 0)']],
    [{ json: { eur: 42 } }, { body: '{"eur":41}' }, ['json at eur is 41, expected 42']],
    [{ status: 500 }, {}, ['status is not known (no response), expected 500']],
    [{ json: {} }, { body: '{}', isComplete: false }, ['json cannot be read: the body has not come whole']],
    [
      { form: { a: '1' } },
      { body: 'a=1', fields: [['content-type', 'application/json']] },
      ['form cannot be read: content-type is application/json'],
    ],
  ])('says why %j misses', (filter, given, expected) => {
    const compiled = compileFilter(filter)
    const exchange = exchangeOf(given)
    expect(compiled.misses(exchange)).toEqual(expected)
    expect(compiled.headMatches(exchange) && compiled.restMatches(exchange)).toBe(false)
  })

  it('counts a body that cannot be decoded as a miss, and says so', () => {
    expect(misses({ json: {} }, { body: 'no json' })[0]).toMatch(/^json cannot be read: Cannot read the body as JSON/)
    const broken: Given = { body: 'x', fields: [['content-encoding', 'gzip']] }
    expect(misses({ body: 'x' }, broken)[0]).toMatch(/^body cannot be read: Cannot decode 1 octets as gzip/)
    expect(misses({ body: 'x'.repeat(2000) }, { body: 'x'.repeat(2000) })[0]).toContain('1000 of 2000 octets were kept')
  })

  it('looks at the status once there is a response', () => {
    const exchange = exchangeOf()
    exchange.response = new HttpResponse({ status: 503, statusText: '', httpVersion: 'HTTP/1.1', fields: [] })
    expect(compileFilter({ status: 503 }).misses(exchange)).toEqual([])
    expect(compileFilter({ status: (status) => status >= 500 }).misses(exchange)).toEqual([])
    expect(compileFilter({ status: 200 }).misses(exchange)).toEqual(['status is 503, expected 200'])
    expect(compileFilter({ status: 200 }).headMisses(exchange)).toEqual([])
  })

  it('counts a predicate that throws, or returns a promise, as a miss and tells of it', () => {
    const thrown: unknown[] = []
    const failing = compileFilter(() => {
      throw new Error('oops')
    })
    expect(failing.misses(exchangeOf())).toEqual(['a function threw: oops'])
    expect(failing.headMatches(exchangeOf(), (error) => thrown.push(error))).toBe(false)
    expect(thrown).toEqual([new Error('oops')])
    const isAsync = (() => Promise.resolve(true)) as unknown as () => boolean // as an untyped caller would
    expect(misses({ path: isAsync })[0]).toContain('path threw: returned a promise')
  })

  it('knows what it needs', () => {
    expect(compileFilter({ json: 1 })).toMatchObject({ needsRequestBody: true, needsResponse: false })
    expect(compileFilter({ status: 200 })).toMatchObject({ needsRequestBody: false, needsResponse: true })
    expect(compileFilter({ url: '**', headers: {} })).toMatchObject({ needsRequestBody: false, needsResponse: false })
  })

  it.each<[ExchangeFilter, string]>([
    [
      { method: 'post', url: 'https://pay.test/charge', json: { eur: 42 } },
      'POST https://pay.test/charge with json {"eur":42}',
    ],
    ['**/price', '**/price'],
    [{ method: 'GET' }, 'any GET request'],
    [{}, 'any request'],
    [{ host: 'a.test', headers: { a: /b/ } }, 'any request with host a.test and with headers {"a":/b/}'],
    [{ json: expect.objectContaining({ a: 1 }) }, 'any request with json ObjectContaining {"a":1}'],
  ])('says %j in words', (filter, text) => {
    expect(compileFilter(filter).text).toBe(text)
  })

  it.each<[unknown, string]>([
    [undefined, 'Cannot use filter: it is undefined'],
    [new URL('https://api.test/'), 'Cannot use filter: it is "https://api.test/"'],
    [{ metod: 'GET' }, 'metod is "GET", expected no such key but only method'],
    [{ method: undefined }, 'method is undefined, expected an HTTP method'],
    [{ method: 'G T' }, 'method is "G T"'],
    [{ url: 1 }, 'url is 1'],
    [{ host: 'https://a.test' }, 'host is "https://a.test", expected a host such as'],
    [{ query: { a: null } }, 'query at a is null'],
    [{ headers: 'a' }, 'headers is "a", expected an object'],
    [{ json: undefined }, 'json is undefined'],
    [{ body: {} }, 'body is {}, expected a text or a Buffer'],
    [{ status: '500' }, 'status is "500", expected a status from 100 to 599'],
    [{ protocol: 'https' }, 'protocol is "https", expected a version of HTTP'],
  ])('refuses %j', (filter, text) => {
    const compile = (): unknown => compileFilter(filter as ExchangeFilter) // as an untyped caller would
    expect(compile).toThrow(text)
    expect(compile).toThrow(expect.objectContaining({ code: 'MITM_INVALID_FILTER' }))
  })

  it.each<[ExchangeFilter, string, number, boolean]>([
    [{ host: 'a.test' }, 'a.test', 1, true],
    [{ host: 'a.test' }, 'b.test', 1, false],
    [{ host: 'a.test:1' }, 'a.test', 2, false],
    [{ host: /^a\./ }, 'b.test', 1, false],
    [{ host: () => false }, 'b.test', 1, true],
    [{ url: 'https://a.test/', host: 'b.test' }, 'a.test', 443, false],
    [/a\.test/, 'b.test', 443, true],
    [() => false, 'b.test', 443, true],
    [{ path: '/a' }, 'b.test', 443, true],
  ])('%j may match %s:%i: %s', (filter, host, port, expected) => {
    expect(compileFilter(filter).mayMatch({ host, port, tls: true })).toBe(expected)
  })
})
