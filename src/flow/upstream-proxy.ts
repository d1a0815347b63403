/** Asks an upstream proxy, over a socket that is connected to it, for a connection to somewhere else. */
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'

import { errorText, isMitmError, MitmError, systemCode } from '../errors.ts'
import type { ErrorCode } from '../errors.ts'
import { readChunk } from '../internal/read-chunk.ts'
import { authorityOf } from '../protocol.ts'
import { AUTH_METHODS, parseGreetingReply, parseReply, parseUserPasswordReply } from '../protocols/socks/parse.ts'
import type { ParseResult } from '../protocols/socks/parse.ts'
import { secureServer } from '../tls/secure-server.ts'
import { trustContext } from '../tls/trust.ts'
import type { ResolvedUpstream, UpstreamProxy } from '../upstream-options.ts'
import { clientGreeting, clientRequest, clientUserPassword, REPLY_MEANINGS } from '../protocols/socks/write.ts'
import { layOver } from './close.ts'

/** Largest head of a proxy's answer to CONNECT. */
const MAX_HEAD_OCTETS = 64 * 1024

/** What {@link connectThroughProxy} may be told. */
export interface ProxyHandshakeOptions {
  /** Milliseconds for all that is asked of the proxy. */
  timeoutMs: number
  /** When they are over, on the clock of `performance.now()`. @defaultValue counted from now */
  deadline?: number | undefined
  /** Ends the handshake with `MITM_UPSTREAM_PROXY_FAILED`. */
  signal?: AbortSignal | undefined
}

/** What {@link secureProxy} must be told. */
export interface SecureProxyOptions {
  /** Which certificates are trusted. */
  readonly upstream: ResolvedUpstream
  /** Milliseconds for all that is asked of the proxy. */
  readonly timeoutMs: number
  readonly deadline: number
  readonly signal: AbortSignal
  /** Is given the secrets of the handshake, line by line. */
  readonly onKeyLog?: ((line: Buffer) => void) | undefined
}

/**
 * Asks the proxy for a connection to `destination`: with CONNECT (RFC 9110 section 9.3.6), or with SOCKS5 (RFC 1928),
 * which leaves it to the proxy to resolve names. User name and password are in no error's text.
 *
 * Afterwards the socket is paused, has no listener of ours, and what the server may have sent already is in its buffer.
 * The caller keeps it, with an 'error' listener, and destroys it when this fails.
 *
 * @param socket - Connected to the proxy; nothing has been read from it.
 * @param destination - An IPv6 address without brackets.
 * @throws {@link MitmError} `MITM_UPSTREAM_PROXY_FAILED` when the proxy refuses, breaks the protocol or closes;
 *   `MITM_UPSTREAM_PROXY_TIMEOUT` when it does not answer in time.
 */
export async function connectThroughProxy(
  socket: Duplex,
  proxy: UpstreamProxy,
  destination: { readonly host: string; readonly port: number },
  options: ProxyHandshakeOptions,
): Promise<void> {
  const handshake = new Handshake(socket, proxy, destination, options)
  // A socket that breaks between two reads must not end the process; the next read says so.
  socket.on('error', ignore)
  try {
    if (proxy.protocol !== 'socks5') await connectByHttp(handshake, proxy)
    else await connectBySocks(handshake, proxy, destination)
    handshake.finish()
  } catch (error) {
    if (isMitmError(error) && error.authority !== undefined) throw error
    throw handshake.failure('what it must be told does not fit into a SOCKS message', error)
  } finally {
    socket.off('error', ignore)
  }
}

/** The state of one handshake: what came and was not used yet, and how long there is still time. */
class Handshake {
  readonly authority: string
  readonly #socket: Duplex
  readonly #proxy: string
  readonly #options: ProxyHandshakeOptions
  readonly #deadline: number
  #octets: Buffer = Buffer.alloc(0)

