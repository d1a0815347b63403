/** Asks an upstream proxy, over a socket that is connected to it, for a connection to somewhere else. */
import type { Duplex } from 'node:stream'

import { errorText, isMitmError, MitmError, systemCode } from '../errors.ts'
import { readChunk } from '../internal/read-chunk.ts'
import { AUTH_METHODS, parseGreetingReply, parseReply, parseUserPasswordReply } from '../protocols/socks/parse.ts'
import type { ParseResult } from '../protocols/socks/parse.ts'
import { clientGreeting, clientRequest, clientUserPassword, REPLY_MEANINGS } from '../protocols/socks/write.ts'

/** Largest head of a proxy's answer to CONNECT. */
const MAX_HEAD_OCTETS = 64 * 1024

/** What {@link connectThroughProxy} may be told. */
export interface ProxyHandshakeOptions {
  /** Milliseconds for the whole handshake. */
  timeoutMs: number
  /** Ends the handshake with `MITM_UPSTREAM_PROXY_FAILED`. */
  signal?: AbortSignal | undefined
}

/**
 * Asks the proxy for a connection to `destination`: with CONNECT (RFC 9110 section 9.3.6), or with SOCKS5 (RFC 1928) for
 * `socks:` and `socks5:` URLs, which leaves it to the proxy to resolve names. User name and password are taken from the
 * URL; they are in no error's text.
 *
 * Afterwards the socket is paused, has no listener of ours, and what the server may have sent already is in its buffer.
 * The caller keeps it, with an 'error' listener, and destroys it when this fails.
 *
 * @param socket - Connected to the proxy; nothing has been read from it.
 * @param destination - An IPv6 address without brackets.
 * @throws {@link MitmError} `MITM_UPSTREAM_PROXY_FAILED` when the proxy refuses, breaks the protocol or closes;
 *   `MITM_DIAL_TIMEOUT` when it does not answer in time.
 */
export async function connectThroughProxy(
  socket: Duplex,
  proxy: URL,
  destination: { readonly host: string; readonly port: number },
  options: ProxyHandshakeOptions,
): Promise<void> {
  const handshake = new Handshake(socket, proxy, destination, options)
  // A socket that breaks between two reads must not end the process; the next read says so.
  socket.on('error', ignore)
  try {
    if (proxy.protocol === 'http:') await connectByHttp(handshake, proxy)
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
    proxy: URL,
    destination: { readonly host: string; readonly port: number },
    options: ProxyHandshakeOptions,
  ) {
    const { host, port } = destination
    this.authority = `${host.includes(':') ? `[${host}]` : host}:${port}`
    this.#socket = socket
    this.#proxy = proxy.host
    this.#options = options
    this.#deadline = performance.now() + options.timeoutMs
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
  failure(why: string, cause?: unknown): MitmError {
    const text = `Cannot connect to ${this.authority} through the proxy ${this.#proxy}: ${why}`
    return new MitmError('MITM_UPSTREAM_PROXY_FAILED', text, { side: 'server', authority: this.authority, cause })
  }

  #parse<T>(parse: (octets: Buffer) => ParseResult<T>): ParseResult<T> {
    try {
      return parse(this.#octets)
    } catch (error) {
      if (isMitmError(error) && error.code === 'MITM_UPSTREAM_PROXY_FAILED') throw error
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
    const text = `Cannot connect to ${this.authority} through the proxy ${this.#proxy}: no answer in ${this.#options.timeoutMs} ms`
    throw new MitmError('MITM_DIAL_TIMEOUT', text, { side: 'server', authority: this.authority })
  }
}

async function connectByHttp(handshake: Handshake, proxy: URL): Promise<void> {
  const { authority } = handshake
  const credentials = credentialsOf(proxy)
  const fields = credentials
    ? `Proxy-Authorization: Basic ${Buffer.from(`${credentials.user}:${credentials.password}`).toString('base64')}\r\n`
    : ''
  handshake.write(`CONNECT ${authority} HTTP/1.1\r\nHost: ${authority}\r\n${fields}\r\n`)
  for (;;) {
    const statusLine = await handshake.read((octets) => parseStatusLine(octets, handshake))
    const status = /^HTTP\/1\.\d (\d{3})(?: |$)/.exec(statusLine)?.[1]
    if (status?.startsWith('2')) return
    // Interim responses may come before the final one (RFC 9110 section 15.2).
    if (status?.startsWith('1') && status !== '101') continue
    const shown = statusLine.replace(/[^\x20-\x7e]/g, '?').slice(0, 200)
    if (!status) throw handshake.failure(`it answered ${JSON.stringify(shown)}, expected an HTTP/1.1 status line`)
    throw handshake.failure(`it answered ${shown.replace(/^\S+ /, '')}, expected 2xx`)
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
  proxy: URL,
  destination: { readonly host: string; readonly port: number },
): Promise<void> {
  const credentials = credentialsOf(proxy)
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

function credentialsOf(proxy: URL): { user: string; password: string } | undefined {
  if (proxy.username === '' && proxy.password === '') return undefined
  return { user: percentDecoded(proxy.username), password: percentDecoded(proxy.password) }
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // A bare % that somebody did not encode, which URLs allow.
    return text
  }
}

function ignore(): void {
  // The next read tells.
}

/**
 * Whether a destination is reached without the proxy.
 *
 * @param host - Name or address; brackets and upper case do not matter.
 * @param noProxy - `name` (that name alone), `.suffix` and `*.suffix` (the names under it), each also with `:port`; `*` for
 *   everything. IPv6 addresses may stand in brackets, and must where a port follows. No ranges of addresses.
 */
export function bypassesProxy(host: string, port: number, noProxy: readonly string[]): boolean {
  const name = normalized(host)
  return noProxy.some((entry) => {
    const [, pattern = '', onlyPort] = /^(\[.*\]|[^:]*|.*:.*:.*?)(?::(\d+))?$/.exec(entry.trim()) ?? []
    const wanted = normalized(pattern)
    if (wanted === '' || (onlyPort !== undefined && Number(onlyPort) !== port)) return false
    if (wanted === '*') return true
    const suffix = wanted.startsWith('*.') ? wanted.slice(1) : wanted
    return suffix.startsWith('.') ? name.endsWith(suffix) && name.length > suffix.length : name === suffix
  })
}

/** Lower case, without brackets and the dot of the root; IPv6 addresses in their canonical text. */
function normalized(host: string): string {
  const bare = host.toLowerCase().replace(/^\[|\]$/g, '')
  if (bare.includes(':') && URL.canParse(`http://[${bare}]`)) return new URL(`http://[${bare}]`).hostname.slice(1, -1)
  return bare.replace(/\.$/, '')
}
