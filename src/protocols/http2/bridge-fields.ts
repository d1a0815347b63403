/**
 * Fields as HTTP/2 has them on the wire, as records and rules have them, and as HTTP/1 has them (RFC 9113 section 8). Names of
 * HTTP/2 are lower case; what is about one connection (RFC 9110 section 7.6.1) is not in it.
 */
import type { Field } from '../../exchange.ts'
import type { Destination } from '../../protocol.ts'
import { authorityOf } from '../../protocol.ts'
import type { BridgedRequestHead, BridgedResponseHead } from './bridge-server.ts'
import { CONNECTION_FIELDS } from './section-check.ts'

/** Fields of HTTP/1 that are about one connection only. */
const OF_CONNECTION: ReadonlySet<string> = new Set([...CONNECTION_FIELDS, 'http2-settings'])

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

/** Fields of a section without its pseudo-fields, which come first, as they came. */
export function fieldsOf(section: readonly Field[]): readonly Field[] {
  let count = 0
  while (section[count]?.[0].startsWith(':')) count++
  return section.slice(count)
}

/** The pseudo-fields of a request, in a section that has those that it must have. */
export function requestPseudo(section: readonly Field[]): RequestPseudo {
  let method = ''
  let scheme = 'https'
  let authority: string | undefined
  let path = ''
  let protocol: string | undefined
  for (const [name, value] of section) {
    if (name === ':method') method = value
    else if (name === ':scheme') scheme = value
    else if (name === ':authority') authority = value
    else if (name === ':path') path = value
    else if (name === ':protocol') protocol = value
    else break
  }
  const isByHost = authority === undefined
  authority ??= section.find(([name]) => name === 'host')?.[1]
  return { method, scheme, authority, isByHost, path, protocol }
}

/** A response's section as a head. */
export function responseHead(section: readonly Field[], sensitive: readonly string[]): BridgedResponseHead {
  return { status: Number(section[0]?.[1] ?? 0), fields: section.slice(1), sensitive, isSound: true }
}

/** The absolute URL of a request. */
export function urlOfPseudo({ scheme, authority, path }: RequestPseudo, destination: Destination): string {
  const host = authority ?? authorityOf(destination)
  return `${scheme}://${host}${path === '*' ? '' : path}`
}

/** The section of a request, as it is sent. */
export function requestSection(head: BridgedRequestHead): readonly Field[] {
  const { method, scheme, authority, path, protocol, isByHost } = head
  const pseudo: Field[] = [[':method', method]]
  if (!isByHost) pseudo.push([':authority', authority])
  if (method !== 'CONNECT' || protocol !== undefined) pseudo.push([':scheme', scheme], [':path', path])
  if (protocol !== undefined) pseudo.push([':protocol', protocol])
  return head.isSound ? pseudo.concat(head.fields) : outgoing(head.fields, pseudo)
}

/**
 * Fields as they are sent, without those that are about one connection.
 *
 * @param section - The pseudo-fields, which come first.
 */
export function outgoing(fields: readonly Field[], section: Field[] = []): readonly Field[] {
  const named = namedByConnection(fields)
  for (const field of fields) {
    const name = field[0].toLowerCase()
    if (OF_CONNECTION.has(name) || named?.has(name)) continue
    // RFC 9113 section 8.2.2.
    if (name === 'te' && field[1].trim().toLowerCase() !== 'trailers') continue
    section.push(name === field[0] ? field : [name, field[1]])
  }
  return section
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
