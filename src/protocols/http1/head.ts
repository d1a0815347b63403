/**
 * Heads of HTTP/1 messages: where one ends, and what it says. No framing here (`framer.ts`), and no routing.
 *
 * Everything reads what endpoints are known to send, not only what RFC 9112 allows: a head that looks odd is shown as it
 * is, because it is relayed as it is.
 */
import type { Field, ResponseHead } from '../../exchange.ts'

/** A request head as its octets say it; the absolute URL is known only to who knows the connection. */
export interface ParsedRequestHead {
  readonly method: string
  /** What stood in the request line. */
  readonly target: string
  /** `HTTP/1.1`; empty when the request line has no version. */
  readonly httpVersion: string
  readonly fields: readonly Field[]
}

/** Where a request is for: `host` is without brackets, `port` 0 where the scheme has no default known here. */
export type ParsedTarget =
  | { readonly form: 'origin'; readonly path: string }
  | {
      readonly form: 'absolute'
      /** In lower case. */
      readonly scheme: string
      readonly host: string
      readonly port: number
      /** In origin-form, query included. */
      readonly path: string
    }
  | { readonly form: 'authority'; readonly host: string; readonly port: number }
  | { readonly form: 'asterisk' }
  /** None of the four. */
  | { readonly form: 'invalid' }

/** Longest request line, in octets, that counts as one. */
export const maxRequestLineBytes: number = 65_536

const maxMethodBytes = 32
const tab = 0x09
const lineFeed = 0x0a
const carriageReturn = 0x0d
const space = 0x20
const colon = 0x3a

/** Ports of the schemes that a client may send to a proxy. */
const defaultPorts: ReadonlyMap<string, number> = new Map([
  ['http', 80],
  ['ws', 80],
  ['https', 443],
  ['wss', 443],
])

const blankLine = Buffer.from('\n\r\n')
const bareBlankLine = Buffer.from('\n\n')
const versionStart = Buffer.from('HTTP/1.')

/** By octet: 1 for a `tchar` (RFC 9110 section 5.6.2). */
const isTokenOctet = new Uint8Array(256)
for (const octet of Buffer.from("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")) {
  isTokenOctet[octet] = 1
}

/**
 * Finds where a head ends: after its first blank line, not counting empty lines before the start line.
 *
 * @param octets - Octets that begin with a head, or with empty lines and then a head.
 * @param from - Where the head begins.
 * @returns The index after the blank line, or -1 when there is none yet.
 * @see RFC 9112 section 2.2: https://www.rfc-editor.org/rfc/rfc9112#section-2.2
 */
export function findHeadEnd(octets: Buffer, from = 0): number {
  return findBlankLine(octets, skipEmptyLines(octets, from))
}

/** Finds the first line end at or after `from` that a blank line follows; returns the index after that, or -1. */
export function findBlankLine(octets: Buffer, from: number): number {
  const at = octets.indexOf(blankLine, from)
  // Bounded, so that the body behind the head is not searched as well.
  const bareAt = (at === -1 ? octets : octets.subarray(0, at + 1)).indexOf(bareBlankLine, from)
  if (bareAt !== -1) return bareAt + bareBlankLine.length
  return at === -1 ? -1 : at + blankLine.length
}

/** Skips the CR and LF that may stand before a request line (RFC 9112 section 2.2). */
export function skipEmptyLines(octets: Buffer, from: number): number {
  let at = from
  while (octets[at] === carriageReturn || octets[at] === lineFeed) at++
  return at
}

/**
 * Tells whether octets begin an HTTP/1 request line: a method of at most 32 octets, a target without white space,
 * `HTTP/1.x`, and a line end, all in at most {@link maxRequestLineBytes}. Empty lines may come before it.
 *
 * @param octets - The first octets of a connection or message.
 * @returns `'incomplete'` while it could still become one.
 */
export function looksLikeRequest(octets: Buffer): 'yes' | 'no' | 'incomplete' {
  const { length } = octets
  const start = skipEmptyLines(octets, 0)

  let at = start
  while (isTokenOctet[octets[at] ?? 0] === 1 && at - start <= maxMethodBytes) at++
  if (at - start > maxMethodBytes) return 'no'
  if (at === length) return 'incomplete'
  if (at === start || octets[at] !== space) return 'no'

  const targetStart = ++at
  while (isTargetOctet(octets[at])) at++
  if (at - start > maxRequestLineBytes) return 'no'
  if (at === length) return 'incomplete'
  if (at === targetStart || octets[at] !== space) return 'no'

  at++
  const version = octets.subarray(at, at + versionStart.length)
  if (!version.equals(versionStart.subarray(0, version.length))) return 'no'
  at += versionStart.length
  if (at >= length) return 'incomplete'
  if (!isDigit(octets[at])) return 'no'

  at++
  while (octets[at] === space || octets[at] === tab) at++
  if (at - start > maxRequestLineBytes) return 'no'
  if (octets[at] === carriageReturn) at++
  if (at === length) return 'incomplete'
  return octets[at] === lineFeed ? 'yes' : 'no'
}

/**
 * Parses the head of a request. Never throws: what is missing comes out empty.
 *
 * @param octets - A whole head, as the framer gives it. Empty lines before it are skipped; octets are read as latin1.
 */
export function parseRequestHead(octets: Buffer): ParsedRequestHead {
  const text = octets.toString('latin1', skipEmptyLines(octets, 0))
  const [line, fieldsStart] = firstLine(text)
  const [method = '', ...words] = trimLine(line, 0, line.length).split(' ')
  const httpVersion = words.at(-1)?.startsWith('HTTP/') ? (words.pop() ?? '') : ''
  return { method, target: words.join(' '), httpVersion, fields: parseFields(text, fieldsStart) }
}

