/** Connects to servers: where a name really goes, through which proxy, and what a failure is called. */
import { connect } from 'node:net'
import type { Socket } from 'node:net'

import { errorText, MitmError, systemCode } from '../errors.ts'
import { parseHostTarget } from '../options.ts'
import type { ResolvedOptions } from '../options.ts'
import { authorityOf } from '../protocol.ts'
import type { Destination } from '../protocol.ts'
import { bypassesProxy, connectThroughProxy } from './upstream-proxy.ts'

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
export interface DialOptions extends Pick<ResolvedOptions, 'connectTimeoutMs' | 'upstream'> {
  /** Where this mitm itself listens. */
  readonly listening: { readonly host: string; readonly port: number }
  readonly signal: AbortSignal
}

/**
 * Opens a socket to where a route leads. The socket is paused and allows half-open ends; the caller owns it.
 *
 * @throws {@link MitmError} `MITM_LOOP`, `MITM_DIAL_FAILED`, `MITM_DIAL_TIMEOUT`, `MITM_DNS_FAILED`,
 *   `MITM_UPSTREAM_PROXY_FAILED`.
 */
export async function dial(destination: Destination, route: Route, options: DialOptions): Promise<Socket> {
  const authority = authorityOf(destination)
  const { upstream, listening } = options
  if (route.port === listening.port && isThisMachine(route.host, listening.host)) {
    throw new MitmError('MITM_LOOP', `Cannot connect to ${authority}: that is this proxy itself`, { authority })
  }
  const proxy =
    upstream.proxy && !bypassesProxy(route.host, route.port, upstream.noProxy ?? [])
      ? new URL(upstream.proxy)
      : undefined
  if (!proxy) return open(route.host, route.port, authority, options)
  const socket = await open(
    proxy.hostname.replace(/^\[|\]$/g, ''),
    Number(proxy.port) || (proxy.protocol === 'http:' ? 80 : 1080),
    authority,
    options,
    ', through the upstream proxy',
  )
  try {
    await connectThroughProxy(socket, proxy, route, { timeoutMs: options.connectTimeoutMs, signal: options.signal })
    return socket
  } catch (error) {
    socket.destroy()
    throw error
  }
}

function open(host: string, port: number, authority: string, options: DialOptions, way = ''): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, allowHalfOpen: true, noDelay: true, autoSelectFamily: true })
    const settle = (error: MitmError | undefined): void => {
      clearTimeout(timer)
      options.signal.removeEventListener('abort', onAbort)
      socket.off('connect', onConnect)
      socket.off('error', onError)
      // A socket may die at any time: without a listener that would end the process.
      socket.on('error', ignore)
      if (!error) {
        socket.pause()
        resolve(socket)
        return
      }
      socket.destroy()
      reject(error)
    }
    const onConnect = (): void => settle(undefined)
    const onError = (error: Error): void => settle(dialError(error, host, port, authority, way))
    const onAbort = (): void =>
      settle(
        new MitmError('MITM_DIAL_FAILED', `Cannot connect to ${authority}: the client is gone`, {
          side: 'server',
          authority,
        }),
      )
    const timer = setTimeout(() => {
      const text = `Cannot connect to ${authority}: no answer from ${authorityOf({ host, port })} in ${options.connectTimeoutMs} ms${way}`
      settle(new MitmError('MITM_DIAL_TIMEOUT', text, { side: 'server', authority }))
    }, options.connectTimeoutMs)
    socket.once('connect', onConnect)
    socket.once('error', onError)
    if (options.signal.aborted) onAbort()
    else options.signal.addEventListener('abort', onAbort)
  })
}

/** Takes the errors of a socket whose end is told by other events. */
export function ignore(): void {
  // Nothing to do: `socket.errored` keeps it.
}

function dialError(error: Error, host: string, port: number, authority: string, way: string): MitmError {
  const code = systemCode(error)
  const details = { side: 'server', authority, cause: error } as const
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN' || code === 'ENODATA') {
    const text = `Cannot resolve ${JSON.stringify(host)} for ${authority}: ${code}; the option hosts can say where it is`
    return new MitmError('MITM_DNS_FAILED', text, details)
  }
  if (code === 'ETIMEDOUT') {
    return new MitmError(
      'MITM_DIAL_TIMEOUT',
      `Cannot connect to ${authority}: ${code} at ${authorityOf({ host, port })}${way}`,
      details,
    )
  }
  // An AggregateError (several addresses tried) has an empty message of its own.
  const why = code ?? (errorText(error) || 'no address answered')
  return new MitmError(
    'MITM_DIAL_FAILED',
    `Cannot connect to ${authority}: ${why} at ${authorityOf({ host, port })}${way}`,
    details,
  )
}

function isThisMachine(host: string, listening: string): boolean {
  const name = host.toLowerCase()
  if (name === listening || name === '0.0.0.0' || name === '::') return true
  if (name === 'localhost' || name.endsWith('.localhost')) return true
  return false
}
