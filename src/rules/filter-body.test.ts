/** The keys `body`, `graphql` and `multipart`. */
import { describe, expect, it } from 'vitest'

import { exchangeOf } from '../testing/exchanges.ts'
import type { ExchangeParts } from '../testing/exchanges.ts'
import { compileFilter } from './filter.ts'
import type { ExchangeFilter } from './filter.ts'

const post = (body: string | Buffer, type = 'application/json'): ExchangeParts => ({
  method: 'POST',
  body,
  fields: [['Content-Type', type]],
})
const operation = (value: unknown): ExchangeParts => post(JSON.stringify(value))
const get = (query: string): ExchangeParts => ({ url: `https://api.test/graphql?${query}` })

const DOCUMENT = 'query Cart($id: ID!) { cart(id: $id) { total } }'
const FORM = [
  '--b',
  'Content-Disposition: form-data; name="title"',
  '',
  'A day',
  '--b',
  'content-disposition: form-data; name="photo"; filename="d%22y.png"',
  'Content-Type: image/png',
  '',
  '\x89PNG',
  '--b',
  'Content-Disposition: form-data; name=tag',
  '',
  'one',
  '--b',
  'Content-Disposition: form-data; name="tag"',
  '',
  '',
  '--b--',
  '',
].join('\r\n')
const form = (text = FORM, type = 'multipart/form-data; boundary=b'): ExchangeParts =>
  post(Buffer.from(text, 'latin1'), type)

