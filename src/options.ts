/** The options of a `Mitm`: what they mean, their defaults, and their check. */
import { MitmError } from './errors.ts'
import type { CertificateFlaw } from './fault.ts'
import { parseHostPattern } from './internal/host-pattern.ts'
import type { Middleware } from './middleware.ts'
import type { Protocol } from './protocol.ts'
import { resolveUpstream } from './upstream-options.ts'
import type { ResolvedUpstream, UpstreamOptions } from './upstream-options.ts'

/** What a certificate authority must do for the mitm; `CertificateAuthority` does. */
export interface LeafIssuer {
  /** The CA's certificate in PEM. */
  readonly certificate: string
}

/** In which ways a server is at fault on purpose in a TLS handshake. */
export interface ServerFlaws {
  /** What is wrong with its certificate. @defaultValue nothing */
  readonly flaw?: CertificateFlaw | undefined
  /** The newest version that it speaks; `TLSv1` is the oldest. @defaultValue the usual ones */
  readonly maxVersion?: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | undefined
}

/** The options of {@link Mitm}, all optional. */
export interface MitmOptions<Authority extends LeafIssuer = LeafIssuer> {
  /** Address to listen on. Only loopback addresses are taken: the proxy has no access control. @defaultValue `'127.0.0.1'` */
  host?: string | undefined
  /** Port to listen on; 0 takes a free one. @defaultValue `0` */
  port?: number | undefined
  /** Tried in order, before the built-in ones unless `builtinProtocols` is false. @defaultValue `[]` */
  protocols?: readonly Protocol[] | undefined
  /** Whether HTTP/1, SOCKS and raw TCP follow `protocols`. @defaultValue `true` */
  builtinProtocols?: boolean | undefined
  /** Run in order, for each connection. @defaultValue `[]` */
  middlewares?: readonly Middleware[] | undefined
  /** Signs the certificates that clients are shown. @defaultValue one for the whole process, made when first needed */
  certificateAuthority?: Authority | undefined
  /**
   * Where names really go: `{ 'pay.test': '127.0.0.1:4001', 'old.test': 'http://127.0.0.1:4002' }`. A key is a name,
   * `name:port` or `*.suffix`; a URL as value changes the scheme too, a value without a port keeps the port.
   */
  hosts?: Readonly<Record<string, string>> | undefined
  /** How servers are reached. */
  upstream?: UpstreamOptions | undefined
  /**
   * Whose TLS is relayed as it is, not opened: `['*.bank.test', 'pinned.test:8443']`. Hosts as in filters: a name (on any
   * port) or `name:port`; `*` is anything, dots too. Compared with the name that the client asks for in its TLS hello
   * (SNI), and with the host of its tunnel: one of them is enough. No rule sees what passes so, and no hook.
   *
   * @defaultValue `[]`
   */
  passthrough?: readonly string[] | undefined
  /**
   * Whose TLS is opened; what is for others is relayed as it is. Hosts as for `passthrough`, which goes before it.
   *
   * @defaultValue `['**']`: everybody's
   */
  intercept?: readonly string[] | undefined
  /**
   * A file that the secrets of all TLS handshakes are appended to, those with clients and those with servers, for
   * Wireshark to decrypt a capture with (NSS key log format). Whoever reads it can decrypt what passed.
   *
   * @defaultValue none, whatever the environment says: `process.env['SSLKEYLOGFILE']` is what other programs take
   */
  keyLogFile?: string | undefined
  /** Octets kept per body in recordings, and held where a rule needs a body whole; traffic itself is never limited. @defaultValue 10 MiB */
  maxBodyBytes?: number | undefined
  /** Largest head of a request that must be understood. @defaultValue 262144 */
  maxHeadBytes?: number | undefined
  /** Milliseconds to wait for a silent client's first bytes inside a tunnel before the server may speak first. @defaultValue 100 */
  firstBytesWaitMs?: number | undefined
  /** Milliseconds for a client to say what it wants: first bytes, SOCKS, TLS hello, first request head. @defaultValue 10000 */
  handshakeTimeoutMs?: number | undefined
  /** Milliseconds for one of the addresses of a server, or of `upstream.proxy`, to accept. @defaultValue 10000 */
  connectTimeoutMs?: number | undefined
  /** Milliseconds for the addresses of a name to be found. @defaultValue `connectTimeoutMs` */
  lookupTimeoutMs?: number | undefined
  /** Milliseconds for `upstream.proxy`, once it has accepted, to connect to a server. @defaultValue `connectTimeoutMs` */
  upstreamProxyTimeoutMs?: number | undefined
  /** Milliseconds for a TLS handshake with a server. @defaultValue `connectTimeoutMs` */
  serverTlsTimeoutMs?: number | undefined
  /**
   * Milliseconds for the head of a response to come, once its request has been sent whole; an interim response begins them
   * anew. Then the client gets 504.
   *
   * @defaultValue no limit but `idleTimeoutMs`
   */
  responseTimeoutMs?: number | undefined
  /** Milliseconds without a byte in either direction after which a connection is closed. @defaultValue 300000 */
  idleTimeoutMs?: number | undefined
  /** Told of every error that was reported; nothing is thrown for them. @defaultValue none */
  onError?: ((error: MitmError) => void) | undefined
}

