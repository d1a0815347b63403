/**
 * Fields as `node:http2` has them, as records and rules have them, and as HTTP/1 has them (RFC 9113 section 8). Names of
 * HTTP/2 are lower case; what is about one connection (RFC 9110 section 7.6.1) is not in it.
 */
import { sensitiveHeaders } from 'node:http2'
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http2'

import type { Field } from '../../exchange.ts'
import type { Destination } from '../../protocol.ts'
import { authorityOf } from '../../protocol.ts'

/** Fields that are about one connection only. */
const OF_CONNECTION: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
])

/** Those that `node:http2` sends once only; of several, the first counts, as for whoever reads them. */
const SINGLE: ReadonlySet<string> = new Set([
  'access-control-allow-credentials',
  'access-control-max-age',
  'access-control-request-method',
  'age',
  'authorization',
  'content-encoding',
  'content-language',
  'content-length',
  'content-location',
  'content-md5',
  'content-range',
  'content-type',
  'date',
  'dnt',
  'etag',
  'expires',
  'from',
  'host',
  'if-match',
  'if-modified-since',
  'if-none-match',
  'if-range',
  'if-unmodified-since',
  'last-modified',
  'location',
  'max-forwards',
  'proxy-authorization',
  'range',
  'referer',
  'retry-after',
  'tk',
  'upgrade-insecure-requests',
  'user-agent',
  'x-content-type-options',
])

/** The pseudo-fields of a request (RFC 9113 section 8.3.1). */
export interface RequestPseudo {
  readonly method: string
  readonly scheme: string
  readonly authority: string | undefined
  /** Whether only a Host field says the authority. */
  readonly isByHost: boolean
  readonly path: string
  /** Of an extended CONNECT (RFC 8441). */
  readonly protocol: string | undefined
}

/** Fields of a head without its pseudo-fields, in order, as they came. */
export function fieldsOf(raw: readonly string[]): readonly Field[] {
  const fields: Field[] = []
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] ?? ''
    if (!name.startsWith(':')) fields.push([name, raw[at + 1] ?? ''])
  }
  return fields
}

/** The pseudo-fields of a request. */
export function requestPseudo(headers: IncomingHttpHeaders): RequestPseudo {
  return {
    method: headers[':method'] ?? 'GET',
    scheme: headers[':scheme'] ?? 'https',
    authority: headers[':authority'] ?? headers.host,
    isByHost: headers[':authority'] === undefined,
    path: headers[':path'] ?? '',
    protocol: text(headers[':protocol']),
  }
}

function text(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : value?.[0]
}

/** The names of fields that may be in no table (RFC 7541 section 7.1.3), as the sender wants it. */
export function sensitiveNames(headers: IncomingHttpHeaders): readonly string[] {
  // A boundary: the symbol is not in the types of headers.
  const names = (headers as { readonly [sensitiveHeaders]?: unknown })[sensitiveHeaders]
  return Array.isArray(names) ? names.filter((name): name is string => typeof name === 'string') : []
}

/** The absolute URL of a request. */
export function urlOfPseudo({ scheme, authority, path }: RequestPseudo, destination: Destination): string {
  const host = authority ?? authorityOf(destination)
  return `${scheme}://${host}${path === '*' ? '' : path}`
}

/**
 * Fields as `node:http2` sends them, without those that are about one connection.
 *
 * @param pseudo - The pseudo-fields, which come first.
 * @param sensitive - The names of those that may be in no table.
 */
export function outgoing(
  pseudo: Readonly<Record<string, string | number>>,
  fields: readonly Field[],
  sensitive: readonly string[] = [],
): OutgoingHttpHeaders {
  // Without a prototype: there are fields named `constructor`. A boundary: the type of such an object is not told.
  const headers: OutgoingHttpHeaders = Object.create(null) as OutgoingHttpHeaders
  Object.assign(headers, pseudo)
  const named = namedByConnection(fields)
  for (const [given, value] of fields) {
    const name = given.toLowerCase()
    if (OF_CONNECTION.has(name) || named?.has(name)) continue
    // RFC 9113 section 8.2.2.
    if (name === 'te' && value.trim().toLowerCase() !== 'trailers') continue
    const before = headers[name]
    if (before === undefined) headers[name] = value
    else if (Array.isArray(before)) before.push(value)
    else if (!SINGLE.has(name)) headers[name] = [String(before), value]
  }
  // A boundary: the symbol is not in the types of headers.
  if (sensitive.length > 0) (headers as Record<symbol, unknown>)[sensitiveHeaders] = [...sensitive]
  return headers
}

/** The names that a `connection` field says are about this connection. */
function namedByConnection(fields: readonly Field[]): ReadonlySet<string> | undefined {
  let names: Set<string> | undefined
  for (const [name, value] of fields) {
    if (name.toLowerCase() !== 'connection') continue
    names ??= new Set()
    for (const each of value.split(',')) names.add(each.trim().toLowerCase())
  }
  return names
}

/**
 * Fields of a request of HTTP/2 as HTTP/1 has them: with Host, and one Cookie (RFC 9113 section 8.2.3).
 *
 * @param authority - Where the request is for.
 */
export function http1RequestFields(fields: readonly Field[], authority: string): readonly Field[] {
  const cookies = fields.filter(([name]) => name === 'cookie').map(([, value]) => value)
  const others = fields.filter(([name]) => name !== 'cookie' && name !== 'host' && !OF_CONNECTION.has(name))
  const host: Field = ['host', authority]
  return cookies.length === 0 ? [host, ...others] : [host, ...others, ['cookie', cookies.join('; ')]]
}

/** Fields of a message of HTTP/1 as HTTP/2 has them: in lower case, without those that are about one connection. */
export function http2Fields(fields: readonly Field[]): readonly Field[] {
  const named = namedByConnection(fields)
  const kept: Field[] = []
  for (const [given, value] of fields) {
    const name = given.toLowerCase()
    if (!OF_CONNECTION.has(name) && !named?.has(name)) kept.push([name, value.trim()])
  }
  return kept
}
