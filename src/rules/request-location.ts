/** The parts of a request's URL, in the one spelling that filters compare with. */
import type { Destination } from '../protocol.ts'

/** A URL taken apart: scheme and host in lower case, no default port, no user, no fragment. */
export interface RequestLocation {
  /** The whole URL. */
  readonly href: string
  /** The host without port; an IPv6 address without brackets. */
  readonly host: string
  readonly port: number | undefined
  /** The host, with brackets where it needs them, and the port if it is not the scheme's own. */
  readonly authority: string
  readonly path: string
  /** With its `?`, or empty. */
  readonly search: string
  /** Path and query. */
  readonly pathAndQuery: string
}

/** scheme, host, port, path, query (RFC 3986 appendix B, with the authority split further) */
const URL_PARTS = /^([a-z][a-z0-9+.-]*):\/\/(?:[^/?#@]*@)?(\[[^\]/?#]*\]|[^/?#:]*)(?::(\d*))?([^?#]*)(\?[^#]*)?/i

let last: RequestLocation | undefined
let lastUrl: string | undefined

/**
 * Takes the URL of a request apart. All rules look at the same request one after the other, so the last answer is kept
 * and given again.
 */
export function locate(url: string): RequestLocation {
  if (last && url === lastUrl) return last
  lastUrl = url
  last = takeApart(url)
  return last
}

/** The two ways in which the authority of a URL could name this destination: as that of `https`, and of `http`. */
export function authoritiesOf(destination: Destination): { readonly https: string; readonly http: string } {
  const name = destination.host.toLowerCase()
  const host = name.includes(':') ? `[${name}]` : name
  const full = `${host}:${destination.port}`
  return { https: destination.port === 443 ? host : full, http: destination.port === 80 ? host : full }
}

function takeApart(url: string): RequestLocation {
  const [, scheme, host, port, rawPath, rawSearch] = URL_PARTS.exec(url) ?? []
  if (scheme === undefined || host === undefined) {
    return { href: url, host: '', port: undefined, authority: '', path: url, search: '', pathAndQuery: url }
  }
  const lowerScheme = scheme.toLowerCase()
  const lowerHost = host.toLowerCase()
  const ownPort = lowerScheme === 'https' || lowerScheme === 'wss' ? 443 : 80
  const portNumber = port ? Number(port) : ownPort
  const authority = portNumber === ownPort ? lowerHost : `${lowerHost}:${portNumber}`
  const path = rawPath || '/'
  const search = rawSearch ?? ''
  return {
    href: `${lowerScheme}://${authority}${path}${search}`,
    host: lowerHost.startsWith('[') ? lowerHost.slice(1, -1) : lowerHost,
    port: portNumber,
    authority,
    path,
    search,
    pathAndQuery: path + search,
  }
}
