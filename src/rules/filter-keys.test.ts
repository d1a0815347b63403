/** The keys `not`, `cookies`, `source` and `fault`, what filters know before there is a request, and what they need. */
import { describe, expect, it } from 'vitest'

import { connectionBy, exchangeOf } from '../testing/exchanges.ts'
import type { ExchangeParts } from '../testing/exchanges.ts'
import { compileFilter } from './filter.ts'
import type { ExchangeFilter } from './filter.ts'

const cookie = (value: string): ExchangeParts => ({ fields: [['Cookie', value]] })
const browser = connectionBy('browser')

describe('not, cookies, source and fault', () => {
  it.each<[string, ExchangeFilter, ExchangeParts]>([
    ['what is not excluded', { url: '**', not: { path: '/health' } }, {}],
    ['none of several', { not: [{ path: '/health' }, /metrics/, () => false] }, {}],
    ['a filter of which one part only matches', { not: { path: '/a', method: 'POST' } }, {}],
    ['twice not', { not: { not: { path: '/a' } } }, {}],
    ['another body', { not: { json: { a: 1 } } }, { method: 'POST', body: '{"a":2}' }],
    ['a body that cannot be read', { not: { json: { a: 1 } } }, { method: 'POST', body: 'a' }],
    ['another status', { not: { status: 200 } }, { status: 404 }],
    ['an end without a response', { not: { status: 200 } }, { endReason: 'client-reset' }],
    ['a cookie', { cookies: { id: '1' } }, cookie('a=b; id=1')],
    ['a cookie in quotes', { cookies: { id: '1' } }, cookie('id="1"')],
    ['a cookie in percent-encoding', { cookies: { id: 'a b' } }, cookie('id=a%20b')],
    ['a cookie with a stray percent sign', { cookies: { id: '100%' } }, cookie('id=100%')],
    ['a cookie with an equals sign', { cookies: { id: 'a=b=' } }, cookie('id=a=b=')],
    [
      'the Cookie field of HTTP/2, which may come in parts',
      { headers: { Cookie: 'a=1; b=2' } },
      {
        fields: [
          ['cookie', 'a=1'],
          ['cookie', 'b=2'],
        ],
      },
    ],
    ['a cookie without a name', { cookies: { '': 'alone' } }, cookie('alone; a=1')],
    ['an absent cookie', { cookies: { id: undefined } }, cookie('a=1')],
    ['a cookie as RegExp', { cookies: { id: /^\d+$/ } }, cookie('id=12')],
    ['a cookie as matcher', { cookies: { id: expect.stringContaining('2') } }, cookie('id=12')],
    ['a cookie as function', { cookies: { id: (id) => id === '12' } }, cookie('id=12')],
    ['all cookies', { cookies: (all) => all['id'] === '12' }, cookie('id=12')],
    [
      'cookies of several fields',
      { cookies: { a: '1', b: '2' } },
      {
        fields: [
          ...([
            ['cookie', 'a=1'],
            ['cookie', 'b=2'],
          ] as const),
        ],
      },
    ],
    ['a source', { source: 'page' }, { connection: browser }],
    ['one of several sources', { source: ['server', 'page'] }, { connection: browser }],
    ['a source as RegExp', { source: /^p/ }, { connection: browser }],
    ['a source as function', { source: (source) => source !== 'node' }, { connection: browser }],
    ['a source as matcher', { source: expect.stringMatching('page') }, { connection: browser }],
    ['the source of the test', { source: 'node' }, { connection: connectionBy('test') }],
    ['the source of a server', { source: 'server' }, { connection: connectionBy('http-proxy') }],
    ['a fault', { fault: 'resetPeer' }, { faults: ['latency', 'resetPeer'] }],
    ['a fault as RegExp', { fault: /^reset/ }, { faults: ['resetPeer'] }],
    ['a fault as matcher', { fault: expect.stringContaining('Peer') }, { faults: ['resetPeer'] }],
    ['a fault as function', { fault: (name) => name.length > 3 }, { faults: ['resetPeer'] }],
    ['any fault', { fault: true }, { faults: ['resetPeer'] }],
    ['no fault', { fault: false }, { endReason: 'complete' }],
    ['not that fault', { not: { fault: 'resetPeer' } }, { faults: ['latency'], endReason: 'complete' }],
  ])('match %s', (_, filter, given) => {
    const compiled = compileFilter(filter)
    const exchange = exchangeOf(given)
    expect(compiled.misses(exchange)).toEqual([])
    expect(compiled.headMatches(exchange) && compiled.restMatches(exchange)).toBe(true)
  })

  it.each<[ExchangeFilter, ExchangeParts, readonly string[]]>([
    [{ not: { path: '/a' } }, {}, ['not: it is any request with path /a']],
    [{ not: [/b/, { method: 'GET', url: '**/a' }] }, {}, ['not: it is GET **/a']],
    [{ not: { json: { a: 1 } } }, { body: '{"a":1}' }, ['not: it is any request with json {"a":1}']],
    [{ not: { json: {} } }, { isComplete: false }, ['not: it may yet be any request with json {}']],
    [{ not: { status: 200 } }, {}, ['not: it may yet be any request with status 200']],
    [{ not: { fault: true } }, { status: 200 }, ['not: it may yet be any request with a fault']],
    [
      { cookies: { id: '1', b: undefined } },
      cookie('b=2'),
      ['cookies at id is absent, expected "1"', 'cookies at b is "2", expected none'],
    ],
    [{ cookies: { id: '3' } }, cookie('id=1; id=2'), ['cookies at id is ["1","2"], expected "3"']],
    [{ source: 'node' }, { connection: browser }, ['source is page, expected node']],
    [{ source: ['node', 'server'] }, { connection: browser }, ['source is page, expected node or server']],
    [{ fault: 'resetPeer' }, {}, ['fault is none so far, expected resetPeer']],
    [
      { fault: /^r/ },
      { faults: ['latency', 'stall'], endReason: 'complete' },
      ['fault is latency, stall, expected /^r/'],
    ],
    [{ fault: true }, { endReason: 'complete' }, ['fault is none, expected any']],
    [{ fault: false }, { faults: ['stall'], endReason: 'complete' }, ['fault is stall, expected none']],
    [{ fault: false }, {}, ['fault is none so far, expected none']],
  ])('say why %j misses', (filter, given, expected) => {
    const compiled = compileFilter(filter)
    const exchange = exchangeOf(given)
    expect(compiled.misses(exchange)).toEqual(expected)
    expect(compiled.headMatches(exchange) && compiled.restMatches(exchange)).toBe(false)
  })

  it.each<[unknown, string]>([
    [{ not: undefined }, 'not is undefined, expected a filter, or an array of filters'],
    [{ not: [] }, 'not is [], expected a filter, or an array of filters'],
    [{ not: {} }, 'not is {}, expected a filter that does not mean everything'],
    [{ not: { metod: 'GET' } }, 'metod is "GET", expected no such key but only method'],
    [{ not: { method: 1 } }, 'method is 1'],
    [{ cookies: 'a=1' }, 'cookies is "a=1", expected an object of values by name'],
    [{ cookies: { a: null } }, 'cookies at a is null'],
    [{ source: 'browser' }, 'source is "browser", expected one of "page", "request", "server", "node"'],
    [{ source: [] }, 'source is []'],
    [{ fault: 'a b' }, 'fault is "a b", expected the name of a fault'],
    [{ fault: 1 }, 'fault is 1'],
    [{ fault: 'resetpeer' }, 'did you mean resetPeer?'],
    [{ protocol: 'http/4' }, 'protocol is "http/4", expected a version of HTTP'],
  ])('refuse %j', (filter, text) => {
    const compile = (): unknown => compileFilter(filter as ExchangeFilter) // as an untyped caller would
    expect(compile).toThrow(text)
    expect(compile).toThrow(expect.objectContaining({ code: 'MITM_INVALID_FILTER' }))
  })

  it('count a predicate that throws inside of not as a miss, not as "it is not"', () => {
    const thrown: unknown[] = []
    const compiled = compileFilter({
      not: () => {
        throw new Error('oops')
      },
    })
    expect(compiled.headMatches(exchangeOf(), (error) => thrown.push(error))).toBe(false)
    expect(thrown).toEqual([new Error('oops')])
    expect(compiled.misses(exchangeOf())).toEqual(['not threw: oops'])
  })
})

