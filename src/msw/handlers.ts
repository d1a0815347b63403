/** What MSW's handlers look like from outside. The package imports neither MSW nor its types: a handler brings its own. */
import { MitmError } from '../errors.ts'

/** A handler of requests, as `http.get()`, `graphql.query()` and `sse()` of MSW make them (2.10 and newer, and 3). */
export interface MswRequestHandler {
  /** What it is for, in words, and the line at which it was made. */
  readonly info: { readonly header: string; readonly callFrame?: string }
  /** Whether it has answered. */
  isUsed: boolean
  /** Answers a request: null where it is not for it, no response where it has nothing to say. */
  run(args: {
    request: Request
    requestId: string
    resolutionContext?: { baseUrl?: string; quiet?: boolean }
  }): Promise<{ response?: Response | undefined } | null>
}

/** A handler of WebSockets, as `ws.link(url).addEventListener('connection', …)` of MSW makes them. */
export interface MswWebSocketHandler {
  readonly id: string
  /** Takes a connection; null where it is not for it. */
  run(connection: unknown, resolutionContext?: { baseUrl?: string }): Promise<unknown>
  parse(args: unknown): unknown
}

/** A handler of MSW. */
export type MswHandler = MswRequestHandler | MswWebSocketHandler

/** Whether a value is a handler of requests. By its shape: there may be two copies of MSW, and two of its majors. */
function isRequestHandler(value: unknown): value is MswRequestHandler {
  if (!hasRun(value) || isForWebSockets(value)) return false
  const info = property(value, 'info')
  return typeof info === 'object' && info !== null && typeof property(info, 'header') === 'string'
}

/** Whether a value is a handler of WebSockets. */
export function isWebSocketHandler(value: unknown): value is MswWebSocketHandler {
  return hasRun(value) && isForWebSockets(value)
}

/** Whether a value is a handler. */
export function isHandler(value: unknown): value is MswHandler {
  return isRequestHandler(value) || isWebSocketHandler(value)
}

/**
 * The handlers of WebSockets that come with a handler, itself among them. In MSW 3 a subscription of GraphQL has its
 * transport beside it, under a symbol without a public name. What handles upgrades beside them is left out: it would
 * open a second WebSocket, from the test's own process.
 */
export function withSiblings(handler: MswWebSocketHandler): readonly MswWebSocketHandler[] {
  const key = Object.getOwnPropertySymbols(handler).find(({ description }) => description === 'kSiblingHandlers')
  const siblings: unknown = key === undefined ? undefined : Reflect.get(handler, key)
  if (!Array.isArray(siblings)) return [handler]
  return [...new Set([handler, ...siblings.filter(isWebSocketHandler)])]
}

/** The property of an object, also one that its type does not tell of. */
export function property(value: object, key: string): unknown {
  return Reflect.get(value, key)
}

/** Where a handler was made, as MSW noted it. */
export function callFrameOf(handler: MswHandler): string | undefined {
  const frame = isRequestHandler(handler) ? handler.info.callFrame : property(handler, 'callFrame')
  return typeof frame === 'string' ? frame : undefined
}

/**
 * The error for what is no handler.
 *
 * @param where - What it was handed to: `use()`.
 */
export function invalidHandler(where: string, value: unknown): MitmError {
  return new MitmError('MITM_INVALID_HANDLER', `Cannot take ${found(value)} in ${where}: ${expected(value, where)}`)
}

function found(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'function') return value.name === '' ? 'a function' : `the function ${value.name}`
  if (Array.isArray(value)) return `an array of ${value.length}`
  if (typeof value !== 'object' || value === null) return String(value)
  const name: unknown = value.constructor?.name
  return typeof name === 'string' && name !== 'Object' ? `an object of ${name}` : 'a plain object'
}

function expected(value: unknown, where: string): string {
  const takesArray = where === 'handlers' || where === 'defineMitm()'
  const spread = (what: string): string => (takesArray ? `[...${what}]` : `${where.replace(/\(\)$/, '')}(...${what})`)
  if (Array.isArray(value)) return `expected its elements one by one: ${spread('handlers')}`
  if (typeof value === 'object' && value !== null) {
    if (has(value, 'listHandlers')) return `expected what is in it: ${spread('server.listHandlers()')}`
    if (has(value, 'addEventListener') && 'clients' in value) {
      return "expected what its addEventListener('connection', …) returns"
    }
    if (isForWebSockets(value) || property(value, '__kind') === 'RequestHandler') {
      return 'its MSW is older than 2.10, which handlers cannot be run of'
    }
  }
  return 'expected a handler of MSW, such as http.get(…), or a middleware: an object with at least one hook'
}

function hasRun(value: unknown): value is { run: unknown } {
  return typeof value === 'object' && value !== null && has(value, 'run')
}

function has(value: object, method: string): boolean {
  return typeof property(value, method) === 'function'
}

function isForWebSockets(value: object): boolean {
  return property(value, 'kind') === 'websocket' || property(value, '__kind') === 'EventHandler'
}
