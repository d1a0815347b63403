import { describe, expect, it } from 'vitest'

import { differences } from './equality.ts'

describe('differences()', () => {
  it.each([
    [{ eur: 42, cents: 0 }, { eur: 42 }],
    [
      [1, { a: 1, b: 2 }],
      [1, { a: 1 }],
    ],
    [null, null],
    [0, 0],
    [false, false],
    ['', ''],
    [{ id: 'a-1' }, { id: /^a-\d$/ }],
    [{ id: 'a-1', n: 3 }, expect.objectContaining({ n: 3 })],
    [{ id: { n: 3 } }, { id: { n: expect.any(Number) } }],
    [{ n: 3 }, { n: (n: unknown) => n === 3 }],
    [{ at: '2020-01-01T00:00:00.000Z' }, { at: new Date('2020-01-01') }],
    [{ a: 1 }, { b: undefined }],
  ])('%j has what %j asks for', (actual, expected) => {
    expect(differences(actual, expected)).toEqual([])
  })

  it.each([
    [{ eur: 41 }, { eur: 42 }, 'at eur is 41, expected 42'],
    [{ a: [{ b: 1 }] }, { a: [{ b: 2 }] }, 'at a[0].b is 1, expected 2'],
    [{ 'x y': 1 }, { 'x y': 2 }, 'at ["x y"] is 1, expected 2'],
    [{}, { eur: 42 }, 'at eur is undefined, expected 42'],
    [{ eur: '42' }, { eur: 42 }, 'at eur is "42", expected 42'],
    [[1, 2], [1], 'has 2 items, expected 1'],
    [{}, [], 'is {}, expected []'],
    [null, {}, 'is null, expected {}'],
    [0, false, 'is 0, expected false'],
    [{ id: 'b' }, { id: /^a/ }, 'at id is "b", expected text that matches /^a/'],
    [{ a: 1 }, { a: undefined }, 'at a is 1, expected undefined'],
    [{}, { constructor: 1 }, 'at constructor is undefined, expected 1'],
    [{ n: 3 }, expect.objectContaining({ n: 4 }), 'is {"n":3}, expected ObjectContaining {"n":4}'],
  ])('says where %j is not %j', (actual, expected, text) => {
    expect(differences(actual, expected)).toEqual([text])
  })

  it('tells no more than five', () => {
    expect(differences({}, { a: 1, b: 1, c: 1, d: 1, e: 1, f: 1 })).toHaveLength(5)
  })

  it('asks for no more keys in exact mode', () => {
    expect(differences({ a: 1, b: { c: 2, d: 3 } }, { a: 1, b: { c: 2 } }, 'exact')).toEqual([
      'has b.d, which was not expected',
    ])
    expect(differences({ a: 1 }, { a: 1 }, 'exact')).toEqual([])
  })

  it('refuses an async function, which would always agree', () => {
    expect(() => differences(1, () => Promise.resolve(false))).toThrow('returned a promise')
  })
})
