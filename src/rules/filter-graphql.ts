/** The part of a filter that looks at GraphQL operations. */
import { types } from 'node:util'

import { differences } from './equality.ts'
import { compileTest, readingPart } from './filter-part.ts'
import type { FilterPart, ValueTest } from './filter-part.ts'
import { invalidFilter, show } from './filter-text.ts'
import { graphqlOperations, hasGraphqlBody, mayBeGraphql } from './graphql-request.ts'
import type { GraphqlOperation } from './graphql-request.ts'
import { isAsymmetricMatcher, verdict } from './predicate.ts'

type Explain = (operation: GraphqlOperation) => readonly string[]

const EXPECTED = 'the name of an operation, or an object of operationName, operationType, variables and query'
const EXPECTED_TYPE = '"query", "mutation" or "subscription"'

/** Compiles `graphql`. @throws {@link MitmError} `MITM_INVALID_FILTER` */
export function compileGraphql(value: unknown): FilterPart {
  const explain = compileOperation(value)
  const part = readingPart('graphql', `with graphql ${show(value)}`, (exchange) => {
    // Of a batch one operation must match: if none does, the nearest one says why.
    const misses = graphqlOperations(exchange).map((operation) => explain(operation))
    return misses.toSorted((left, right) => left.length - right.length)[0] ?? []
  })
  return {
    ...part,
    headRefuses: (exchange) => !mayBeGraphql(exchange),
    needsBody: hasGraphqlBody,
  }
}

function compileOperation(value: unknown): Explain {
  if (typeof value === 'string' || types.isRegExp(value)) {
    return valueMisses('operationName', nameTest('graphql', value), ({ operationName }) => operationName)
  }
  if (typeof value === 'function') {
    const predicate = value as (actual: unknown) => unknown // what it takes, its author knows
    return (operation) => (verdict(predicate(operation)) ? [] : [`graphql is ${show(operation)}, which was refused`])
  }
  if (isAsymmetricMatcher(value)) {
    return (operation) =>
      verdict(value.asymmetricMatch(operation)) ? [] : [`graphql is ${show(operation)}, expected ${show(value)}`]
  }
  if (Object.prototype.toString.call(value) !== '[object Object]') throw invalidFilter('graphql', value, EXPECTED)
  const explainers = Object.entries(value as object).map(([key, wanted]) => compileKey(key, wanted)) // just found to be one
  return (operation) => explainers.flatMap((explain) => explain(operation))
}

function compileKey(key: string, wanted: unknown): Explain {
  switch (key) {
    case 'operationName':
      return valueMisses(key, nameTest('graphql.operationName', wanted), ({ operationName }) => operationName)
    case 'operationType': {
      const test = compileTest('graphql.operationType', wanted, EXPECTED_TYPE, (literal) =>
        literal === 'query' || literal === 'mutation' || literal === 'subscription' ? sameText(literal) : undefined,
      )
      return valueMisses(key, test, ({ operationType }) => operationType)
    }
    case 'variables':
      if (wanted === undefined)
        throw invalidFilter('graphql.variables', wanted, 'a JSON value, a matcher or a function')
      return ({ variables }) =>
        differences(variables ?? {}, wanted).map((difference) => `graphql variables ${difference}`)
    case 'query': {
      const test = compileTest('graphql.query', wanted, 'a GraphQL document', (literal) => {
        if (typeof literal !== 'string') return undefined
        const normal = withoutLayout(literal)
        return { text: show(literal), test: (actual) => withoutLayout(String(actual)) === normal }
      })
      return valueMisses(key, test, ({ query }) => query)
    }
    default:
      throw invalidFilter(`graphql.${key}`, wanted, `no such key but ${EXPECTED}`)
  }
}

function nameTest(key: string, value: unknown): ValueTest {
  return compileTest(key, value, EXPECTED, (literal) =>
    typeof literal === 'string' && /^[A-Za-z_]\w*$/.test(literal) ? sameText(literal) : undefined,
  )
}

function sameText(literal: string): ValueTest {
  return { text: literal, test: (actual) => actual === literal }
}

function valueMisses(
  key: string,
  { text, test }: ValueTest,
  read: (operation: GraphqlOperation) => string | undefined,
): Explain {
  return (operation) => {
    const actual = read(operation)
    if (actual !== undefined && test(actual)) return []
    return [
      `graphql ${key} is ${actual === undefined ? 'absent' : key === 'query' ? show(actual) : actual}, expected ${text}`,
    ]
  }
}

function withoutLayout(document: string): string {
  return document.replaceAll(/[\s,]+/g, ' ').trim()
}