/**
 * Parses the head of a response. Never throws: what is missing comes out empty, and a missing status as 0.
 *
 * @param octets - A whole head, as the framer gives it; read as latin1.
 */
export function parseResponseHead(octets: Buffer): ResponseHead {
  const text = octets.toString('latin1', skipEmptyLines(octets, 0))
  const [line, fieldsStart] = firstLine(text)
  const [, httpVersion = '', status = '0', statusText = ''] = /^(\S*)(?:[ \t]+(\d+))?[ \t]?(.*)$/s.exec(line) ?? []
  return { status: Number(status), statusText, httpVersion, fields: parseFields(text, fieldsStart) }
}

/**
 * Parses `host`, `host:port`, `[IPv6]`, `[IPv6]:port` or a bare IPv6 address.
 *
 * @param authority - As in `Host`, CONNECT or a URL; one with userinfo is not valid here.
 * @param defaultPort - Taken when no port is said.
 * @returns The host without brackets, in the case it came in, and a port of 1 to 65535; undefined when invalid.
 * @see RFC 3986 section 3.2: https://www.rfc-editor.org/rfc/rfc3986#section-3.2
 */
export function parseAuthority(authority: string, defaultPort: number): { host: string; port: number } | undefined {
  if (isIpv6(authority)) return { host: authority, port: defaultPort }
  const match = /^(?:\[([^\]]*)\]|([^\x00-\x20\x7f"#/:<>?@[\\\]^`{|}]+))(?::(\d{0,5}))?$/.exec(authority)
  if (!match) return undefined
  const [, bracketed, name, digits] = match
  if (bracketed !== undefined && !isIpv6(bracketed)) return undefined
  const host = bracketed ?? name
  const port = digits ? Number(digits) : defaultPort
  if (host === undefined || (digits && (port < 1 || port > 65_535))) return undefined
  return { host, port }
}

/**
 * Tells the form of a request target, and what it says.
 *
 * Userinfo in an absolute target is left out of `host`: clients may not send it, and some do.
 *
 * @param target - As in the request line.
 * @param method - The method beside it; OPTIONS gives an absolute target without a path the path `*`.
 * @see RFC 9112 section 3.2: https://www.rfc-editor.org/rfc/rfc9112#section-3.2
 */
export function parseTarget(target: string, method = 'GET'): ParsedTarget {
  if (target.startsWith('/')) return { form: 'origin', path: target }
  if (target === '*') return { form: 'asterisk' }

  const absolute = /^([a-z][a-z0-9+.-]*):\/\/(?:[^/?#]*@)?([^/?#@]*)(.*)$/is.exec(target)
  if (absolute) {
    const [, name = '', authority = '', rest = ''] = absolute
    const scheme = name.toLowerCase()
    const place = parseAuthority(authority, defaultPorts.get(scheme) ?? 0)
    if (!place) return { form: 'invalid' }
    const emptyPath = method === 'OPTIONS' && rest === '' ? '*' : '/'
    return { form: 'absolute', scheme, ...place, path: rest.startsWith('/') ? rest : emptyPath + rest }
  }

  const place = parseAuthority(target, 0)
  return place && place.port > 0 ? { form: 'authority', ...place } : { form: 'invalid' }
}

/**
 * Parses the lines of a header or trailer section, up to a blank line or the end.
 *
 * A line without a colon is a field whose value is empty; an obsolete fold (RFC 9112 section 5.2) is joined to the value
 * before it with one space. Names are kept as they are, values lose the white space around them.
 *
 * @param text - The section, as latin1.
 * @param from - Where its first line begins.
 */
export function parseFields(text: string, from = 0): readonly Field[] {
  const fields: Field[] = []
  let start = from
  while (start < text.length) {
    const lineFeedAt = text.indexOf('\n', start)
    const end = lineFeedAt === -1 ? text.length : lineFeedAt
    const line = trimLine(text, start, end)
    if (line === '' && !isOws(text.charCodeAt(start))) break
    const last = fields.at(-1)
    if (last && isOws(text.charCodeAt(start))) {
      fields[fields.length - 1] = [last[0], last[1] === '' || line === '' ? last[1] + line : `${last[1]} ${line}`]
    } else {
      const colonAt = text.indexOf(':', start)
      if (colonAt === -1 || colonAt > end) fields.push([line, ''])
      else fields.push([text.slice(start, colonAt), trimLine(text, colonAt + 1, end)])
    }
    start = end + 1
  }
  return fields
}

/** The part of `text` between `start` and its line end at `end`, without the CR and without white space around it. */
export function trimLine(text: string, start: number, end: number): string {
  let last = end
  if (last > start && text.charCodeAt(last - 1) === carriageReturn) last--
  while (last > start && isOws(text.charCodeAt(last - 1))) last--
  let first = start
  while (first < last && isOws(text.charCodeAt(first))) first++
  return text.slice(first, last)
}

function firstLine(text: string): [line: string, next: number] {
  const lineFeedAt = text.indexOf('\n')
  const end = lineFeedAt === -1 ? text.length : lineFeedAt
  return [text.slice(0, text.charCodeAt(end - 1) === carriageReturn ? end - 1 : end), end + 1]
}

function isIpv6(text: string): boolean {
  return text.includes(':') && /^[\da-f:.]+$/i.test(text) && URL.canParse(`http://[${text}]/`)
}

function isOws(code: number): boolean {
  return code === space || code === tab
}

function isDigit(octet: number | undefined): boolean {
  return octet !== undefined && octet >= 0x30 && octet < colon
}

function isTargetOctet(octet: number | undefined): boolean {
  return octet !== undefined && octet > space && octet !== 0x7f
}
