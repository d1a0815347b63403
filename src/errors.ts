/**
 * Every error of this package: one class, and one table of codes.
 *
 * Match on `code`; messages are for people and may change. `docs/errors.md` explains each code, and a test holds the
 * two lists equal.
 */

/** What each error code means, in one sentence. */
export const ERROR_CODES = {
  MITM_INVALID_OPTION: 'An option has a value that it cannot have',
  MITM_INVALID_FILTER: 'A filter has a key or a value that it cannot have',
  MITM_INVALID_RULE: 'A rule was told to do something it cannot do',
  MITM_INVALID_FAULT: 'A fault has an option that it cannot have',
  MITM_UNMATCHED_REQUEST: 'A request that no rule matches was not let through',
  MITM_INVALID_MIDDLEWARE: 'What was handed to use() is not a middleware',
  MITM_INVALID_HANDLER: 'What was handed over is neither a handler of MSW nor a middleware',
  MITM_INVALID_RECEIVER: 'A matcher was handed something that is not a mitm',
  MITM_LISTEN_FAILED: 'The proxy could not listen on the address it was given',
  MITM_NOT_RUNNING: 'The proxy was used before start() or after close()',
  MITM_CA_FAILED: 'A certificate authority could not be made, loaded or saved',
  MITM_INVALID_PROTOCOL: 'A protocol does not fit this traffic, so the next one is tried',
  MITM_NO_PROTOCOL: 'No protocol recognised what the client sent',
  MITM_SILENT_CLIENT: 'The client connected and sent nothing in time',
  MITM_INCOMPLETE_HANDSHAKE: 'The client began a handshake or a request head and did not finish it',
  MITM_MALFORMED_SOCKS: 'The client sent a SOCKS message that breaks the protocol',
  MITM_MALFORMED_TLS: 'The client sent a TLS hello that cannot be read',
  MITM_MALFORMED_HTTP: 'A request to the proxy itself does not say where to go',
  MITM_HEAD_TOO_LARGE: 'A message head is larger than maxHeadBytes',
  MITM_LOOP: 'A request would have sent the proxy to itself',
  MITM_DIAL_FAILED: 'The server could not be connected to',
  MITM_DIAL_TIMEOUT: 'The server did not accept the connection in time',
  MITM_DNS_FAILED: 'The name of the server could not be resolved',
  MITM_DNS_TIMEOUT: 'The name of the server was not resolved in time',
  MITM_UPSTREAM_PROXY_FAILED: 'The upstream proxy did not connect to the server',
  MITM_UPSTREAM_PROXY_TIMEOUT: 'The upstream proxy did not connect to the server in time',
  MITM_SERVER_TLS_FAILED: 'The TLS handshake with the server failed',
  MITM_SERVER_TLS_TIMEOUT: 'The TLS handshake with the server did not finish in time',
  MITM_SERVER_CERTIFICATE: 'The certificate of the server was not accepted',
  MITM_CLIENT_TLS_FAILED: 'The TLS handshake with the client failed',
  MITM_RESPONSE_TIMEOUT: 'The server did not begin its response in time',
  MITM_IDLE_TIMEOUT: 'Nothing passed in either direction for the time allowed',
  MITM_CLIENT_RESET: 'The client reset the connection',
  MITM_SERVER_RESET: 'The server reset the connection',
  MITM_SERVER_CLOSED: 'The server closed the connection before its response was whole',
  MITM_MALFORMED_RESPONSE:
    'The response of the server cannot be passed on in the version of HTTP that the client speaks',
  MITM_HTTP2_FAILED: 'An endpoint broke the rules of HTTP/2, so its connection was closed',
  MITM_MIDDLEWARE_FAILED: 'A middleware threw, or returned something other than octets',
  MITM_PROTOCOL_FAILED: 'A protocol threw something that was not a MitmError',
  MITM_RULE_FAILED: 'A function given to a rule threw or returned the wrong type',
  MITM_HANDLER_FAILED: 'A handler of MSW threw, or answered with something that cannot be sent',
  MITM_BODY_TOO_LARGE: 'A body that had to be held is larger than maxBodyBytes',
  MITM_BODY_TRUNCATED: 'A recorded body was not kept whole, so it cannot be decoded',
  MITM_BODY_UNDECODABLE: 'A body is not what its content-encoding or content-type says',
  MITM_WAIT_TIMEOUT: 'What was waited for did not happen in time',
  MITM_BROWSER_SETUP: 'The browser settings of the test keep its traffic from the proxy',
} as const

/** The codes of {@link ERROR_CODES}. */
export type ErrorCode = keyof typeof ERROR_CODES

/** One of the two ends of a connection. */
export type Side = 'client' | 'server'

/** What may be said of an error beside its code and message. */
export interface MitmErrorDetails {
  /** The end of the connection at which it happened. */
  side?: Side | undefined
  /** `host:port` that it is about. */
  authority?: string | undefined
  /** The error below this one, usually from the operating system or from the user's own function. */
  cause?: unknown
}

/**
 * The only error class of this package.
 *
 * @example
 * ```ts
 * import { isMitmError } from 'playwright-mitm/core'
 *
 * export function isUnreachable(error: unknown): boolean {
 *   return isMitmError(error) && error.code === 'MITM_DIAL_FAILED'
 * }
 * ```
 */
export class MitmError extends Error {
  override readonly name: string = 'MitmError'
  /** Which error this is; see `docs/errors.md`. */
  readonly code: ErrorCode
  /** The end of the connection at which it happened, where that is known. */
  readonly side: Side | undefined
  /** `host:port` that it is about, where there is one. */
  readonly authority: string | undefined

  constructor(code: ErrorCode, message: string, details: MitmErrorDetails = {}) {
    super(`${message} [${code}]`, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.side = details.side
    this.authority = details.authority
  }
}

/**
 * Tells a {@link MitmError}, also one from another realm or another copy of this package.
 *
 * @param error - Anything that was caught.
 * @returns Whether `error` carries a `code` of {@link ERROR_CODES}.
 */
export function isMitmError(error: unknown): error is MitmError {
  return (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'string' &&
    Object.hasOwn(ERROR_CODES, error.code)
  )
}

/**
 * Thrown by a protocol's `resolve()` or `connect()` to say "not mine": the search goes on with the next protocol, which
 * is given the same bytes.
 *
 * With `incomplete: true` it says "perhaps mine, I need more bytes": the protocol is asked again when more have come.
 *
 * @example
 * ```ts
 * import { InvalidProtocol } from 'playwright-mitm/core'
 *
 * export function demandGreeting(data: Buffer): void {
 *   if (!data.toString('latin1').startsWith('HELLO')) throw new InvalidProtocol('no greeting')
 * }
 * ```
 */
export class InvalidProtocol extends MitmError {
  override readonly name: string = 'InvalidProtocol'
  /** Whether more bytes could make this protocol fit. */
  readonly incomplete: boolean
  /** Milliseconds that more bytes are worth waiting for; undefined: as long as handshakes are waited for. */
  readonly waitMs: number | undefined

  constructor(
    reason = 'Not this protocol',
    options: { incomplete?: boolean; waitMs?: number | undefined; cause?: unknown } = {},
  ) {
    super('MITM_INVALID_PROTOCOL', reason, { cause: options.cause })
    this.incomplete = options.incomplete ?? false
    this.waitMs = options.waitMs
  }
}

/** The text of anything that was thrown. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** The system's code of an error (`ECONNRESET`), or undefined. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}
