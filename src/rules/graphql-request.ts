/** GraphQL operations in HTTP requests: https://graphql.github.io/graphql-over-http/draft/ and what clients do beside it. */
import { errorText } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import { mediaTypeOf, readBody, Unreadable } from './filter-part.ts'
import { multipartOf } from './multipart.ts'
import { locate } from './request-location.ts'

/** What an operation is for. */
export type GraphqlOperationType = 'query' | 'mutation' | 'subscription'

/** One operation that a request asks for. */
export interface GraphqlOperation {
  /** As named beside the document, or else in it. */
  readonly operationName: string | undefined
  /** Undefined where there is no document (a persisted query), or where it does not say which of several is meant. */
  readonly operationType: GraphqlOperationType | undefined
  readonly variables: unknown
  /** The document. */
  readonly query: string | undefined
}

/** An operation that a document defines. */
export interface GraphqlDefinition {
  readonly name: string | undefined
  readonly type: GraphqlOperationType
}

const TYPES: readonly GraphqlOperationType[] = ['query', 'mutation', 'subscription']
const BODY_TYPES = /^$|[/+]json$|^application\/graphql$|^text\/plain$|^multipart\/form-data$/

/** Whether the head of a request leaves it open that this is GraphQL. */
export function mayBeGraphql(exchange: Exchange): boolean {
  const { method, url } = exchange.request
  if (isBodyless(method)) return /[?&](?:query|operationName|extensions)=/.test(locate(url).search)
  return method === 'POST' && BODY_TYPES.test(mediaTypeOf(exchange))
}

/** Whether its operations stand in the body. */
export function hasGraphqlBody(exchange: Exchange): boolean {
  return !isBodyless(exchange.request.method)
}

/**
 * The operations of a request; those of a batch in their order.
 *
 * @throws {@link Unreadable} when it has none.
 */
export function graphqlOperations(exchange: Exchange): readonly GraphqlOperation[] {
  const { request } = exchange
  if (isBodyless(request.method)) return [operationOfQuery(new URLSearchParams(locate(request.url).search.slice(1)))]
  if (request.method !== 'POST') throw new Unreadable(`the method is ${request.method}, expected GET or POST`)
  const type = mediaTypeOf(exchange)
  if (!BODY_TYPES.test(type)) throw new Unreadable(`content-type is ${type}`)
  if (type === 'application/graphql') {
    return [operationOf({ query: readBody(exchange, () => request.text()) })]
  }
  const value: unknown =
    type === 'multipart/form-data'
      ? operationsOfForm(exchange)
      : readBody(exchange, (): unknown => JSON.parse(request.text()))
  const batch: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (batch.length === 0) throw new Unreadable('the batch is empty')
  return batch.map(operationOf)
}

/**
 * The operations that a document defines. It is not checked: anything that is no definition is passed over.
 *
 * @see https://spec.graphql.org/October2021/#sec-Document
 */
export function graphqlDefinitions(document: string): readonly GraphqlDefinition[] {
  const found: GraphqlDefinition[] = []
  let depth = 0
  let isAtStart = true
  let isNaming = false
  let open: { type: GraphqlOperationType; name: string | undefined } | undefined
  // Strings and comments are taken whole, so that nothing in them is taken for anything else.
  const tokens = document.matchAll(/"""(?:\\"""|[^])*?"""|"(?:\\.|[^"\\\r\n])*"|#[^\r\n]*|[A-Za-z_]\w*|[{}()[\]@]/g)
  for (const [token] of tokens) {
    if (token === '{' || token === '(' || token === '[') {
      if (depth === 0 && token === '{') {
        if (isAtStart) found.push({ name: undefined, type: 'query' })
        else if (open) found.push(open)
        open = undefined
      }
      depth++
      isAtStart = false
    } else if (token === '}' || token === ')' || token === ']') {
      depth = Math.max(0, depth - 1)
      isAtStart ||= depth === 0 && token === '}'
    } else if (depth === 0 && !/^["#]/.test(token)) {
      const type = isAtStart ? TYPES.find((each) => each === token) : undefined
      if (type) open = { type, name: undefined }
      // The name is the word behind the type; one behind an "@" is that of a directive.
      else if (open && isNaming && token !== '@') open.name = token
      isNaming = type !== undefined
      isAtStart = false
    }
  }
  return found
}

function operationOfQuery(parameters: URLSearchParams): GraphqlOperation {
  const variables = parameters.get('variables')
  return operationOf({
    query: parameters.get('query') ?? undefined,
    operationName: parameters.get('operationName') ?? undefined,
    variables: variables ? parseJson('variables', variables) : undefined,
    extensions: parameters.get('extensions') ?? undefined,
  })
}

/** @see https://github.com/jaydenseric/graphql-multipart-request-spec */
function operationsOfForm(exchange: Exchange): unknown {
  const part = multipartOf(exchange).find(({ name }) => name === 'operations')
  if (!part) throw new Unreadable('the form has no field "operations"')
  return parseJson('operations', part.octets.toString())
}

function operationOf(value: unknown): GraphqlOperation {
  if (typeof value !== 'object' || value === null) throw new Unreadable('it is not an object')
  const { query, operationName, variables, extensions } = value as Readonly<Record<string, unknown>> // an object: any key
  const name = typeof operationName === 'string' && operationName !== '' ? operationName : undefined
  if (typeof query !== 'string' || query === '') {
    if (!name && !extensions) throw new Unreadable('it has neither a query nor the name of an operation')
    return { operationName: name, operationType: undefined, variables, query: undefined }
  }
  const definitions = graphqlDefinitions(query)
  if (definitions.length === 0) throw new Unreadable('its query is not a GraphQL document')
  // Without a name, a document of several operations does not say which of them is meant.
  const meant = name
    ? definitions.find((definition) => definition.name === name)
    : definitions.length === 1
      ? definitions[0]
      : undefined
  return { operationName: name ?? meant?.name, operationType: meant?.type, variables, query }
}

function parseJson(what: string, text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    throw new Unreadable(`${what} is not JSON: ${errorText(error)}`, { cause: error })
  }
}

function isBodyless(method: string): boolean {
  return method === 'GET' || method === 'HEAD'
}