describe('graphql and multipart', () => {
  it.each<[string, ExchangeFilter, ExchangeParts]>([
    ['the name of the operation', { graphql: 'Cart' }, operation({ query: DOCUMENT, operationName: 'Cart' })],
    ['the name in the document', { graphql: 'Cart' }, operation({ query: DOCUMENT })],
    ['a name as RegExp', { graphql: /^C/ }, operation({ query: DOCUMENT })],
    ['a function', { graphql: ({ operationType }) => operationType === 'query' }, operation({ query: DOCUMENT })],
    ['a matcher', { graphql: expect.objectContaining({ operationName: 'Cart' }) }, operation({ query: DOCUMENT })],
    ['a type', { graphql: { operationType: 'query' } }, operation({ query: DOCUMENT })],
    ['a type without a name', { graphql: { operationType: 'query' } }, operation({ query: '{ a }' })],
    ['variables', { graphql: { variables: { id: 1 } } }, operation({ query: DOCUMENT, variables: { id: 1, n: 2 } })],
    [
      'a matcher in variables',
      { graphql: { variables: { id: expect.any(Number) } } },
      operation({ query: DOCUMENT, variables: { id: 1 } }),
    ],
    [
      'a document',
      { graphql: { query: 'query Cart($id: ID!) {\n  cart(id: $id) { total }\n}' } },
      operation({ query: DOCUMENT }),
    ],
    ['a document as RegExp', { graphql: { query: /total/ } }, operation({ query: DOCUMENT })],
    ['one of a batch', { graphql: 'B' }, operation([{ query: 'query A { a }' }, { query: 'mutation B { b }' }])],
    [
      'the named one of several',
      { graphql: { operationType: 'mutation' } },
      operation({ query: 'query A { a } mutation B { b }', operationName: 'B' }),
    ],
    [
      'a persisted query',
      { graphql: 'Cart' },
      operation({ operationName: 'Cart', extensions: { persistedQuery: {} } }),
    ],
    ['a bare document', { graphql: 'Cart' }, post(DOCUMENT, 'application/graphql')],
    [
      'a body of another JSON type',
      { graphql: 'Cart' },
      post(JSON.stringify({ query: DOCUMENT }), 'application/graphql+json; charset=utf-8'),
    ],
    [
      'GET',
      { graphql: { operationName: 'Cart', variables: { id: 1 } } },
      get(`query=${encodeURIComponent(DOCUMENT)}&variables=${encodeURIComponent('{"id":1}')}`),
    ],
    ['GET of a persisted query', { graphql: 'Cart' }, get('operationName=Cart&extensions=%7B%7D')],
    [
      'operations in a form',
      { graphql: 'Up' },
      form('--b\r\nContent-Disposition: form-data; name="operations"\r\n\r\n{"query":"mutation Up { up }"}\r\n--b--'),
    ],
    ['a field of a form', { multipart: { title: 'A day' } }, form()],
    ['a field as RegExp', { multipart: { title: /day$/ } }, form()],
    ['a field as matcher', { multipart: { title: expect.stringContaining('day') } }, form()],
    ['a field as function', { multipart: { title: (title) => title.length === 5 } }, form()],
    ['one of several', { multipart: { tag: 'one' } }, form()],
    ['all of several, one of them empty', { multipart: { tag: ['one', ''] } }, form()],
    ['an absent field', { multipart: { other: undefined } }, form()],
    [
      'a file',
      { multipart: { photo: { filename: 'd"y.png', type: 'image/png', body: Buffer.from('\x89PNG', 'latin1') } } },
      form(),
    ],
    ['any file', { multipart: { photo: {} } }, form()],
    ['a file by RegExps', { multipart: { photo: { filename: /\.png$/, type: /^image/, body: /PNG$/ } } }, form()],
    [
      'a preamble, blanks and an epilogue',
      { multipart: { a: '1' } },
      form('hi\r\n--b \t\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b--\r\nbye'),
    ],
    [
      'a boundary in quotes',
      { multipart: { title: 'A day' } },
      form(FORM, 'multipart/form-data; charset=x; boundary="b"'),
    ],
    [
      'a folded field',
      { multipart: { a: '1' } },
      form('--b\r\nContent-Disposition: form-data;\r\n name="a"\r\n\r\n1\r\n--b--'),
    ],
    [
      'a type with parameters',
      { multipart: { a: { type: 'text/plain' } } },
      form('--b\r\nContent-Type: Text/plain; charset=x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--b--'),
    ],
  ])('match by %s', (_, filter, given) => {
    const compiled = compileFilter(filter)
    const exchange = exchangeOf(given)
    expect(compiled.misses(exchange)).toEqual([])
    expect(compiled.headMatches(exchange) && compiled.restMatches(exchange)).toBe(true)
  })

  it.each<[ExchangeFilter, ExchangeParts, readonly string[]]>([
    [{ body: 'abc' }, post('abd'), ['body is "abd", expected "abc" (differs at offset 2)']],
    [
      { body: `${'a'.repeat(70)}b` },
      post(`${'a'.repeat(70)}cd`),
      [
        'body differs at offset 70: …"aaaaaaaaaaaaaaaaaaaacd", expected …"aaaaaaaaaaaaaaaaaaaab" (72 characters, expected 71)',
      ],
    ],
    [
      { body: 'a'.repeat(70) },
      post('a'),
      [`body differs at offset 1: its end, expected "${'a'.repeat(21)}"… (1 characters, expected 70)`],
    ],
    [
      { body: Buffer.from('000102030405060708090a', 'hex') },
      post(Buffer.from('00010203040506ff08090a', 'hex')),
      ['body differs at octet 7: … 01 02 03 04 05 06 [ff] 08 09 0a, expected … 01 02 03 04 05 06 [07] 08 09 0a'],
    ],
    [
      { body: Buffer.from([1, 2]) },
      post(Buffer.from([1])),
      ['body differs at octet 1: 01 (end), expected 01 [02] (1 octets, expected 2)'],
    ],
    [
      { graphql: 'Cart' },
      operation({ query: 'mutation Pay { pay }' }),
      ['graphql operationName is Pay, expected Cart'],
    ],
    [
      { graphql: { operationType: 'mutation', variables: { id: 2 } } },
      operation({ query: DOCUMENT, variables: { id: 1 } }),
      ['graphql operationType is query, expected mutation', 'graphql variables at id is 1, expected 2'],
    ],
    [
      { graphql: { operationType: 'query' } },
      operation({ query: 'query A { a } query B { b }' }),
      ['graphql operationType is absent, expected query'],
    ],
    [
      { graphql: { operationName: 'B', operationType: 'query' } },
      operation([{ query: 'mutation C { c }' }, { query: 'mutation B { b }' }]),
      ['graphql operationType is mutation, expected query'],
    ],
    [{ graphql: 'A' }, operation({ query: 'hello' }), ['graphql cannot be read: its query is not a GraphQL document']],
    [
      { graphql: 'A' },
      operation({ a: 1 }),
      ['graphql cannot be read: it has neither a query nor the name of an operation'],
    ],
    [{ graphql: 'A' }, operation([]), ['graphql cannot be read: the batch is empty']],
    [
      { graphql: 'A' },
      get('query={a}&variables={'),
      [expect.stringContaining('graphql cannot be read: variables is not JSON')],
    ],
    [{ graphql: 'A' }, post('{'), [expect.stringContaining('graphql cannot be read: ')]],
    [{ graphql: 'A' }, { method: 'PUT' }, ['graphql cannot be read: the method is PUT, expected GET or POST']],
    [
      { multipart: { title: 'B', none: '1', other: undefined } },
      form(),
      ['multipart at title is "A day", expected "B"', 'multipart at none is absent, expected "1"'],
    ],
    [
      { multipart: { photo: 'x', title: undefined } },
      form(),
      [
        'multipart at photo is a file (d"y.png, image/png, 4 octets), expected "x"',
        'multipart at title is "A day", expected none',
      ],
    ],
    [
      { multipart: { photo: undefined } },
      form(),
      ['multipart at photo is a file (d"y.png, image/png, 4 octets), expected none'],
    ],
    [
      { multipart: { photo: { filename: 'a', type: 'image/gif', body: 'x' }, none: {} } },
      form(),
      [
        'multipart at photo.filename is "d\\"y.png", expected "a"',
        'multipart at photo.type is image/png, expected image/gif',
        expect.stringContaining('multipart at photo.body is '),
        'multipart at none is absent, expected a file',
      ],
    ],
    [{ multipart: { title: { filename: 'a' } } }, form(), ['multipart at title.filename is absent, expected "a"']],
    [{ multipart: {} }, post('{}'), ['multipart cannot be read: content-type is application/json']],
    [
      { multipart: {} },
      form(FORM, 'multipart/form-data'),
      ['multipart cannot be read: content-type names no boundary'],
    ],
    [{ multipart: {} }, form('nothing'), ['multipart cannot be read: the boundary "b" is nowhere in it']],
    [
      { multipart: {} },
      form(FORM.replace('--b--', '')),
      [expect.stringMatching(/^multipart cannot be read: the part at octet \d+ does not end, expected --b--$/)],
    ],
    [
      { multipart: {} },
      form('--b\r\nname: x\r\n--b--'),
      ['multipart cannot be read: the part at octet 3 has no blank line behind its fields'],
    ],
    [{ multipart: {} }, form('--b\r\n\r\nx\r\n--b--'), ['multipart cannot be read: the part at octet 3 has no name']],
    [
      { multipart: {} },
      form('--bx\r\n'),
      ['multipart cannot be read: octet 3 is malformed, expected a line end behind the boundary'],
    ],
    [{ multipart: {} }, { ...form(), isComplete: false }, ['multipart cannot be read: the body has not come whole']],
  ])('say why %j misses', (filter, given, expected) => {
    const compiled = compileFilter(filter)
    const exchange = exchangeOf(given)
    expect(compiled.misses(exchange)).toEqual(expected)
    expect(compiled.headMatches(exchange) && compiled.restMatches(exchange)).toBe(false)
  })

  it.each<[unknown, string]>([
    [{ graphql: 1 }, 'graphql is 1, expected the name of an operation, or an object of operationName'],
    [{ graphql: 'a b' }, 'graphql is "a b"'],
    [{ graphql: { name: 'A' } }, 'graphql.name is "A", expected no such key but'],
    [{ graphql: { operationName: 1 } }, 'graphql.operationName is 1'],
    [
      { graphql: { operationType: 'read' } },
      'graphql.operationType is "read", expected "query", "mutation" or "subscription"',
    ],
    [{ graphql: { variables: undefined } }, 'graphql.variables is undefined'],
    [{ graphql: { query: 1 } }, 'graphql.query is 1'],
    [{ multipart: 'a' }, 'multipart is "a", expected an object of values'],
    [{ multipart: { a: null } }, 'multipart at a is null'],
    [
      { multipart: { a: { name: 'x' } } },
      'multipart at a.name is "x", expected no such key but only filename, type, body',
    ],
    [{ multipart: { a: { filename: 1 } } }, 'multipart at a.filename is 1'],
    [{ multipart: { a: { type: 'png' } } }, 'multipart at a.type is "png", expected a content type'],
    [{ multipart: { a: { body: 1 } } }, 'multipart at a.body is 1'],
  ])('refuse %j', (filter, text) => {
    const compile = (): unknown => compileFilter(filter as ExchangeFilter) // as an untyped caller would
    expect(compile).toThrow(text)
    expect(compile).toThrow(expect.objectContaining({ code: 'MITM_INVALID_FILTER' }))
  })
})
