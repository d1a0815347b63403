/**
 * SOCKS messages, octets in and values out: SOCKS5 (RFC 1928, RFC 1929), SOCKS4 and 4a. No I/O.
 *
 * Every function is given all octets that have come so far, and says how many of them the message took. No message is
 * longer than 520 octets: lengths are single octets, and where SOCKS4 has none, {@link MAX_SOCKS4_TEXT} holds.
 */
import { MitmError } from '../../errors.ts'
import type { Side } from '../../errors.ts'

/** A message that was read, and how many octets it took. */
export interface Parsed<T> {
  readonly value: T
  readonly length: number
}

/** What a parser gives: the message, or word that it needs more octets. */
export type ParseResult<T> = Parsed<T> | 'incomplete'

/** Where a client wants to go. */
export interface SocksRequest {
  /** Name or address, an IPv6 address in its canonical text without brackets. */
  readonly host: string
  readonly port: number
}

/** What a SOCKS5 client opens with. */
export interface SocksGreeting {
  /** The methods that the client offers, in its order. */
  readonly methods: readonly number[]
  /** The one to answer with: a value of {@link AUTH_METHODS}. */
  readonly method: number
}

/** The methods of RFC 1928 section 3 that are known here. */
export const AUTH_METHODS = { none: 0x00, userPassword: 0x02, noneAcceptable: 0xff } as const

/** Most octets of a SOCKS4 user id, and of a SOCKS4a host name; the protocol itself sets no limit. */
const MAX_SOCKS4_TEXT = 255

/** A SOCKS message that cannot be read or obeyed, with the code that tells the client why. */
export class SocksError extends MitmError {
  override readonly name: string = 'SocksError'
  /**
   * What to answer with: `reply(replyCode)` after a SOCKS5 request, `socks4Reply(false)` after one of SOCKS4 (0x5B).
   * Undefined where the protocol has no answer, as after a bad greeting: then the connection is closed.
   */
  readonly replyCode: number | undefined

  constructor(message: string, details: { replyCode?: number | undefined; side?: Side } = {}) {
    super('MITM_MALFORMED_SOCKS', message, { side: details.side ?? 'client' })
    this.replyCode = details.replyCode
  }
}

/**
 * Reads a SOCKS5 greeting (RFC 1928 section 3) and chooses the method: none if it is offered, else user name and
 * password (any will do), else none is acceptable.
 *
 * ```
 * | version 5 | number of methods | methods |
 * |     1     |         1         |  0-255  |
 * ```
 *
 * @throws {@link SocksError} `MITM_MALFORMED_SOCKS` when the version is not 5.
 */
export function parseGreeting(octets: Uint8Array): ParseResult<SocksGreeting> {
  const version = octets[0]
  if (version === undefined) return 'incomplete'
  expectVersion('greeting', version, { expected: 5 })
  const count = octets[1]
  if (count === undefined || octets.length < 2 + count) return 'incomplete'
  const methods = [...octets.subarray(2, 2 + count)]
  const method = methods.includes(AUTH_METHODS.none)
    ? AUTH_METHODS.none
    : methods.includes(AUTH_METHODS.userPassword)
      ? AUTH_METHODS.userPassword
      : AUTH_METHODS.noneAcceptable
  return { value: { methods, method }, length: 2 + count }
}

/**
 * Reads user name and password (RFC 1929 section 2). Answer with `userPasswordReply()`.
 *
 * ```
 * | version 1 | length | user name | length | password |
 * |     1     |    1   |   0-255   |    1   |  0-255   |
 * ```
 *
 * @throws {@link SocksError} `MITM_MALFORMED_SOCKS` when the version is not 1.
 */
export function parseUserPassword(octets: Uint8Array): ParseResult<{ user: string; password: string }> {
  const version = octets[0]
  if (version === undefined) return 'incomplete'
  expectVersion('user name and password', version, { expected: 1 })
  const userLength = octets[1]
  if (userLength === undefined) return 'incomplete'
  const passwordAt = 3 + userLength
  const passwordLength = octets[passwordAt - 1]
  if (passwordLength === undefined || octets.length < passwordAt + passwordLength) return 'incomplete'
  const user = Buffer.from(octets.subarray(2, 2 + userLength)).toString()
  const password = Buffer.from(octets.subarray(passwordAt, passwordAt + passwordLength)).toString()
  return { value: { user, password }, length: passwordAt + passwordLength }
}

