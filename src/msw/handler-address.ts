/** Which requests the path of a handler could mean, found out without building a `Request` and asking MSW. */
import { types } from 'node:util'

import type { Destination } from '../protocol.ts'
import type { RequestLocation } from '../rules/request-location.ts'

/** What a path of MSW could mean. `true` where it is open: then MSW itself is asked. */
export interface HandlerAddress {
  /** The only host it can mean, in lower case; undefined when it may be any. */
  readonly host: string | undefined
  /** Whether it could mean a request to this host. */
  mayMatch(destination: Destination): boolean
  /** Whether it could mean this URL. */
  means(location: RequestLocation): boolean
}

/** A part of a path in which nothing is left open, and which is the same in every spelling. */
const PLAIN = /^[\w.~-]*$/
const ABSOLUTE = /^([a-z][a-z\d+.-]*):\/\/([^/]*)(.*)$/i
const PLAIN_AUTHORITY = /^([a-z\d](?:[a-z\d.-]*[a-z\d])?)(?::(\d+))?$/i
/** What MSW takes off a path (`cleanUrl()` there), unless it ends with an optional parameter. */
const CLEANED_OFF = /[?|#].*$/

const PLAIN_URL_PATH = /^[\w./~!$&'()*+,;=:@-]*$/
const DOT_SEGMENT = /(?:^|\/)\.{1,2}(?:\/|$)/

const ANYTHING: HandlerAddress = { host: undefined, mayMatch: () => true, means: () => true }

/**
 * Takes the path of a handler apart. Both majors of MSW have a syntax of their own for what is not plain, so nothing is
 * said of that; and one of them ignores case, and both a slash at the end.
 *
 * @param path - A URL or a path with parameters and wildcards, a RegExp, or a function; a relative one is of any host.
 */
export function addressOf(path: unknown): HandlerAddress {
  if (types.isRegExp(path)) return { ...ANYTHING, means: regExpTest(path) }
  if (typeof path !== 'string') return ANYTHING
  const cleaned = path.endsWith('?') ? path : path.replace(CLEANED_OFF, '')
  const [, scheme, authority, rest] = ABSOLUTE.exec(cleaned) ?? []
  const [, host, port] = PLAIN_AUTHORITY.exec(authority ?? '') ?? []
  const meansPath = pathTest(rest ?? (/^(?:\*|\/\/)/.test(cleaned) ? `*/${cleaned}` : cleaned))
  if (scheme === undefined || host === undefined) return { ...ANYTHING, means: ({ path: actual }) => meansPath(actual) }
  const wanted = host.toLowerCase()
  const ports = port === undefined ? portsOf(scheme) : [Number(port)]
  return {
    host: wanted,
    mayMatch: (destination) => destination.host.toLowerCase() === wanted && ports.includes(destination.port),
    means: (location) =>
      location.host === wanted &&
      (location.port === undefined || ports.includes(location.port)) &&
      meansPath(location.path),
  }
}

/** Both, where the scheme itself is open. */
function portsOf(scheme: string): readonly number[] {
  if (/^(?:https|wss)$/i.test(scheme)) return [443]
  return /^(?:http|ws)$/i.test(scheme) ? [80] : [80, 443]
}

/** Whether a path could be meant: its plain beginning and its plain end are compared. */
function pathTest(pattern: string): (path: string) => boolean {
  const parts = pattern.split('/')
  const open = parts.findIndex((part) => !PLAIN.test(part))
  if (open < 0) {
    const wanted = comparable(pattern.startsWith('/') || pattern === '' ? pattern : `/${pattern}`)
    return (path) => comparable(path) === wanted || !isPlain(path)
  }
  const lastOpen = parts.findLastIndex((part) => !PLAIN.test(part))
  const start = comparable(parts.slice(0, open).join('/'))
  const prefix = pattern.startsWith('/') ? start : ''
  const end = parts.slice(lastOpen + 1)
  // With a slash at the end, it is MSW's own affair what that means.
  const suffix = end.length === 0 || end.at(-1) === '' ? '' : comparable(`/${end.join('/')}`)
  return (path) => {
    if (!isPlain(path)) return true
    const actual = comparable(path)
    return actual.startsWith(prefix) && actual.endsWith(suffix)
  }
}

/** Whether a RegExp could mean a URL, which it is shown without its query. */
function regExpTest({ source, flags }: RegExp): (location: RequestLocation) => boolean {
  // Without the flags by which it would remember where it was.
  const regExp = new RegExp(source, flags.replace(/[gy]/g, ''))
  return ({ href, path, search }) => {
    if (!isPlain(path)) return true
    const url = href.slice(0, href.length - search.length)
    // A WebSocket is shown by its own scheme, and perhaps without the slash at its end.
    return [
      url,
      url.replace(/\/$/, ''),
      url.replace(/^http/, 'ws'),
      url.replace(/^http/, 'ws').replace(/\/$/, ''),
    ].some((each) => regExp.test(each))
  }
}

/** Whether a path is written by a `URL` as it was sent; what is not is left to MSW. A percent sign may stand for anything. */
function isPlain(path: string): boolean {
  return PLAIN_URL_PATH.test(path) && !DOT_SEGMENT.test(path)
}

function comparable(path: string): string {
  return path.replace(/\/+$/, '').toLowerCase()
}