/** {@link MitmOptions} with the defaults filled in. */
export interface ResolvedOptions<Authority extends LeafIssuer = LeafIssuer> {
  readonly host: string
  readonly port: number
  readonly protocols: readonly Protocol[]
  readonly builtinProtocols: boolean
  readonly middlewares: readonly Middleware[]
  readonly certificateAuthority: Authority | undefined
  readonly hosts: Readonly<Record<string, string>>
  readonly upstream: ResolvedUpstream
  readonly passthrough: readonly string[]
  readonly intercept: readonly string[]
  readonly keyLogFile: string | undefined
  readonly maxBodyBytes: number
  readonly maxHeadBytes: number
  readonly firstBytesWaitMs: number
  readonly handshakeTimeoutMs: number
  readonly connectTimeoutMs: number
  readonly lookupTimeoutMs: number
  readonly upstreamProxyTimeoutMs: number
  readonly serverTlsTimeoutMs: number
  readonly responseTimeoutMs: number | undefined
  readonly idleTimeoutMs: number
  readonly onError: ((error: MitmError) => void) | undefined
}

/** A name, perhaps `*.` before it or a port behind it; an IPv6 address with or without brackets. */
const HOST_KEY = /^(?:\*\.)?[^\s/*@]+$/
const LOOPBACK = /^(?:localhost|127\.\d+\.\d+\.\d+|::1)$/
/** What Node's timers can hold. */
const MAX_TIMER_MS = 2 ** 31 - 1

const CHECKS: { readonly [Key in keyof Required<MitmOptions>]: (value: unknown) => string | undefined } = {
  host: (value) =>
    typeof value === 'string' && LOOPBACK.test(value) ? undefined : 'a loopback address, such as 127.0.0.1 or ::1',
  port: (value) => integerIn(value, 0, 65_535),
  protocols: (value) =>
    arrayOf(value, ['resolve', 'connect', 'handle'], 'protocols (objects with resolve, connect and handle)'),
  builtinProtocols: isBoolean,
  middlewares: (value) => arrayOf(value, [], 'middlewares (objects with hooks)'),
  certificateAuthority: (value) =>
    typeof value === 'object' && value !== null && 'certificate' in value && 'contextFor' in value
      ? undefined
      : 'a CertificateAuthority',
  hosts: checkHosts,
  // Checked part by part, so that an error shows none but the one that is wrong.
  upstream: () => undefined,
  passthrough: hostPatterns,
  intercept: hostPatterns,
  keyLogFile: (value) => (typeof value === 'string' && value !== '' ? undefined : 'the path of a file'),
  maxBodyBytes: (value) => integerIn(value, 0, Number.MAX_SAFE_INTEGER),
  maxHeadBytes: (value) => integerIn(value, 256, 2 ** 30),
  firstBytesWaitMs: (value) => integerIn(value, 0, MAX_TIMER_MS),
  handshakeTimeoutMs: isTimeout,
  connectTimeoutMs: isTimeout,
  lookupTimeoutMs: isTimeout,
  upstreamProxyTimeoutMs: isTimeout,
  serverTlsTimeoutMs: isTimeout,
  responseTimeoutMs: isTimeout,
  idleTimeoutMs: isTimeout,
  onError: (value) => (typeof value === 'function' ? undefined : 'a function'),
}

/**
 * Checks options and fills in the defaults.
 *
 * @throws {@link MitmError} `MITM_INVALID_OPTION` naming the option, its value and what was expected.
 */
export function resolveOptions<Authority extends LeafIssuer>(
  options: MitmOptions<Authority> = {},
): ResolvedOptions<Authority> {
  demandKnown(options, Object.keys(CHECKS))
  for (const [key, value] of Object.entries(options)) {
    // A boundary: the line before has seen to that.
    const expected = value === undefined ? undefined : CHECKS[key as keyof MitmOptions](value)
    if (expected) throw invalidOption(key, value, expected)
  }
  const { connectTimeoutMs = 10_000 } = options
  return {
    host: options.host ?? '127.0.0.1',
    port: options.port ?? 0,
    protocols: options.protocols ?? [],
    builtinProtocols: options.builtinProtocols ?? true,
    middlewares: options.middlewares ?? [],
    certificateAuthority: options.certificateAuthority,
    hosts: options.hosts ?? {},
    upstream: resolveUpstream(options.upstream),
    passthrough: options.passthrough ?? [],
    intercept: options.intercept ?? ['**'],
    keyLogFile: options.keyLogFile,
    maxBodyBytes: options.maxBodyBytes ?? 10 * 1024 * 1024,
    maxHeadBytes: options.maxHeadBytes ?? 256 * 1024,
    firstBytesWaitMs: options.firstBytesWaitMs ?? 100,
    handshakeTimeoutMs: options.handshakeTimeoutMs ?? 10_000,
    connectTimeoutMs,
    lookupTimeoutMs: options.lookupTimeoutMs ?? connectTimeoutMs,
    upstreamProxyTimeoutMs: options.upstreamProxyTimeoutMs ?? connectTimeoutMs,
    serverTlsTimeoutMs: options.serverTlsTimeoutMs ?? connectTimeoutMs,
    responseTimeoutMs: options.responseTimeoutMs,
    idleTimeoutMs: options.idleTimeoutMs ?? 300_000,
    onError: options.onError,
  }
}

/**
 * Refuses options that do not exist.
 *
 * @throws {@link MitmError} `MITM_INVALID_OPTION`, also when `options` are no object.
 */
export function demandKnown(options: unknown, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null) throw invalidOption('options', options, 'an object')
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue
    const value: unknown = Reflect.get(options, key)
    throw invalidOption(key, value, `one of ${known.join(', ')}`, 'is not an option')
  }
}

