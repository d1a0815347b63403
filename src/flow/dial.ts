/** Connects to servers: where a name really goes, through which proxy, and what a failure is called. */
import type { Socket } from 'node:net'

import { parseHostTarget } from '../options.ts'
import type { ResolvedOptions } from '../options.ts'
import { authorityOf } from '../protocol.ts'
import type { Destination } from '../protocol.ts'
import type { UpstreamProxy } from '../upstream-options.ts'
import { connectAny } from './connect-any.ts'
import { bypassesProxy } from './no-proxy.ts'
import { isLocalhost, LOOPBACK, resolveName } from './resolve-name.ts'
import { isOfThisMachine, loopError } from './trail.ts'
import type { Link, Trail } from './trail.ts'
import { connectThroughProxy, secureProxy } from './upstream-proxy.ts'

/** Where a destination really is, after the `hosts` option. */
export interface Route {
  readonly host: string
  readonly port: number
  /** Whether the server speaks TLS, where `hosts` says so; else undefined: as the client does. */
  readonly tls: boolean | undefined
}

/** Looks a destination up in the `hosts` option. */
export function routeOf(destination: Destination, hosts: Readonly<Record<string, string>>): Route {
  const target = findHost(destination, hosts)
  const parsed = target === undefined ? undefined : parseHostTarget(target)
  if (!parsed) return { host: destination.host, port: destination.port, tls: undefined }
  return { host: parsed.host, port: parsed.port ?? destination.port, tls: parsed.tls }
}

function findHost(destination: Destination, hosts: Readonly<Record<string, string>>): string | undefined {
  const name = destination.host.toLowerCase().replace(/\.$/, '')
  let found: string | undefined
  let foundLength = -1
  for (const [key, target] of Object.entries(hosts)) {
    const pattern = key.toLowerCase()
    if (pattern === `${name}:${destination.port}`) return target
    const fits = pattern === name || (pattern.startsWith('*.') && name.endsWith(pattern.slice(1)))
    // The longest pattern is the most exact one.
    if (fits && pattern.length > foundLength) {
      found = target
      foundLength = pattern.length
    }
  }
  return found
}

/** What {@link dial} needs to know of the mitm. */
export interface DialOptions extends Pick<
  ResolvedOptions,
  'connectTimeoutMs' | 'lookupTimeoutMs' | 'upstreamProxyTimeoutMs' | 'upstream'
> {
  /** Which mitms the connection has come through. */
  readonly trail: Trail
  readonly signal: AbortSignal
  /** Is given the secrets of the handshake with a proxy, line by line. */
  readonly onKeyLog?: ((line: Buffer) => void) | undefined
}

/** Where to connect to, for what. */
interface Way {
  readonly host: string
  readonly port: number
  /** `host:port` that the client wants. */
  readonly authority: string
  /** What is to be said of it in errors. */
  readonly way: string
}

/**
 * Opens a socket to where a route leads. The socket is paused and allows half-open ends; the caller owns it.
 *
 * @throws {@link MitmError} `MITM_LOOP`, `MITM_DNS_FAILED`, `MITM_DNS_TIMEOUT`, `MITM_DIAL_FAILED`, `MITM_DIAL_TIMEOUT`,
 *   `MITM_UPSTREAM_PROXY_FAILED`, `MITM_UPSTREAM_PROXY_TIMEOUT`.
 */
export async function dial(destination: Destination, route: Route, options: DialOptions): Promise<Socket> {
  const authority = authorityOf(destination)
  const { proxy, noProxy } = options.upstream
  if (!proxy || bypassesProxy(route.host, route.port, noProxy)) {
    const { socket } = await open({ host: route.host, port: route.port, authority, way: '' }, options)
    return socket
  }
  // Wherever that proxy is: an address of this one can only have been meant for this one.
  if (leadsBack(options.trail, route)) throw loopError(authority, route.host, route.port)
  const way = `, through the upstream proxy ${proxy}`
  const { socket, link } = await open({ host: proxy.host, port: proxy.port, authority, way }, options)
  try {
    return await askProxy(socket, proxy, route, options)
  } catch (error) {
    socket.destroy()
    // The proxy is a mitm of this process too, and found that it would lead back here.
    throw link?.isLoop ? loopError(authority, proxy.host, proxy.port) : error
  }
}

async function askProxy(raw: Socket, proxy: UpstreamProxy, route: Route, options: DialOptions): Promise<Socket> {
  const { upstream, signal, onKeyLog, upstreamProxyTimeoutMs: timeoutMs } = options
  const deadline = performance.now() + timeoutMs
  const limits = { timeoutMs, deadline, signal }
  const socket =
    proxy.protocol === 'https' ? await secureProxy(raw, proxy, route, { upstream, onKeyLog, ...limits }) : raw
  await connectThroughProxy(socket, proxy, route, limits)
  return socket
}

function leadsBack(trail: Trail, { host, port }: Route): boolean {
  const addresses = isLocalhost(host) ? LOOPBACK : [host]
  return addresses.some((address) => trail.leadsBackTo(address, port))
}

/** Finds the addresses and connects to one of them. */
async function open(to: Way, options: DialOptions): Promise<{ socket: Socket; link: Link | undefined }> {
  const { host, port, authority } = to
  const { upstream, trail, signal } = options
  const { lookup } = upstream
  const addresses = await resolveName(host, { lookup, authority, signal, timeoutMs: options.lookupTimeoutMs })
  const [first = host] = addresses
  // A name may lead elsewhere too: a server on another loopback address is no loop.
  const others = addresses.filter((address) => !trail.leadsBackTo(address, port))
  if (others.length === 0) throw loopError(authority, first, port)
  try {
    const socket = await connectAny(others, { ...to, timeoutMs: options.connectTimeoutMs, signal })
    if (!trail.leadsBackTo(socket.remoteAddress ?? '', port)) return { socket, link: trail.follow(socket) }
    // By an address that nobody would have thought of.
    socket.destroy()
    throw loopError(authority, first, port)
  } catch (error) {
    // Nobody can mean another loopback address with this port, on which there is nobody.
    const isOwnPort = trail.isOwnPort(port) && addresses.every(isOfThisMachine)
    throw others.length < addresses.length || isOwnPort ? loopError(authority, first, port) : error
  }
}
