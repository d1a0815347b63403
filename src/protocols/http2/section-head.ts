/** Field sections as heads of requests and responses (RFC 9113 section 8.3). What they lack is empty, never refused. */
import type { Field, RequestHead, ResponseHead } from '../../exchange.ts'

const VERSION = 'HTTP/2'
const COLON = 0x3a
const NO_FIELDS: readonly Field[] = Object.freeze([])

/** The head of a request, and what it has that others have not. */
export interface RequestSection {
  readonly head: RequestHead
  /** What an extended CONNECT asks for (RFC 8441). */
  readonly protocol: string | undefined
}

/**
 * Reads the field sections of one connection. What is the same as in the last one is the same object: every head is kept,
 * and what is kept costs more than to compare.
 */
export class SectionReader {
  readonly #scheme: string
  readonly #authority: string
  #requestFields = NO_FIELDS
  #lastResponse: ResponseHead = { status: 0, statusText: '', httpVersion: VERSION, fields: NO_FIELDS }
  #lastScheme = ''
  #lastAuthority = ''
  #lastOrigin = ''

  /** @param scheme - Of a request that has none. @param authority - Of a request that has none, nor a Host field. */
  constructor(scheme: string, authority: string) {
    this.#scheme = scheme
    this.#authority = authority
  }

  /** Reads the field section of a request. */
  request(section: readonly Field[]): RequestSection {
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
    const fields = (this.#requestFields = fieldsBehind(section, count, this.#requestFields))
    authority ??= fields.find(([name]) => name === 'host')?.[1] ?? this.#authority
    const origin = this.#origin(scheme ?? this.#scheme, authority)
    // A plain CONNECT has neither scheme nor path (RFC 9113 section 8.5).
    const target = path ?? authority
    const url = path === undefined || path === '*' ? origin : origin + path
    return { head: { method, url, target, httpVersion: VERSION, fields }, protocol }
  }

  /** Reads the field section of a response, final or interim. Its status is 0 where it says none. */
  response(section: readonly Field[]): ResponseHead {
    const count = pseudoCount(section)
    let status = 0
    for (let at = 0; at < count; at++) {
      const field = section[at]
      if (field?.[0] === ':status') status = Number(field[1]) || 0
    }
    const last = this.#lastResponse
    const fields = fieldsBehind(section, count, last.fields)
    if (fields === last.fields && status === last.status) return last
    return (this.#lastResponse = { status, statusText: '', httpVersion: VERSION, fields })
  }

  #origin(scheme: string, authority: string): string {
    if (scheme !== this.#lastScheme || authority !== this.#lastAuthority) {
      this.#lastScheme = scheme
      this.#lastAuthority = authority
      this.#lastOrigin = `${scheme}://${authority}`
    }
    return this.#lastOrigin
  }
}

/** How many pseudo-header fields come before the others. */
function pseudoCount(section: readonly Field[]): number {
  let count = 0
  while (section[count]?.[0].charCodeAt(0) === COLON) count++
  return count
}

/** The fields of a section from a place on; those of `last`, if they are these. */
function fieldsBehind(section: readonly Field[], count: number, last: readonly Field[]): readonly Field[] {
  if (last.length !== section.length - count) return section.slice(count)
  for (let at = 0; at < last.length; at++) if (last[at] !== section[count + at]) return section.slice(count)
  return last
}
