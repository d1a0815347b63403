/** Connects to the first of several addresses that accepts ("happy eyeballs", RFC 8305 section 5). */
import { connect } from 'node:net'
import type { Socket } from 'node:net'

import { errorText, MitmError, systemCode } from '../errors.ts'
import { authorityOf } from '../protocol.ts'
import { ignore } from './close.ts'
import { gone } from './resolve-name.ts'

/** How long one address is waited for before the next one is tried beside it: what RFC 8305 section 8 recommends. */
const ATTEMPT_DELAY_MS = 250

/** What {@link connectAny} needs. */
export interface ConnectAnyOptions {
  readonly port: number
  /** How the addresses were asked for, for errors. */
  readonly host: string
  /** `host:port` of the server that it is for, for errors. */
  readonly authority: string
  /** What is to be said of the way there, such as `, through the upstream proxy`. */
  readonly way: string
  /** Milliseconds for all addresses together. */
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/**
 * Tries the addresses in their order: the next one when one has failed, or has said nothing for 250 ms. All that were begun
 * go on until one has accepted.
 *
 * @param addresses - At least one.
 * @returns The socket that is connected: paused, allowing half-open ends, with an 'error' listener. The caller owns it.
 * @throws {@link MitmError} `MITM_DIAL_FAILED` and `MITM_DIAL_TIMEOUT`, which say what became of each address;
 *   `MITM_DIAL_FAILED` when `signal` aborts.
 */
export function connectAny(addresses: readonly string[], options: ConnectAnyOptions): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const attempts = new Attempts(addresses, options, (outcome) => {
      clearTimeout(timer)
      options.signal.removeEventListener('abort', onAbort)
      if (outcome instanceof MitmError) reject(outcome)
      else resolve(outcome)
    })
    const onAbort = (): void => attempts.end(gone(options.authority))
    const timer = setTimeout(() => attempts.end(attempts.timeout()), options.timeoutMs)
    options.signal.addEventListener('abort', onAbort)
    if (options.signal.aborted) onAbort()
    else attempts.next()
  })
}

class Attempts {
  readonly #addresses: readonly string[]
  readonly #options: ConnectAnyOptions
  readonly #settle: (outcome: Socket | MitmError) => void
  readonly #sockets = new Set<Socket>()
  readonly #failed = new Map<string, Error>()
  #begun = 0
  #timer: NodeJS.Timeout | undefined
  #isOver = false

  constructor(addresses: readonly string[], options: ConnectAnyOptions, settle: (outcome: Socket | MitmError) => void) {
    this.#addresses = addresses
    this.#options = options
    this.#settle = settle
  }

  /** Tries the next address, if there is one. */
  next(): void {
    clearTimeout(this.#timer)
    const address = this.#addresses[this.#begun]
    if (this.#isOver || address === undefined) return
    this.#begun++
    const socket = connect({ host: address, port: this.#options.port, allowHalfOpen: true, noDelay: true })
    this.#sockets.add(socket)
    const onError = (error: Error): void => {
      this.#sockets.delete(socket)
      socket.destroy()
      this.#failed.set(address, error)
      if (this.#failed.size === this.#addresses.length) this.end(this.#failure())
      else this.next()
    }
    socket.once('error', onError)
    socket.once('connect', () => {
      socket.off('error', onError)
      // A socket may die at any time: without a listener that would end the process.
      socket.on('error', ignore)
      socket.pause()
      this.#sockets.delete(socket)
      this.end(socket)
    })
    if (this.#begun < this.#addresses.length) this.#timer = setTimeout(() => this.next(), ATTEMPT_DELAY_MS)
  }

  end(outcome: Socket | MitmError): void {
    if (this.#isOver) {
      if (!(outcome instanceof MitmError)) outcome.destroy()
      return
    }
    this.#isOver = true
    clearTimeout(this.#timer)
    for (const socket of this.#sockets) {
      socket.removeAllListeners('error').on('error', ignore)
      socket.destroy()
    }
    this.#sockets.clear()
    this.#settle(outcome)
  }

  /** The error for a time that has run out. */
  timeout(): MitmError {
    const { authority, host, port, timeoutMs, way } = this.#options
    const text = `Cannot connect to ${authority}: no answer from ${authorityOf({ host, port })} in ${timeoutMs} ms${this.#each()}${way}`
    return new MitmError('MITM_DIAL_TIMEOUT', text, { side: 'server', authority })
  }

  #failure(): MitmError {
    const { authority, host, port, way } = this.#options
    const errors = [...this.#failed.values()]
    const telling = mostTelling(errors)
    const why = systemCode(telling) ?? errorText(telling)
    const text = `Cannot connect to ${authority}: ${why} at ${authorityOf({ host, port })}${this.#each()}${way}`
    const code = why === 'ETIMEDOUT' ? 'MITM_DIAL_TIMEOUT' : 'MITM_DIAL_FAILED'
    const cause = errors.length === 1 ? telling : Object.assign(new AggregateError(errors, why), { code: why })
    return new MitmError(code, text, { side: 'server', authority, cause })
  }

  /** What became of each address, where that says more than the name does. */
  #each(): string {
    if (this.#addresses.length === 1 && this.#addresses[0] === this.#options.host) return ''
    const parts = this.#addresses.map((address, at) => {
      const error = this.#failed.get(address)
      const what = error ? (systemCode(error) ?? errorText(error)) : at < this.#begun ? 'no answer' : 'not tried'
      return `${address}: ${what}`
    })
    return ` (${parts.join(', ')})`
  }
}

/** That a machine has no IPv6 is not why a server cannot be reached, where there is another reason. */
function mostTelling(errors: readonly Error[]): Error | undefined {
  const trivial = ['ENETUNREACH', 'EADDRNOTAVAIL', 'EAFNOSUPPORT', 'EINVAL']
  return errors.find((error) => !trivial.includes(systemCode(error) ?? '')) ?? errors[0]
}