describe('a compiled filter', () => {
  it('says in words what it is not for', () => {
    expect(compileFilter({ url: '**', not: [{ path: '/a' }, 'https://b.test/'] }).text).toBe(
      '** not any request with path /a and not https://b.test/',
    )
  })

  it('tells which keys need a response', () => {
    expect(compileFilter({ status: 200, fault: true, not: { status: 500 } }).responseKeys).toEqual([
      'status',
      'fault',
      'not',
    ])
    expect(compileFilter({ not: { json: 1 } })).toMatchObject({ needsRequestBody: true, needsResponse: false })
  })

  it.each<[string, ExchangeFilter, ExchangeParts, boolean]>([
    ['json of anything', { json: {} }, { method: 'POST' }, true],
    ['graphql by POST', { graphql: 'A' }, { method: 'POST' }, true],
    ['graphql by GET', { graphql: 'A' }, { url: 'https://api.test/?query={a}' }, false],
    ['a not that the head decides', { not: { path: '/b', json: {} } }, { method: 'POST' }, false],
    ['a not that the head leaves open', { not: { path: '/a', json: {} } }, { method: 'POST' }, true],
    ['what is only about the head', { path: '/a' }, { method: 'POST' }, false],
  ])('knows whether the body must come: %s', (_, filter, given, expected) => {
    expect(compileFilter(filter).needsBodyOf(exchangeOf({ ...given, isComplete: false }))).toBe(expected)
  })

  it.each<[ExchangeFilter, ExchangeParts]>([
    [{ form: {} }, { fields: [['content-type', 'application/json']] }],
    [{ multipart: {} }, { fields: [['content-type', 'application/json']] }],
    [{ graphql: 'A' }, { method: 'PUT' }],
    [{ graphql: 'A' }, { url: 'https://api.test/?q=1' }],
    [{ graphql: 'A' }, { method: 'POST', fields: [['content-type', 'image/png']] }],
    [{ not: [{ path: '/a' }, { json: {} }] }, { method: 'POST' }],
  ])('%j refuses by the head what no body could make match', (filter, given) => {
    expect(compileFilter(filter).headMatches(exchangeOf({ ...given, isComplete: false }))).toBe(false)
  })

  it('tells why its body parts miss', () => {
    const compiled = compileFilter({ method: 'POST', json: { a: 1 } })
    expect(compiled.restMisses(exchangeOf({ body: '{"a":' }))[0]).toMatch(/^json cannot be read: Cannot read the body/)
    const exchange = exchangeOf({ isComplete: false, body: 'abc' })
    exchange.request.release()
    expect(compiled.restMisses(exchange)).toEqual([
      'json cannot be read: the body is too large to be held, 3 octets have come; raise maxBodyBytes',
    ])
  })

  it.each<[ExchangeFilter, readonly string[]]>([
    ['**', []],
    [{}, []],
    [{ host: '*.test' }, []],
    [{ host: /a/, source: 'page' }, []],
    ['https://pay.test/**', []],
    [{ url: '**', not: 'https://a.test/**' }, []],
    ['https://pay.test/charge', ['url']],
    [/pay/, ['url']],
    [{ method: 'GET', url: '**', json: {} }, ['method', 'json']],
    [{ not: { host: 'a.test', path: '/b' } }, ['not']],
    [{ headers: {}, cookies: {}, protocol: 'h2' }, ['protocol', 'headers', 'cookies']],
  ])('%j cannot know before the request: %j', (filter, keys) => {
    expect(compileFilter(filter).unknownBeforeRequest).toEqual(keys)
  })

  it.each<[ExchangeFilter, string, number, boolean]>([
    ['**', 'any.test', 1, true],
    ['https://pay.test/**', 'pay.test', 443, true],
    ['https://pay.test/**', 'pay.test', 80, false],
    [{ host: (host) => host === 'pay.test' }, 'pay.test', 443, true],
    [{ host: (host) => host === 'pay.test' }, 'pay.test', 81, false],
    [{ host: /:81$/ }, 'pay.test', 81, true],
    [{ not: { host: 'pay.test' } }, 'pay.test', 443, false],
    [{ not: 'https://pay.test/**' }, 'pay.test', 443, false],
    [{ not: 'https://pay.test/**' }, 'other.test', 443, true],
    [{ source: 'page' }, 'pay.test', 443, true],
    [{ source: 'request' }, 'pay.test', 443, true],
    [{ source: 'server' }, 'pay.test', 443, false],
    [{ not: { source: 'server' } }, 'pay.test', 443, true],
    [{ host: 'pay.test', method: 'GET' }, 'pay.test', 443, false],
  ])('%j means a connection of a browser to %s:%i: %s', (filter, host, port, expected) => {
    expect(compileFilter(filter).matchesConnection({ host, port, tls: false }, browser)).toBe(expected)
  })

  it('does not mean a connection that its function failed on, and tells of it', () => {
    const thrown: unknown[] = []
    const compiled = compileFilter({
      host: () => {
        throw new Error('oops')
      },
    })
    const destination = { host: 'a.test', port: 443, tls: false }
    expect(compiled.matchesConnection(destination, browser, (error) => thrown.push(error))).toBe(false)
    expect(thrown).toEqual([new Error('oops')])
  })

  it.each<[ExchangeFilter, boolean]>([
    ['**', true],
    ['/**', true],
    [{}, true],
    [{ host: '*' }, true],
    [{ host: '*:443' }, false],
    [{ host: '*.test' }, false],
    [{ url: '**', method: 'GET' }, false],
    [() => true, false],
  ])('%j is for everything: %s', (filter, expected) => {
    expect(compileFilter(filter).isForAll).toBe(expected)
  })

  it.each<[ExchangeFilter, string, boolean]>([
    [{ not: { host: 'a.test' } }, 'a.test', false],
    [{ not: { host: 'a.test' } }, 'b.test', true],
    [{ not: 'https://a.test/**' }, 'a.test', true],
    [{ not: '{http,https}://*/**' }, 'a.test', false],
    [{ not: { host: 'a.test', path: '/x' } }, 'a.test', true],
    [{ source: 'server' }, 'a.test', true],
    [{ not: { not: { host: 'b.test' } } }, 'a.test', false],
  ])('%j may match a request to %s: %s', (filter, host, expected) => {
    expect(compileFilter(filter).mayMatch({ host, port: 443, tls: true })).toBe(expected)
  })
})