  constructor(
    socket: Duplex,
    proxy: UpstreamProxy,
    destination: { readonly host: string; readonly port: number },
    options: ProxyHandshakeOptions,
  ) {
    const { host, port } = destination
    this.authority = authorityOf({ host, port })
    this.#socket = socket
    this.#proxy = authorityOf(proxy)
    this.#options = options
    this.#deadline = options.deadline ?? performance.now() + options.timeoutMs
  }

  write(octets: string | Buffer): void {
    this.#socket.write(octets)
  }

  /** Reads until `parse` has its message. */
  async read<T>(parse: (octets: Buffer) => ParseResult<T>): Promise<T> {
    for (;;) {
      const result = this.#parse(parse)
      if (result !== 'incomplete') {
        this.#octets = this.#octets.subarray(result.length)
        return result.value
      }
      this.#octets = Buffer.concat([this.#octets, await this.#more()])
    }
  }

  /** Puts back what is not ours, and leaves the socket as it was. */
  finish(): void {
    if (this.#octets.length > 0) this.#socket.unshift(this.#octets)
    this.#socket.pause()
  }

  /** The error that the proxy did not do what was asked. */
  failure(why: string, cause?: unknown, code: ErrorCode = 'MITM_UPSTREAM_PROXY_FAILED'): MitmError {
    const text = `Cannot connect to ${this.authority} through the proxy ${this.#proxy}: ${why}`
    return new MitmError(code, text, { side: 'server', authority: this.authority, cause })
  }

  /** The error that the proxy took too long. */
  timeout(): MitmError {
    const text = `Cannot connect to ${this.authority} through the proxy ${this.#proxy}: no answer in ${this.#options.timeoutMs} ms`
    return new MitmError('MITM_UPSTREAM_PROXY_TIMEOUT', text, { side: 'server', authority: this.authority })
  }

  #parse<T>(parse: (octets: Buffer) => ParseResult<T>): ParseResult<T> {
    try {
      return parse(this.#octets)
    } catch (error) {
      if (isMitmError(error) && error.authority !== undefined) throw error
      throw this.failure('it does not speak the protocol of its URL', error)
    }
  }

  async #more(): Promise<Buffer> {
    const timeoutMs = Math.max(0, this.#deadline - performance.now())
    const chunk = await readChunk(this.#socket, { timeoutMs, signal: this.#options.signal }).catch((error: unknown) => {
      const isAborted = this.#options.signal?.aborted
      throw this.failure(isAborted ? 'cancelled' : `${systemCode(error) ?? errorText(error)} from the proxy`, error)
    })
    if (chunk === 'end') throw this.failure('it closed the connection without an answer')
    if (chunk !== 'timeout') return chunk
    throw this.timeout()
  }
}