/** The error for an option that cannot be so. */
export function invalidOption(name: string, value: unknown, expected: string, found = `is ${show(value)}`): MitmError {
  return new MitmError(
    'MITM_INVALID_OPTION',
    `Cannot use option ${JSON.stringify(name)}: it ${found}, expected ${expected}`,
  )
}

function show(value: unknown): string {
  if (typeof value === 'function') return 'a function'
  try {
    return JSON.stringify(value) ?? String(value)
  } catch {
    return String(value)
  }
}

function isBoolean(value: unknown): string | undefined {
  return typeof value === 'boolean' ? undefined : 'true or false'
}

function isTimeout(value: unknown): string | undefined {
  return integerIn(value, 1, MAX_TIMER_MS)
}

function integerIn(value: unknown, least: number, most: number): string | undefined {
  const fits = typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most
  return fits ? undefined : `a whole number from ${least} to ${most}`
}

function arrayOf(value: unknown, methods: readonly string[], expected: string): string | undefined {
  const fits =
    Array.isArray(value) &&
    value.every(
      (item: unknown) => typeof item === 'object' && item !== null && methods.every((method) => method in item),
    )
  return fits ? undefined : `an array of ${expected}`
}

function hostPatterns(value: unknown): string | undefined {
  const fits =
    Array.isArray(value) &&
    value.every((item: unknown) => typeof item === 'string' && parseHostPattern(item) !== undefined)
  return fits ? undefined : "an array of hosts such as 'api.test', 'api.test:8443' or '*.shop.test'"
}

function checkHosts(value: unknown): string | undefined {
  const expected = "an object of 'name', 'name:port' or '*.suffix' to 'host', 'host:port' or a URL"
  if (typeof value !== 'object' || value === null) return expected
  const isMeant = Object.entries(value).every(
    ([name, target]) => HOST_KEY.test(name) && typeof target === 'string' && parseHostTarget(target) !== undefined,
  )
  return isMeant ? undefined : expected
}

/** A value of `hosts`, taken apart; undefined when it is none. */
export function parseHostTarget(
  target: string,
): { host: string; port: number | undefined; tls: boolean | undefined } | undefined {
  const hasScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(target)
  const text = hasScheme ? target : `tcp://${/^[^[\]]*:[^[\]]*:/.test(target) ? `[${target}]` : target}`
  if (!URL.canParse(text)) return undefined
  const url = new URL(text)
  const scheme = url.protocol.slice(0, -1)
  if (!url.hostname || !['tcp', 'http', 'https', 'ws', 'wss'].includes(scheme)) return undefined
  const tls = hasScheme ? scheme === 'https' || scheme === 'wss' : undefined
  const port = url.port ? Number(url.port) : tls === undefined ? undefined : tls ? 443 : 80
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port, tls }
}
