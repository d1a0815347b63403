/**
 * URL patterns as Playwright's `page.route` has them: `*` is anything but `/`, `**` is anything, `{a,b}` is either, `?`
 * is itself, and a backslash takes the meaning from the next character.
 */
import { domainToASCII } from 'node:url'

import type { Destination } from '../protocol.ts'
import { invalidFilter } from './filter-text.ts'
import { authoritiesOf } from './request-location.ts'
import type { RequestLocation } from './request-location.ts'

/** What can be said of all requests to a destination, before there is one. */
export type Forecast = 'all' | 'none' | 'some'

/** A compiled URL pattern. */
export interface UrlGlob {
  /** @param isWebSocket - Whether the request asks for a WebSocket; asked only where the pattern says so. */
  matches(location: RequestLocation, isWebSocket: () => boolean): boolean
  /** Whether the URLs of this host match. The scheme is not known yet. */
  forecast(destination: Destination): Forecast
  /** Whether it depends on more of the URL than scheme and host. */
  readonly needsPath: boolean
  /** Whether every URL matches. */
  readonly isForAll: boolean
  /** Whether it has a scheme of WebSockets, and means nothing else by that. */
  readonly isForWebSockets: boolean
}

/** `{a,b}{c,d}…` multiplies: more than this is a mistake. */
const MAX_ALTERNATIVES = 1000
const EXPECTED_URL = 'a URL pattern such as "https://api.test/**", "**/api/charge" or "/api/charge"'

interface Alternative {
  readonly on: 'href' | 'path' | 'pathAndQuery'
  readonly source: string
  /** Which hosts it is for, where that is certain. */
  readonly authority?: { readonly scheme: string | undefined; readonly pattern: RegExp }
  /** Whether any path matches; and, where no authority is certain, any host. */
  readonly hasAnyPath: boolean
  /** Whether its scheme is that of WebSockets. */
  readonly isForWebSockets?: boolean
}

/** Patterns for whatever there is. */
const FOR_ALL = /^(?:\*\*+|\*\*+\/\*+|\/\*\*+)$/

/**
 * Compiles a pattern for whole URLs. One that begins with `/` is for the path, and for the query too if it has a `?`.
 * The host is compared in lower case and without the scheme's own port; `https://api.test` is `https://api.test/`;
 * `**` before `://` stands for a scheme only.
 *
 * @throws {@link MitmError} `MITM_INVALID_FILTER` when no URL could match, or when braces do not pair.
 */
export function compileUrlGlob(key: string, glob: string): UrlGlob {
  const alternatives = expandBraces(key, glob).map((alternative) => compileAlternative(key, glob, alternative))
  const href = union(alternatives, 'href')
  const socketHref = union(
    alternatives.filter(({ isForWebSockets }) => isForWebSockets),
    'href',
    true,
  )
  const path = union(alternatives, 'path')
  const pathAndQuery = union(alternatives, 'pathAndQuery')
  return {
    matches: (location, isWebSocket) =>
      href?.test(location.href) === true ||
      path?.test(location.path) === true ||
      pathAndQuery?.test(location.pathAndQuery) === true ||
      (socketHref?.test(location.href) === true && isWebSocket()),
    forecast(destination) {
      const { https, http } = authoritiesOf(destination)
      const forHttps = alternatives.filter((each) => isForAuthority(each, 'https', https))
      const forHttp = alternatives.filter((each) => isForAuthority(each, 'http', http))
      if (forHttps.length + forHttp.length === 0) return 'none'
      const hasAnyPath = (each: Alternative): boolean => each.hasAnyPath && each.isForWebSockets !== true
      return forHttps.some(hasAnyPath) && forHttp.some(hasAnyPath) ? 'all' : 'some'
    },
    needsPath: alternatives.some(({ hasAnyPath, isForWebSockets }) => !hasAnyPath || isForWebSockets === true),
    isForAll: alternatives.some(({ authority, hasAnyPath }) => hasAnyPath && !authority),
    isForWebSockets: socketHref !== undefined,
  }
}

function isForAuthority({ authority }: Alternative, scheme: 'http' | 'https', name: string): boolean {
  return !authority || ((authority.scheme ?? scheme) === scheme && authority.pattern.test(name))
}

/**
 * Compiles a pattern for paths alone.
 *
 * @throws {@link MitmError} `MITM_INVALID_FILTER` when no path could match.
 */
