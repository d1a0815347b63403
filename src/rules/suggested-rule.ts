/** A rule that an exchange would match, as text to paste into a test. */
import type { Exchange } from '../exchange.ts'
import { isWebSocketHandshake } from '../web-socket-handshake.ts'
import { Unreadable } from './filter-part.ts'
import { graphqlOperations, mayBeGraphql } from './graphql-request.ts'
import type { GraphqlOperation } from './graphql-request.ts'
import { locate } from './request-location.ts'

/** Methods for which a rule has a method of its own. */
const SHORT: readonly string[] = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD']
/** Longest URL that is written out with its query. */
const MAX_URL = 200

/** `mitm.post('https://pay.test/charge').json({})`. */
export function suggestedRule(exchange: Exchange): string {
  const { method, url } = exchange.request
  if (isWebSocketHandshake(exchange)) {
    return `mitm.webSocket(${quote(globFor(webSocketUrl(url)))}).mock((socket) => socket.send('hello'))`
  }
  const { href, search } = locate(url)
  const pattern =
    href.length <= MAX_URL || search === '' ? globFor(href) : `${globFor(href.slice(0, -search.length))}?**`
  const operationName = operationNameOf(exchange)
  if (operationName !== undefined) {
    const parts = [`method: ${quote(method)}`, `url: ${quote(pattern)}`, `graphql: ${quote(operationName)}`]
    return `mitm.when({ ${parts.join(', ')} }).json({ data: {} })`
  }
  const filter = SHORT.includes(method)
    ? `mitm.${method.toLowerCase()}(${quote(pattern)})`
    : `mitm.when({ method: ${quote(method)}, url: ${quote(pattern)} })`
  return filter + answerFor(exchange)
}

/** `http.post('https://pay.test/charge', () => HttpResponse.json({}))`, as MSW has it. */
export function suggestedHandler(exchange: Exchange): string {
  const { method, url } = exchange.request
  if (isWebSocketHandshake(exchange)) {
    return `ws.link(${quote(webSocketUrl(url))}).addEventListener('connection', ({ client }) => client.send('hello'))`
  }
  const operation = operationOf(exchange)
  if (operation?.operationName !== undefined && operation.operationType !== 'subscription') {
    const name = quote(operation.operationName)
    return `graphql.${operation.operationType ?? 'operation'}(${name}, () => HttpResponse.json({ data: {} }))`
  }
  const verb = SHORT.includes(method) || method === 'OPTIONS' ? method.toLowerCase() : 'all'
  const { href, search } = locate(url)
  // Handlers are matched by path; what is after it they look at themselves.
  return `http.${verb}(${quote(href.slice(0, href.length - search.length))}, () => HttpResponse.json({}))`
}

/** The pattern for everything at the host of an exchange; undefined where it has none. */
export function patternOfHost(exchange: Exchange): string | undefined {
  const { href, authority } = locate(exchange.request.url)
  return authority ? `${href.slice(0, href.indexOf('://'))}://${globFor(authority)}/**` : undefined
}

/** A text as JavaScript has it in single quotes. */
export function quote(text: string): string {
  const inner = JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"')
  return `'${inner.replaceAll("'", "\\'")}'`
}

function answerFor({ request }: Exchange): string {
  if (request.method === 'HEAD' || request.method === 'OPTIONS') return '.respond(204)'
  switch (request.header('sec-fetch-dest')) {
    case 'document':
    case 'iframe':
      return ".respond(200, '<title></title>')"
    case 'script':
      return ".respond(200, '', { 'content-type': 'text/javascript' })"
    case 'style':
      return ".respond(200, '', { 'content-type': 'text/css' })"
    case 'image':
    case 'font':
    case 'audio':
    case 'video':
      return '.respond(404)'
    default:
      return '.json({})'
  }
}

function operationNameOf(exchange: Exchange): string | undefined {
  return operationOf(exchange)?.operationName
}

function operationOf(exchange: Exchange): GraphqlOperation | undefined {
  if (!mayBeGraphql(exchange)) return undefined
  try {
    return graphqlOperations(exchange)[0]
  } catch (error) {
    if (error instanceof Unreadable) return undefined // it is none, or its body has not come
    throw error
  }
}

/** The URL of a WebSocket, without query. */
function webSocketUrl(url: string): string {
  const { href, search } = locate(url)
  return href.slice(0, href.length - search.length).replace(/^http/, 'ws')
}

/** A pattern that only this text matches. */
function globFor(text: string): string {
  return text.replaceAll(/[*{}\\]/g, '\\$&')
}
