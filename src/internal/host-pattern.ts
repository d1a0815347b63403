/** Patterns for hosts: `name` on any port, `name:port`, and `*` for any run of characters, dots too. */
import { domainToASCII } from 'node:url'

/** A pattern that has been checked. */
export interface HostPattern {
  /** The port that it is for; undefined: any. */
  readonly port: number | undefined
  /** Whether every host on every port matches. */
  readonly isForAll: boolean
  /**
   * @param host - Without brackets, in lower case.
   * @param port - `undefined` matches only patterns for any port.
   */
  readonly matches: (host: string, port: number | undefined) => boolean
}

/** host, in brackets or with at most one colon or an IPv6 address; port */
const HOST_AND_PORT = /^(?:\[([^\]]+)\]|([^:[\]]+)|([^[\]]*:[^[\]]*:[^[\]]*))(?::(\d+|\*))?$/
const MAX_PORT = 65_535

/** Reads a pattern; undefined when it is no host, such as a URL. */
export function parseHostPattern(text: string): HostPattern | undefined {
  const [, bracketed, name, address, portText] = HOST_AND_PORT.exec(text) ?? []
  const host = bracketed ?? name ?? address
  if (host === undefined || /[/?#@\s\\{}]/.test(host)) return undefined
  const port = portText === undefined || portText === '*' ? undefined : Number(portText)
  if (port !== undefined && port > MAX_PORT) return undefined
  const lower = (host.includes('*') ? host : domainToASCII(host) || host).toLowerCase()
  const pattern = lower.includes('*') ? new RegExp(`^${lower.split(/\*+/).map(escapeRegExp).join('.*')}$`) : undefined
  return {
    port,
    isForAll: /^\*+$/.test(lower) && port === undefined,
    matches: (actual, actualPort) =>
      (port === undefined || port === actualPort) && (pattern ? pattern.test(actual) : actual === lower),
  }
}

function escapeRegExp(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
}
