/** SOCKS messages, values in and octets out: what the mitm answers its clients, and what it asks of upstream proxies. */
import { isMitmError, MitmError, systemCode } from '../../errors.ts'
import { AUTH_METHODS, SocksError } from './parse.ts'
import type { SocksRequest } from './parse.ts'

/** What the reply codes of RFC 1928 section 6 mean. */
export const REPLY_MEANINGS: Readonly<Record<number, string>> = {
  0: 'succeeded',
  1: 'general SOCKS server failure',
  2: 'connection not allowed by ruleset',
  3: 'network unreachable',
  4: 'host unreachable',
  5: 'connection refused',
  6: 'TTL expired',
  7: 'command not supported',
  8: 'address type not supported',
}

/**
 * The reply codes for errors. A timeout is 6, "TTL expired": servers commonly say ETIMEDOUT so, and any other code would
 * make it look like a refusal or a wrong name.
 */
const REPLY_CODES: Readonly<Record<string, number>> = {
  MITM_LOOP: 2,
  MITM_UNMATCHED_REQUEST: 2,
  MITM_DNS_FAILED: 4,
  MITM_DNS_TIMEOUT: 4,
  MITM_DIAL_TIMEOUT: 6,
  MITM_UPSTREAM_PROXY_TIMEOUT: 6,
  ENETUNREACH: 3,
  ENETDOWN: 3,
  ENOTFOUND: 4,
  EAI_AGAIN: 4,
  EHOSTUNREACH: 4,
  EHOSTDOWN: 4,
  ECONNREFUSED: 5,
  ETIMEDOUT: 6,
}

/** Answers a SOCKS5 greeting with the method chosen (RFC 1928 section 3). */
export function greetingReply(method: number): Buffer {
  return Buffer.from([5, method])
}

/** Answers user name and password (RFC 1929 section 2). After `false` the connection must be closed. */
export function userPasswordReply(accepted: boolean): Buffer {
  return Buffer.from([1, accepted ? 0 : 1])
}

/**
 * Answers a SOCKS5 request (RFC 1928 section 6).
 *
 * @param code - 0 for success, or a key of {@link REPLY_MEANINGS}.
 * @param bind - The address that was connected from; clients do not look at it. @defaultValue 0.0.0.0:0
 */
export function reply(code: number, bind: SocksRequest = { host: '0.0.0.0', port: 0 }): Buffer {
  return Buffer.from([5, code, 0, ...address(bind)])
}

/** Answers a SOCKS4 or 4a request: 0x5A when granted, else 0x5B. */
export function socks4Reply(granted: boolean): Buffer {
  return Buffer.from([0, granted ? 0x5a : 0x5b, 0, 0, 0, 0, 0, 0])
}

/**
 * The SOCKS5 reply code that says best why a connection could not be made.
 *
 * @param error - What was thrown. Its own code is looked at first, then those of its causes.
 * @returns A key of {@link REPLY_MEANINGS}, 1 when nothing better is known. Never 0.
 */
export function replyCodeFor(error: unknown): number {
  let current = error
  // Causes may be anybody's, so also a ring.
  for (let depth = 0; depth < 8 && current instanceof Error; depth++) {
    if (current instanceof SocksError && current.replyCode !== undefined && current.replyCode in REPLY_MEANINGS)
      return current.replyCode
    const code = isMitmError(current) ? current.code : systemCode(current)
    const replyCode = code !== undefined && Object.hasOwn(REPLY_CODES, code) ? REPLY_CODES[code] : undefined
    if (replyCode !== undefined) return replyCode
    current = current.cause
  }
  return 1
}

/** Opens towards a SOCKS5 server, offering no authentication and, with credentials, also user name and password. */
export function clientGreeting(withCredentials: boolean): Buffer {
  return withCredentials
    ? Buffer.from([5, 2, AUTH_METHODS.none, AUTH_METHODS.userPassword])
    : Buffer.from([5, 1, AUTH_METHODS.none])
}

/**
 * Gives a SOCKS5 server user name and password (RFC 1929 section 2).
 *
 * @throws {@link MitmError} `MITM_UPSTREAM_PROXY_FAILED` when one of them has more than 255 octets in UTF-8.
 */
export function clientUserPassword(user: string, password: string): Buffer {
  return Buffer.from([1, ...counted(Buffer.from(user), 'user name'), ...counted(Buffer.from(password), 'password')])
}

/**
 * Asks a SOCKS5 server to connect (RFC 1928 section 4). A name is left to it to resolve.
 *
 * @param host - Name or address, an IPv6 address without brackets.
 * @throws {@link MitmError} `MITM_UPSTREAM_PROXY_FAILED` when the name has more than 255 octets.
 */
export function clientRequest(host: string, port: number): Buffer {
  return Buffer.from([5, 1, 0, ...address({ host, port })])
}

/** Address type, address and port. */
function address({ host, port }: SocksRequest): number[] {
  const portOctets = [(port >> 8) & 0xff, port & 0xff]
  const ipv4 = ipv4Octets(host)
  if (ipv4) return [1, ...ipv4, ...portOctets]
  const ipv6 = ipv6Octets(host)
  if (ipv6) return [4, ...ipv6, ...portOctets]
  return [3, ...counted(Buffer.from(host), 'host name'), ...portOctets]
}

function counted(octets: Buffer, what: string): number[] {
  if (octets.length > 255)
    throw new MitmError(
      'MITM_UPSTREAM_PROXY_FAILED',
      `Cannot ask a SOCKS proxy: ${what} has ${octets.length} octets, expected at most 255`,
    )
  return [octets.length, ...octets]
}

function ipv4Octets(host: string): number[] | undefined {
  if (!/^\d{1,3}(?:\.\d{1,3}){3}$/.test(host)) return undefined
  const octets = host.split('.').map(Number)
  return octets.every((octet) => octet < 256) ? octets : undefined
}

function ipv6Octets(host: string): number[] | undefined {
  const url = `http://[${host}]`
  if (!/^[\da-f:.]*:[\da-f:.]*$/i.test(host) || !URL.canParse(url)) return undefined
  // The URL parser has checked it, and written an IPv4 tail as two groups.
  const [head = '', tail] = new URL(url).hostname.slice(1, -1).split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = Array<string>(8 - before.length - after.length).fill('0')
  return [...before, ...zeros, ...after].flatMap((group) => {
    const value = Number.parseInt(group, 16)
    return [value >> 8, value & 0xff]
  })
}
