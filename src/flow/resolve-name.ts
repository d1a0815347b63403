/** Finds the addresses of a name: by the option `upstream.lookup`, or by the system. */
import { lookup as systemLookup } from 'node:dns/promises'
import { isIP } from 'node:net'

import { errorText, MitmError, systemCode } from '../errors.ts'
import { areAddresses } from '../upstream-options.ts'
import type { Lookup } from '../upstream-options.ts'

/** What {@link resolveName} needs. */
export interface ResolveNameOptions {
  readonly lookup: Lookup | undefined
  /** Milliseconds until it is given up. */
  readonly timeoutMs: number
  /** `host:port` of the server that it is for, for errors. */
  readonly authority: string
  readonly signal: AbortSignal
}

/** The addresses of `localhost`. */
export const LOOPBACK: readonly string[] = ['127.0.0.1', '::1']

/**
 * Finds the addresses of a name, most wanted first, the two families by turns (RFC 8305 section 4). An address is its own.
 *
 * `localhost` and the names under it are always on both loopback addresses (RFC 6761 section 6.3), whichever of them the
 * system knows: a server may listen on either.
 *
 * @param host - An IPv6 address without brackets.
 * @throws {@link MitmError} `MITM_DNS_FAILED`, `MITM_DNS_TIMEOUT`; `MITM_DIAL_FAILED` when `signal` aborts.
 */
export async function resolveName(host: string, options: ResolveNameOptions): Promise<readonly string[]> {
  if (isIP(host)) return [host]
  const { timeoutMs, authority, signal } = options
  let timer: NodeJS.Timeout | undefined
  let onAbort: (() => void) | undefined
  // Neither the system nor a function can be called off: what they say too late is heard by nobody.
  const givenUp = new Promise<never>((_, reject) => {
    onAbort = () => reject(gone(authority))
    signal.addEventListener('abort', onAbort)
    if (signal.aborted) onAbort()
    timer = setTimeout(() => {
      const text = `Cannot resolve ${JSON.stringify(host)} for ${authority}: no answer in ${timeoutMs} ms`
      reject(new MitmError('MITM_DNS_TIMEOUT', text, { side: 'server', authority }))
    }, timeoutMs)
  })
  try {
    const addresses = await Promise.race([addressesOf(host, options), givenUp])
    return [...new Set(addresses)]
  } finally {
    clearTimeout(timer)
    if (onAbort) signal.removeEventListener('abort', onAbort)
  }
}

/** Whether a name is of this machine alone, whatever its DNS says. */
export function isLocalhost(name: string): boolean {
  return /^(?:.+\.)?localhost\.?$/i.test(name)
}

/** The error that nobody waits for a server any more. */
export function gone(authority: string): MitmError {
  return new MitmError('MITM_DIAL_FAILED', `Cannot connect to ${authority}: the client is gone`, {
    side: 'server',
    authority,
  })
}

async function addressesOf(host: string, { lookup, authority }: ResolveNameOptions): Promise<readonly string[]> {
  const name = host.toLowerCase().replace(/\.$/, '')
  const own = await ownAddresses(name, lookup, authority)
  if (own) return own
  try {
    if (isLocalhost(name)) return await loopback()
    const found = await systemLookup(host, { all: true })
    return byTurns(found.map(({ address }) => address))
  } catch (error) {
    throw notResolved(
      host,
      authority,
      `${systemCode(error) ?? errorText(error)}; the option hosts can say where it is`,
      error,
    )
  }
}

/** What the option says; undefined: the system is to be asked. */
async function ownAddresses(
  name: string,
  lookup: Lookup | undefined,
  authority: string,
): Promise<readonly string[] | undefined> {
  if (lookup === undefined) return undefined
  if (typeof lookup === 'object') {
    const found = entryFor(name, lookup)
    return found === undefined ? undefined : [found].flat()
  }
  let found: unknown
  try {
    found = await lookup(name)
  } catch (error) {
    throw notResolved(
      name,
      authority,
      `the function upstream.lookup failed with ${JSON.stringify(errorText(error))}`,
      error,
    )
  }
  if (found === undefined) return undefined
  if (areAddresses(found)) return [found].flat()
  const why = `the function upstream.lookup returned ${shown(found)}, expected an IP address, several, or undefined`
  throw notResolved(name, authority, why)
}

function entryFor(
  name: string,
  lookup: Exclude<Lookup, (...args: never) => unknown>,
): string | readonly string[] | undefined {
  let found: string | readonly string[] | undefined
  let foundLength = -1
  for (const [key, addresses] of Object.entries(lookup)) {
    const pattern = key.toLowerCase()
    const fits = pattern === name || (pattern.startsWith('*.') && name.endsWith(pattern.slice(1)))
    // The longest pattern is the most exact one.
    if (!fits || pattern.length <= foundLength) continue
    found = addresses
    foundLength = pattern.length
  }
  return found
}

async function loopback(): Promise<readonly string[]> {
  const known = await systemLookup('localhost', { all: true }).catch(() => [])
  return [...new Set([...known.map(({ address }) => address), ...LOOPBACK])]
}

/** The first address decides which family begins. */
function byTurns(addresses: readonly string[]): readonly string[] {
  const first = addresses.filter((address) => isIP(address) === isIP(addresses[0] ?? ''))
  const second = addresses.filter((address) => !first.includes(address))
  return first.flatMap((address, at) => [address, ...second.slice(at, at + 1)]).concat(second.slice(first.length))
}

function notResolved(host: string, authority: string, why: string, cause?: unknown): MitmError {
  const text = `Cannot resolve ${JSON.stringify(host)} for ${authority}: ${why}`
  return new MitmError('MITM_DNS_FAILED', text, { side: 'server', authority, cause })
}

function shown(value: unknown): string {
  try {
    return JSON.stringify(value) ?? String(value)
  } catch {
    return typeof value
  }
}