/**
 * Reads a SOCKS5 request (RFC 1928 section 4). Only CONNECT is obeyed.
 *
 * ```
 * | version 5 | command | reserved | address type | address                       | port |
 * |     1     |    1    |     1    |       1      | 4, or 16, or a length and 1-255 |   2  |
 * ```
 *
 * @throws {@link SocksError} `MITM_MALFORMED_SOCKS` with the reply code 7 for another command, 8 for another address
 *   type, and 1 for anything else that breaks the protocol.
 */
export function parseRequest(octets: Uint8Array): ParseResult<SocksRequest> {
  const [version, command] = octets
  if (version === undefined) return 'incomplete'
  expectVersion('request', version, { expected: 5, replyCode: 0x01 })
  if (command === undefined) return 'incomplete'
  expectConnect(command, 0x07)
  const address = parseAddress(octets, 3, 'request')
  if (address !== 'incomplete') checkHostName(address.value.host, 0x01)
  return address
}

/**
 * Reads a SOCKS4 or SOCKS4a request. Only CONNECT is obeyed. An address 0.0.0.x with x other than 0 says that a name
 * follows (4a).
 *
 * ```
 * | version 4 | command | port | address | user id, 0 | host name, 0 (4a only) |
 * |     1     |    1    |   2  |    4    |    0-255, 1 |  1-255, 1              |
 * ```
 *
 * @throws {@link SocksError} `MITM_MALFORMED_SOCKS` with the reply code 0x5B for another version or command, a user id
 *   or host name of more than {@link MAX_SOCKS4_TEXT} octets, and a host name that is empty or not ASCII.
 */
export function parseSocks4Request(octets: Uint8Array): ParseResult<SocksRequest & { user: string }> {
  const [version, command] = octets
  if (version === undefined) return 'incomplete'
  expectVersion('request', version, { expected: 4, replyCode: 0x5b })
  if (command === undefined) return 'incomplete'
  expectConnect(command, 0x5b)
  if (octets.length < 8) return 'incomplete'
  const port = readPort(octets, 2)
  const user = readUntilZero(octets, 8, 'user id')
  if (user === 'incomplete') return 'incomplete'
  const isNamed = octets[4] === 0 && octets[5] === 0 && octets[6] === 0 && octets[7] !== 0
  if (!isNamed) return { value: { host: ipText(octets.subarray(4, 8)), port, user: user.value }, length: user.length }
  const host = readUntilZero(octets, user.length, 'host name')
  if (host === 'incomplete') return 'incomplete'
  checkHostName(host.value, 0x5b)
  return { value: { host: host.value, port, user: user.value }, length: host.length }
}

/**
 * Reads what a SOCKS5 server answers to a greeting: the method it chose.
 *
 * @throws {@link SocksError} `MITM_MALFORMED_SOCKS` when the version is not 5.
 */
export function parseGreetingReply(octets: Uint8Array): ParseResult<{ method: number }> {
  const [version, method] = octets
  if (version === undefined) return 'incomplete'
  expectVersion('greeting reply', version, { expected: 5, side: 'server' })
  return method === undefined ? 'incomplete' : { value: { method }, length: 2 }
}

/**
 * Reads what a SOCKS5 server answers to user name and password (RFC 1929 section 2): 0 is success.
 *
 * @throws {@link SocksError} `MITM_MALFORMED_SOCKS` when the version is not 1.
 */
export function parseUserPasswordReply(octets: Uint8Array): ParseResult<{ status: number }> {
  const [version, status] = octets
  if (version === undefined) return 'incomplete'
  expectVersion('user name and password reply', version, { expected: 1, side: 'server' })
  return status === undefined ? 'incomplete' : { value: { status }, length: 2 }
}

/** What a SOCKS5 server answers to a request. */
export interface SocksReply {
  /** 0 is success; the others are in `REPLY_MEANINGS`. */
  readonly code: number
  /** The address that the server connected from; undefined after a refusal. */
  readonly bind: SocksRequest | undefined
}

