/** How servers are reached: the options of it, what they mean, and their check. */
import { isIP } from 'node:net'

import { MitmError } from './errors.ts'
import type { MaybePromise } from './internal/maybe-promise.ts'

/** How servers are reached. */
export interface UpstreamOptions {
  /** Certificates in PEM, trusted beside the system's roots. */
  ca?: string | Buffer | readonly (string | Buffer)[] | undefined
  /**
   * Whether the certificate of a server, and of an `https:` proxy, is checked. If the check of a server's fails, the client
   * is shown a certificate that it will not accept either.
   *
   * @defaultValue `true`
   */
  rejectUnauthorized?: boolean | undefined
  /**
   * A proxy to send everything through: `http://user:password@corp:3128`, `https://corp:3129` (TLS to the proxy) or
   * `socks5://corp:1080` (also `socks5h:`, `socks:`). It resolves the names of the servers. User name and password are
   * percent-decoded, and are in no text of ours.
   */
  proxy?: string | undefined
  /**
   * Hosts that are reached without `proxy`: `name`, `.suffix`, `*.suffix`, each also with `:port`; addresses and ranges of
   * them (`10.0.0.0/8`); `<local>` for names without a dot; `*`. No effect without `proxy`.
   */
  noProxy?: readonly string[] | undefined
  /**
   * Where names are, in place of the system's DNS: see {@link Lookup}. Asked for servers, after `hosts`, and for the name of
   * `proxy`; not for servers behind the proxy.
   */
  lookup?: Lookup | undefined
  /** Certificates that servers are shown when they ask for one: see {@link ClientCertificate}. @defaultValue `[]` */
  clientCertificates?: readonly ClientCertificate[] | undefined
}

/**
 * An own DNS: an object of names and `*.suffix`es to addresses, or a function that is asked for each name at each
 * connection. Several addresses are tried in their order; for `undefined`, and for names that the object does not have, the
 * system is asked. What a function throws fails the connection with `MITM_DNS_FAILED`.
 */
export type Lookup =
  | Readonly<Record<string, string | readonly string[]>>
  | ((hostname: string) => MaybePromise<string | readonly string[] | undefined>)

/**
 * A certificate that servers are shown when they ask for one, with its key. An entry of Playwright's `clientCertificates` is
 * one. The certificate is either `cert` with `key`, or `pfx`; each as content, or as the path of a file.
 */
export interface ClientCertificate {
  /** For which servers, as the client calls them (before `hosts`): `https://pay.test`, `https://pay.test:8443`. */
  origin?: string | undefined
  /** In place of `origin`: a name with any port, `name:port`, `*.suffix`, or `*`. */
  host?: string | undefined
  /** The certificate in PEM, with those of its issuers behind it, if there are any. */
  cert?: string | Buffer | undefined
  certPath?: string | undefined
  /** The private key in PEM. */
  key?: string | Buffer | undefined
  keyPath?: string | undefined
  /** Certificate and key as PKCS #12. */
  pfx?: Buffer | undefined
  pfxPath?: string | undefined
  /** Opens `key` or `pfx`. */
  passphrase?: string | undefined
}

/** {@link UpstreamOptions} as they are used. Client certificates are kept by what shows them. */
export interface ResolvedUpstream {
  readonly ca: readonly string[]
  readonly rejectUnauthorized: boolean
  readonly proxy: UpstreamProxy | undefined
  readonly noProxy: readonly string[]
  readonly lookup: Lookup | undefined
}

const DEFAULT_PORTS: Readonly<Record<string, number>> = { http: 80, https: 443, socks5: 1080 }

/** A proxy behind the mitm. Shown, it is without user name and password. */
export class UpstreamProxy {
  readonly protocol: 'http' | 'https' | 'socks5'
  /** Name or address, an IPv6 address without brackets. */
  readonly host: string
  readonly port: number
  readonly #credentials: { readonly user: string; readonly password: string } | undefined

  /** @param url - One that `upstream.proxy` takes. */
  constructor(url: URL) {
    const scheme = url.protocol.slice(0, -1)
    this.protocol = scheme === 'http' || scheme === 'https' ? scheme : 'socks5'
    this.host = url.hostname.replace(/^\[|\]$/g, '')
    this.port = Number(url.port) || (DEFAULT_PORTS[this.protocol] ?? 0)
    const isTold = url.username !== '' || url.password !== ''
    this.#credentials = isTold
      ? { user: percentDecoded(url.username), password: percentDecoded(url.password) }
      : undefined
  }

