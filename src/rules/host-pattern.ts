/** Host patterns: `name` on any port, `name:port`, and `*` for any run of characters. */
import { domainToASCII } from 'node:url'

import type { Destination } from '../protocol.ts'
import { invalidFilter } from './filter-text.ts'
import type { Forecast } from './url-glob.ts'

/** A compiled host pattern. */
export interface HostPattern {
  /** @param host - Without brackets, in lower case. */
  readonly matches: (host: string, port: number | undefined) => boolean
  readonly forecast: (destination: Destination) => Forecast
  /** Whether every host matches. */
  readonly isForAll: boolean
}

/** host, in brackets or with at most one colon or an IPv6 address; port */
const HOST_AND_PORT = /^(?:\[([^\]]+)\]|([^:[\]]+)|([^[\]]*:[^[\]]*:[^[\]]*))(?::(\d+|\*))?$/

/**
 * Compiles a host pattern.
 *
 * @throws {@link MitmError} `MITM_INVALID_FILTER` when it is no host, such as a URL.
 */
export function compileHostPattern(key: string, text: string): HostPattern {
  const [, bracketed, name, address, port] = HOST_AND_PORT.exec(text) ?? []
  const host = bracketed ?? name ?? address
  if (host === undefined || /[/?#@\s\\{}]/.test(host)) {
    throw invalidFilter(key, text, 'a host such as "api.test", "api.test:8443" or "*.shop.test"')
  }
  const wantedPort = port === undefined || port === '*' ? undefined : Number(port)
  const lower = (host.includes('*') ? host : domainToASCII(host) || host).toLowerCase()
  const pattern = lower.includes('*') ? new RegExp(`^${lower.split('*').map(escapeRegExp).join('.*')}$`) : undefined
  const matches = (actual: string, actualPort: number | undefined): boolean =>
    (wantedPort === undefined || wantedPort === actualPort) && (pattern ? pattern.test(actual) : actual === lower)
  return {
    matches,
    forecast: (destination) => (matches(destination.host.toLowerCase(), destination.port) ? 'all' : 'none'),
    isForAll: /^\*+$/.test(lower) && wantedPort === undefined,
  }
}

function escapeRegExp(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
}