/**
 * Reads what a SOCKS5 server answers to a request (RFC 1928 section 6), laid out as the request is, with a reply code in
 * the place of the command. A refusal is given as soon as its code is there: some servers send no address after it.
 *
 * @throws {@link SocksError} `MITM_MALFORMED_SOCKS` when the version is not 5 or the address type is unknown.
 */
export function parseReply(octets: Uint8Array): ParseResult<SocksReply> {
  const [version, code] = octets
  if (version === undefined) return 'incomplete'
  expectVersion('reply', version, { expected: 5, side: 'server' })
  if (code === undefined) return 'incomplete'
  if (code !== 0) return { value: { code, bind: undefined }, length: octets.length }
  const bind = parseAddress(octets, 3, 'reply')
  return bind === 'incomplete' ? 'incomplete' : { value: { code, bind: bind.value }, length: bind.length }
}

/** Address type, address and port, as requests and replies of SOCKS5 have them. */
function parseAddress(octets: Uint8Array, at: number, what: 'request' | 'reply'): ParseResult<SocksRequest> {
  const type = octets[at]
  if (type === undefined) return 'incomplete'
  if (type !== 1 && type !== 3 && type !== 4) {
    const details = { replyCode: 0x08, side: what === 'request' ? 'client' : 'server' } as const
    throw new SocksError(`Cannot read SOCKS ${what}: address type is ${type}, expected 1, 3 or 4`, details)
  }
  const start = type === 3 ? at + 2 : at + 1
  const size = type === 3 ? octets[at + 1] : type === 1 ? 4 : 16
  if (size === undefined || octets.length < start + size + 2) return 'incomplete'
  const host = type === 3 ? latin1(octets, start, start + size) : ipText(octets.subarray(start, start + size))
  return { value: { host, port: readPort(octets, start + size) }, length: start + size + 2 }
}

function expectVersion(
  what: string,
  version: number,
  { expected, ...details }: { expected: number; replyCode?: number; side?: Side },
): void {
  if (version !== expected)
    throw new SocksError(`Cannot read SOCKS ${what}: version is ${version}, expected ${expected}`, details)
}

function expectConnect(command: number, replyCode: number): void {
  if (command === 1) return
  const name = command === 2 ? ' (BIND)' : command === 3 ? ' (UDP ASSOCIATE)' : ''
  throw new SocksError(`Cannot obey SOCKS request: command is ${command}${name}, expected 1 (CONNECT)`, { replyCode })
}

/** A name goes into records, `Host` fields and certificates, where blanks, controls and raw octets have no business. */
function checkHostName(host: string, replyCode: number): void {
  if (/^[\x21-\x7e]+$/.test(host)) return
  const expected = 'expected 1 to 255 octets of printable ASCII'
  throw new SocksError(`Cannot read SOCKS request: host name is ${JSON.stringify(host)}, ${expected}`, { replyCode })
}

function readPort(octets: Uint8Array, at: number): number {
  return (octets[at] ?? 0) * 256 + (octets[at + 1] ?? 0)
}

function readUntilZero(octets: Uint8Array, at: number, what: string): ParseResult<string> {
  const end = octets.indexOf(0, at)
  if ((end === -1 ? octets.length : end) - at > MAX_SOCKS4_TEXT) {
    const found = `${what} has more than ${MAX_SOCKS4_TEXT} octets`
    throw new SocksError(`Cannot read SOCKS request: ${found}, expected a zero octet`, { replyCode: 0x5b })
  }
  return end === -1 ? 'incomplete' : { value: latin1(octets, at, end), length: end + 1 }
}

function latin1(octets: Uint8Array, from: number, to: number): string {
  return Buffer.from(octets.subarray(from, to)).toString('latin1')
}

/** 4 or 16 octets as text; that of IPv6 is what URLs have (RFC 5952), because the URL parser makes it. */
function ipText(octets: Uint8Array): string {
  if (octets.length === 4) return octets.join('.')
  const groups = Array.from({ length: 8 }, (_, index) => readPort(octets, 2 * index).toString(16))
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1)
}