  /** What the URL says of user name and password, to be told to the proxy and to nobody else. */
  credentials(): { readonly user: string; readonly password: string } | undefined {
    return this.#credentials
  }

  /** `http://corp:3128`. */
  toString(): string {
    return `${this.protocol}://${this.host.includes(':') ? `[${this.host}]` : this.host}:${this.port}`
  }
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // A bare % that somebody did not encode, which URLs allow.
    return text
  }
}

const KNOWN = ['ca', 'rejectUnauthorized', 'proxy', 'noProxy', 'lookup', 'clientCertificates']
const PROXY_SCHEMES = ['http:', 'https:', 'socks5:', 'socks5h:', 'socks:']

/**
 * Checks the options and fills in the defaults.
 *
 * @throws {@link MitmError} `MITM_INVALID_OPTION`, which shows neither passwords nor keys.
 */
export function resolveUpstream(options: UpstreamOptions = {}): ResolvedUpstream {
  const given: unknown = options
  if (typeof given !== 'object' || given === null) throw invalid('upstream', 'is no object', 'an object')
  for (const key of Object.keys(given)) {
    if (!KNOWN.includes(key)) throw invalid(`upstream.${key}`, 'is not an option', `one of ${KNOWN.join(', ')}`)
  }
  const { ca, rejectUnauthorized = true, proxy, noProxy = [], lookup } = options
  if (ca !== undefined && ![ca].flat().every(isCertificate)) {
    throw invalid('upstream.ca', 'holds something else', 'certificates in PEM')
  }
  if (typeof rejectUnauthorized !== 'boolean') {
    throw invalid('upstream.rejectUnauthorized', `is ${show(rejectUnauthorized)}`, 'true or false')
  }
  if (proxy !== undefined) checkProxy(proxy)
  if (!Array.isArray(noProxy) || !noProxy.every((entry: unknown) => typeof entry === 'string')) {
    throw invalid('upstream.noProxy', `is ${show(noProxy)}`, 'an array of hosts')
  }
  if (lookup !== undefined && typeof lookup !== 'function') checkLookup(lookup)
  return {
    ca: [ca ?? []].flat().map(String),
    rejectUnauthorized,
    proxy: proxy === undefined ? undefined : new UpstreamProxy(new URL(proxy)),
    noProxy,
    lookup,
  }
}

/** The error for an option of `upstream` that cannot be so. */
export function invalid(name: string, found: string, expected: string, cause?: unknown): MitmError {
  const text = `Cannot use option ${JSON.stringify(name)}: it ${found}, expected ${expected}`
  return new MitmError('MITM_INVALID_OPTION', text, { cause })
}

function show(value: unknown): string {
  try {
    return JSON.stringify(value)?.slice(0, 200) ?? String(value)
  } catch {
    return String(value)
  }
}

function isCertificate(value: unknown): boolean {
  return (
    (typeof value === 'string' || Buffer.isBuffer(value)) &&
    /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----/.test(String(value))
  )
}

/** Shows nothing of it but the scheme: there may be a password in it. */
function checkProxy(value: unknown): void {
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined
  if (url && url.hostname !== '' && PROXY_SCHEMES.includes(url.protocol)) return
  const found = !url ? 'is no URL' : url.hostname === '' ? 'names no host' : `has the scheme ${show(url.protocol)}`
  throw invalid('upstream.proxy', found, "an 'http://', 'https://' or 'socks5://' URL")
}

function checkLookup(lookup: unknown): void {
  if (typeof lookup !== 'object' || lookup === null) {
    throw invalid('upstream.lookup', `is ${show(lookup)}`, 'a function, or an object of names to addresses')
  }
  for (const [name, addresses] of Object.entries(lookup)) {
    if (areAddresses(addresses)) continue
    throw invalid(`upstream.lookup[${JSON.stringify(name)}]`, `is ${show(addresses)}`, 'an IP address or several')
  }
}

/** Whether a value is an IP address, or a list of at least one of them. */
export function areAddresses(value: unknown): value is string | readonly string[] {
  const list: readonly unknown[] = [value].flat()
  return list.length > 0 && list.every((address) => typeof address === 'string' && isIP(address) !== 0)
}
