/** Field sections as heads of requests and responses (RFC 9113 section 8.3). What they lack is empty, never refused. */
import type { Field, RequestHead, ResponseHead } from '../../exchange.ts'

const VERSION = 'HTTP/2'
const COLON = 0x3a

/** The head of a request, and what it has that others have not. */
export interface RequestSection {
  readonly head: RequestHead
  /** What an extended CONNECT asks for (RFC 8441). */
  readonly protocol: string | undefined
}

/**
 * Reads the field section of a request.
 *
 * @param origin - Scheme and authority for a request that says neither.
 */
export function readRequestSection(
  section: readonly Field[],
  origin: { scheme: string; authority: string },
): RequestSection {
  let method = ''
  let scheme: string | undefined
  let authority: string | undefined
  let path: string | undefined
  let protocol: string | undefined
  const count = pseudoCount(section)
  for (let at = 0; at < count; at++) {
    const field = section[at]
    if (!field) break
    const value = field[1]
    switch (field[0]) {
      case ':method':
        method = value
        break
      case ':scheme':
        scheme = value
        break
      case ':authority':
        authority = value
        break
      case ':path':
        path = value
        break
      case ':protocol':
        protocol = value
        break
    }
  }
  const fields = section.slice(count)
  authority ??= fields.find(([name]) => name === 'host')?.[1] ?? origin.authority
  const start = `${scheme ?? origin.scheme}://${authority}`
  // A plain CONNECT has neither scheme nor path (RFC 9113 section 8.5).
  const target = path ?? authority
  const url = path === undefined || path === '*' ? start : start + path
  return { head: { method, url, target, httpVersion: VERSION, fields }, protocol }
}

/** Reads the field section of a response, final or interim. Its status is 0 where it says none. */
export function readResponseSection(section: readonly Field[]): ResponseHead {
  const count = pseudoCount(section)
  let status = 0
  for (let at = 0; at < count; at++) {
    const field = section[at]
    if (field?.[0] === ':status') status = Number(field[1]) || 0
  }
  return { status, statusText: '', httpVersion: VERSION, fields: section.slice(count) }
}

/** How many pseudo-header fields come before the others. */
function pseudoCount(section: readonly Field[]): number {
  let count = 0
  while (section[count]?.[0].charCodeAt(0) === COLON) count++
  return count
}
