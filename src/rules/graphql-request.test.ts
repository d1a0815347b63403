import { describe, expect, it } from 'vitest'

import { graphqlDefinitions } from './graphql-request.ts'

describe('graphqlDefinitions()', () => {
  it.each<[string, readonly string[]]>([
    ['{ a }', ['query']],
    ['query A { a }', ['query A']],
    ['mutation A($a: In = {b: "}"}) @live(if: true) { a }', ['mutation A']],
    ['subscription @live { a }', ['subscription']],
    ['query @A { a }', ['query']],
    ['query query { query { mutation } }', ['query query']],
    ['fragment query on mutation { a } query B { b }', ['query B']],
    ['# query A { a }\nmutation B { b }', ['mutation B']],
    ['query A { a(b: "} mutation C { c }") }', ['query A']],
    ['query A { a(b: """ } mutation C { \\""" c } """) }', ['query A']],
    ['query A { a } mutation B { b } subscription C { c }', ['query A', 'mutation B', 'subscription C']],
    ['\ufeff\r\n,query\tA,{a}', ['query A']],
    ['type A { query: Int }', []],
    ['query A', []],
    ['hello', []],
    ['', []],
    ['}}} query A { a', ['query A']],
  ])('finds in %j: %j', (document, expected) => {
    expect(graphqlDefinitions(document).map(({ type, name }) => [type, name].filter(Boolean).join(' '))).toEqual(
      expected,
    )
  })
})