async function connectByHttp(handshake: Handshake, proxy: UpstreamProxy): Promise<void> {
  const { authority } = handshake
  const credentials = proxy.credentials()
  const fields = credentials
    ? `Proxy-Authorization: Basic ${Buffer.from(`${credentials.user}:${credentials.password}`).toString('base64')}\r\n`
    : ''
  // Protocols of users' own may name anything.
  if (/[^\x21-\x7e]/.test(authority)) throw handshake.failure('an HTTP proxy cannot be asked for such a name')
  handshake.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${fields}\r\n`)
  for (;;) {
    const statusLine = await handshake.read((octets) => parseStatusLine(octets, handshake))
    const status = /^HTTP\/1\.\d (\d{3})(?: |$)/.exec(statusLine)?.[1]
    if (status?.startsWith('2')) return
    // Interim responses may come before the final one (RFC 9110 section 15.2).
    if (status?.startsWith('1') && status !== '101') continue
    const shown = statusLine.replace(/[^\x20-\x7e]/g, '?').slice(0, 200)
    if (!status) throw handshake.failure(`it answered ${JSON.stringify(shown)}, expected an HTTP/1.1 status line`)
    const answer = `it answered ${shown.replace(/^\S+ /, '')}`
    if (status === '508') throw handshake.failure(answer, undefined, 'MITM_LOOP')
    if (status !== '407') throw handshake.failure(`${answer}, expected 2xx`)
    throw handshake.failure(
      `${answer}: ${credentials ? 'it did not accept user name and password' : 'its URL has no user name'}`,
    )
  }
}

/** Reads a whole head, of which only the first line matters. */
function parseStatusLine(octets: Buffer, handshake: Handshake): ParseResult<string> {
  const head = octets.subarray(0, MAX_HEAD_OCTETS).toString('latin1')
  const blankLine = /\r?\n\r?\n/.exec(head)
  if (blankLine) return { value: head.split(/\r?\n/, 1)[0] ?? '', length: blankLine.index + blankLine[0].length }
  if (octets.length >= MAX_HEAD_OCTETS)
    throw handshake.failure(`the head of its answer has more than ${MAX_HEAD_OCTETS} octets`)
  return 'incomplete'
}

async function connectBySocks(
  handshake: Handshake,
  proxy: UpstreamProxy,
  destination: { readonly host: string; readonly port: number },
): Promise<void> {
  const credentials = proxy.credentials()
  handshake.write(clientGreeting(credentials !== undefined))
  const { method } = await handshake.read(parseGreetingReply)
  if (method === AUTH_METHODS.userPassword && credentials) {
    handshake.write(clientUserPassword(credentials.user, credentials.password))
    const { status } = await handshake.read(parseUserPasswordReply)
    if (status !== 0) throw handshake.failure('it did not accept user name and password')
  } else if (method !== AUTH_METHODS.none) {
    const offered = credentials ? 'none, or user name and password' : 'none, as its URL has no user name'
    throw handshake.failure(`it demands another authentication than was offered (${offered})`)
  }
  handshake.write(clientRequest(destination.host, destination.port))
  const { code } = await handshake.read(parseReply)
  if (code !== 0) throw handshake.failure(`it answered ${code}, ${REPLY_MEANINGS[code] ?? 'an unknown reply code'}`)
}

function ignore(): void {
  // The next read tells.
}

/**
 * Does the TLS handshake with an `https:` proxy, whose certificate is checked as those of servers are.
 *
 * @param raw - Connected to the proxy. The socket that is returned owns it from now on.
 * @param destination - What is to be asked for afterwards, for errors.
 * @throws {@link MitmError} `MITM_UPSTREAM_PROXY_FAILED`, `MITM_UPSTREAM_PROXY_TIMEOUT`; `raw` is destroyed.
 */
export async function secureProxy(
  raw: Socket,
  proxy: UpstreamProxy,
  destination: { readonly host: string; readonly port: number },
  options: SecureProxyOptions,
): Promise<Socket> {
  const { upstream, deadline, signal } = options
  const handshake = new Handshake(raw, proxy, destination, options)
  const onAbort = (): void => void raw.destroy()
  signal.addEventListener('abort', onAbort)
  try {
    const { socket, authorizationError } = await secureServer(raw, {
      host: proxy.host,
      serverName: proxy.host,
      alpnProtocols: ['http/1.1'],
      secureContext: trustContext(upstream),
      timeoutMs: Math.max(1, deadline - performance.now()),
      authority: authorityOf(proxy),
      onKeyLog: options.onKeyLog,
    })
    if (authorizationError === undefined || !upstream.rejectUnauthorized) return layOver(socket, raw)
    socket.destroy()
    throw handshake.failure(
      `its certificate cannot be trusted (${authorizationError}); upstream.ca adds a trusted authority, upstream.rejectUnauthorized: false trusts every one`,
    )
  } catch (error) {
    if (!isMitmError(error) || error.code === 'MITM_INVALID_OPTION') throw error
    if (error.code === 'MITM_SERVER_TLS_TIMEOUT') throw handshake.timeout()
    if (error.code !== 'MITM_SERVER_TLS_FAILED') throw error
    if (signal.aborted) throw handshake.failure('cancelled')
    const { cause } = error
    const why = cause === undefined ? 'it closed the connection during the TLS handshake' : errorText(cause)
    throw handshake.failure(`no TLS with it: ${why}`, cause)
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
