/**
 * Who listens where in this process, and which of its mitms a connection has come through: so that none of them is led back
 * to itself, also by way of others.
 *
 * A connection from one mitm to another is known by both of its addresses and both of its ports. One port alone would tell
 * nothing: the system gives the same one to connections that go to different servers.
 */
import { isIPv4 } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'

import { MitmError } from '../errors.ts'
import { authorityOf } from '../protocol.ts'

/** Who listens, by `address port`. */
const listeners = new Map<string, object>()
/** Sockets that lead from one mitm of this process to another, by `address port address port`, the one's own first. */
const links = new Map<string, Link>()

/** A connection of one mitm to another. */
export interface Link {
  readonly trail: Trail
  /** Whether it was found to lead back to a mitm that it has come through. */
  isLoop: boolean
}

/** Notes that a mitm listens. @returns What takes the note away. */
export function noteListener(mitm: object, { address, port }: AddressInfo): () => void {
  const key = keyOf(address, port)
  listeners.set(key, mitm)
  return () => {
    if (listeners.get(key) === mitm) listeners.delete(key)
  }
}

/** The mitms that one accepted connection has come through. */
export class Trail {
  readonly #mitm: object
  readonly #socket: Socket
  #before: Link | undefined

  /**
   * @param mitm - Which has accepted the connection.
   * @param socket - What it has accepted.
   */
  constructor(mitm: object, socket: Socket) {
    this.#mitm = mitm
    this.#socket = socket
    this.#lookBack()
  }

  /** Whether whoever listens at an address is one of these mitms. If so, all of them are told. */
  leadsBackTo(address: string, port: number): boolean {
    const mitm = listeners.get(keyOf(address, port))
    if (!mitm) return false
    // A mitm may accept a connection before the other one knows that it is connected, but hears nothing of it before.
    this.#lookBack()
    const isLoop = this.#passed(mitm)
    if (isLoop) this.#tellOfLoop()
    return isLoop
  }

  /** Whether this mitm listens on a port, at whichever address. */
  isOwnPort(port: number): boolean {
    return [...listeners].some(([key, mitm]) => mitm === this.#mitm && key.endsWith(` ${port}`))
  }

  /** Notes where a socket of this connection leads, if that is a mitm of this process: as long as it is open. */
  follow(socket: Socket): Link | undefined {
    const { localAddress, localPort, remoteAddress, remotePort } = socket
    if (!listeners.has(keyOf(remoteAddress, remotePort))) return undefined
    const key = `${keyOf(localAddress, localPort)} ${keyOf(remoteAddress, remotePort)}`
    const link: Link = { trail: this, isLoop: false }
    links.set(key, link)
    socket.once('close', () => links.delete(key))
    return link
  }

  #passed(mitm: object): boolean {
    const { trail } = this.#before ?? {}
    return this.#mitm === mitm || (trail !== undefined && trail.#passed(mitm))
  }

  #tellOfLoop(): void {
    if (!this.#before) return
    this.#before.isLoop = true
    this.#before.trail.#tellOfLoop()
  }

  #lookBack(): void {
    const { localAddress, localPort, remoteAddress, remotePort } = this.#socket
    this.#before ??= links.get(`${keyOf(remoteAddress, remotePort)} ${keyOf(localAddress, localPort)}`)
  }
}

/** The error that a connection would lead back to a mitm that it has come through. */
export function loopError(authority: string, address: string, port: number): MitmError {
  const text = `Cannot connect to ${authority}: ${authorityOf({ host: address, port })} is this proxy itself, or one that leads back to it`
  return new MitmError('MITM_LOOP', text, { side: 'server', authority })
}

/** Whether an address is of this machine alone. */
export function isOfThisMachine(address: string): boolean {
  const plain = plainAddress(address)
  return plain === '::1' || (isIPv4(plain) && plain.startsWith('127.'))
}

function keyOf(address: string | undefined, port: number | undefined): string {
  return `${plainAddress(address ?? '')} ${port}`
}

/** An address as sockets show it: what stands for any address of this machine leads to the first one. */
function plainAddress(address: string): string {
  const canonical = address.includes(':') ? canonicalIPv6(address) : address
  if (canonical === '0.0.0.0') return '127.0.0.1'
  if (canonical === '::') return '::1'
  return canonical
}

function canonicalIPv6(address: string): string {
  const url = `http://[${address.replace(/%.*$/, '')}]`
  if (!URL.canParse(url)) return address
  const canonical = new URL(url).hostname.slice(1, -1)
  // ::ffff:7f00:1 is 127.0.0.1 (RFC 4291 section 2.5.5.2).
  const [, high, low] = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/.exec(canonical) ?? []
  if (high === undefined || low === undefined) return canonical
  const octets = [high, low].flatMap((part) => {
    const value = Number.parseInt(part, 16)
    return [value >> 8, value & 0xff]
  })
  return octets.join('.')
}