export function compilePathGlob(key: string, glob: string): RegExp {
  const sources = expandBraces(key, glob).map((alternative) => {
    if (!/^[/*]/.test(alternative) || hasQuery(alternative)) {
      throw invalidFilter(key, glob, 'a path without query, such as "/api/*" or "**/charge"')
    }
    return globSource(encodePath(alternative))
  })
  return new RegExp(`^(?:${sources.join('|')})$`)
}

function union(
  alternatives: readonly Alternative[],
  on: Alternative['on'],
  isForWebSockets = false,
): RegExp | undefined {
  const sources = alternatives
    .filter((alternative) => alternative.on === on && (alternative.isForWebSockets ?? false) === isForWebSockets)
    .map(({ source }) => source)
  return sources.length > 0 ? new RegExp(`^(?:${sources.join('|')})$`) : undefined
}

function compileAlternative(key: string, glob: string, alternative: string): Alternative {
  const isForAll = FOR_ALL.test(alternative)
  if (alternative.startsWith('/')) {
    const on = hasQuery(alternative) ? 'pathAndQuery' : 'path'
    return { on, source: globSource(encodePath(alternative)), hasAnyPath: isForAll }
  }
  const [, scheme, authority, rest] = /^([^/?]*?):\/\/((?:\\[^?]|[^/?\\])*)(.*)$/s.exec(alternative) ?? []
  if (scheme === undefined || authority === undefined || rest === undefined) {
    if (!couldBeginUrl(alternative)) throw invalidFilter(key, glob, EXPECTED_URL)
    return { on: 'href', source: globSource(encodePath(alternative)), hasAnyPath: isForAll }
  }
  const written = scheme.toLowerCase()
  const isForWebSockets = written === 'ws' || written === 'wss'
  const lowerScheme = isForWebSockets ? written.replace('ws', 'http') : written
  const host = normalAuthority(lowerScheme, authority)
  const crossesHost = host.includes('**')
  const path = rest.startsWith('/') || crossesHost ? rest : `/${rest}`
  const schemeSource = /\*\*/.test(scheme) ? globSource(lowerScheme.replaceAll(/\*+/g, '*')) : globSource(lowerScheme)
  const isKnown = new RegExp(`^${schemeSource}$`)
  if (!isKnown.test('http') && !isKnown.test('https'))
    throw invalidFilter(key, glob, 'http, https, ws or wss as its scheme')
  const source = `${schemeSource}:${globSource(`//${host}${encodePath(path)}`)}`
  if (crossesHost) return { on: 'href', source, hasAnyPath: false, isForWebSockets }
  return {
    on: 'href',
    source,
    isForWebSockets,
    hasAnyPath: /^\/\*\*+$/.test(path),
    authority: {
      scheme: lowerScheme === 'http' || lowerScheme === 'https' ? lowerScheme : undefined,
      pattern: new RegExp(`^${globSource(host)}$`),
    },
  }
}

/** Whether what stands before the first `/` can be the `https:` of a URL. Names without a scheme never are. */
function couldBeginUrl(alternative: string): boolean {
  const beginning = alternative.split('/', 1)[0] ?? ''
  if (beginning.includes('**')) return true
  const pattern = new RegExp(`^${globSource(beginning)}$`)
  return alternative.includes('/') && (pattern.test('https:') || pattern.test('http:'))
}

function normalAuthority(scheme: string, authority: string): string {
  const [, host = '', port = ''] = /^(.*?)(:[\d*]*)?$/s.exec(authority) ?? []
  // oxlint-disable-next-line no-control-regex -- all of ASCII is meant
  const ascii = /[^\x00-\x7f]/.test(host) && !host.includes('*') ? domainToASCII(host) || host : host
  const isOwnPort = port === ':' || (scheme === 'https' && port === ':443') || (scheme === 'http' && port === ':80')
  return ascii.toLowerCase() + (isOwnPort ? '' : port)
}

/** As URLs have them on the wire: blanks and everything beyond ASCII in percent-encoding. */
function encodePath(glob: string): string {
  return glob.replaceAll(/[^\x21-\x7e]+/g, (text) =>
    [...Buffer.from(text)].map((octet) => `%${octet.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  )
}

function hasQuery(glob: string): boolean {
  return glob.includes('?')
}

/** The source of a RegExp for a pattern without braces. */
function globSource(glob: string): string {
  let source = ''
  for (let at = 0; at < glob.length; at++) {
    const char = glob.charAt(at)
    if (char === '\\' && at + 1 < glob.length) {
      source += escapeRegExp(glob.charAt(++at))
    } else if (char !== '*') {
      source += escapeRegExp(char)
    } else {
      const isAfterSlash = glob.charAt(at - 1) === '/'
      const first = at
      while (glob.charAt(at + 1) === '*') at++
      if (at === first) {
        source += '[^/]*'
      } else if (glob.charAt(at + 1) === '/') {
        at++
        source += isAfterSlash ? '(?:.+/)?' : '.*/' // "/a/**/b" is "/a/b" too
      } else {
        source += '.*'
      }
    }
  }
  return source
}

function escapeRegExp(char: string): string {
  return /[\\^$.*+?()[\]{}|/]/.test(char) ? `\\${char}` : char
}

function expandBraces(key: string, glob: string): string[] {
  const problem = (expected: string): Error => invalidFilter(key, glob, expected)
  let done = ['']
  let group: string[] | undefined
  for (let at = 0; at < glob.length; at++) {
    let char = glob.charAt(at)
    if (char === '\\' && at + 1 < glob.length) char += glob.charAt(++at)
    if (char === '{') {
      if (group) throw problem('no braces within braces')
      group = ['']
    } else if (char === '}') {
      if (!group) throw problem('a "{" before each "}"; write "\\}" for the character')
      const choices = group
      done = done.flatMap((before) => choices.map((choice) => before + choice))
      if (done.length > MAX_ALTERNATIVES) throw problem(`at most ${MAX_ALTERNATIVES} alternatives`)
      group = undefined
    } else if (group && char === ',') {
      group.push('')
    } else if (group) {
      group.push((group.pop() ?? '') + char)
    } else {
      done = done.map((before) => before + char)
    }
  }
  if (group) throw problem('a "}" for each "{"; write "\\{" for the character')
  return done
}
