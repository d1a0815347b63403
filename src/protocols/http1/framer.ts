/**
 * Finds where the messages of one direction of an HTTP/1 connection begin and end, and changes nothing: the octets of
 * all parts, put together, are the octets that came in.
 */
import type { Field } from '../../exchange.ts'
import { ChunkScanner } from './chunked.ts'
import { isTunnel, readRequestFacts, readResponseFacts } from './facts.ts'
import type { HeadFacts } from './facts.ts'
import { plainRequest, plainResponse } from './plain-head.ts'
import { findBlankLine, looksLikeRequest, parseFields, skipEmptyLines } from './head.ts'

export type { HeadFacts } from './facts.ts'

/** One part of a message, with the octets that it had on the wire. */
export type Part =
  /** A whole head with its blank line, and any empty lines before its request line. */
  | { readonly kind: 'head'; readonly octets: Buffer; readonly facts: HeadFacts }
  /** Octets of a body, chunk lines included; `content` are the slices of them that are content, perhaps none. */
  | { readonly kind: 'body'; readonly octets: Buffer; readonly content: readonly Buffer[] }
  /** The message is whole; `octets` are the last chunk with the trailer section, or none. */
  | { readonly kind: 'end'; readonly octets: Buffer; readonly trailers: readonly Field[] }
  /** What cannot be framed, or was not to be; all that follows is opaque too. */
  | { readonly kind: 'opaque'; readonly octets: Buffer; readonly reason: string }

/** How to make a {@link Framer}. */
export interface FramerOptions {
  /** Which messages come in this direction. */
  readonly kind: 'request' | 'response'
  /** Largest head in octets, empty lines before it included; also the largest trailer section. */
  readonly maxHeadBytes: number
  /**
   * Tells the method of the request that the next response answers; asked at each response head, interim ones too.
   * Undefined when no request is outstanding: that response is opaque. Has no effect for requests.
   *
   * @defaultValue a function that answers `'GET'`
   */
  readonly requestMethod?: (() => string | undefined) | undefined
}

const noOctets = Buffer.alloc(0)
const emptyEnd: Part = Object.freeze({ kind: 'end', octets: noOctets, trailers: Object.freeze([]) })
const versionStart = 'HTTP/1.'
const lineFeed = 0x0a

/**
 * Cuts the octets of one direction into {@link Part}s (RFC 9112 section 6.3).
 *
 * It is lazy: nothing behind the part that `read()` returned is looked at before the next `read()`. What is malformed
 * or ambiguous, and all that comes after it, is opaque. A push is never copied, but for a head or a chunk line that
 * spans several; parts are slices of the pushes, so the caller must not write to those again.
 *
 * Interim responses are a head and nothing else. `101` and a `2xx` to CONNECT are head and end, then all is opaque, with
 * the reasons `upgrade` and `tunnel`.
 *
 * @see RFC 9112 section 6.3: https://www.rfc-editor.org/rfc/rfc9112#section-6.3
 */
export class Framer {
  readonly #kind: 'request' | 'response'
  readonly #maxHeadBytes: number
  readonly #requestMethod: () => string | undefined

  #state: 'head' | 'length' | 'chunked' | 'close' | 'end' | 'opaque' = 'head'
  /** The oldest push that is not read out, from `#at` on, and those after it. */
  #octets: Buffer = noOctets
  #at = 0
  readonly #queue: Buffer[] = []
  #hasEnded = false
  /** How many octets after `#at` are known to have no blank line in them. */
  #searched = 0
  /** Octets of the body that are still to come, where its length is known. */
  #left = 0
  readonly #chunks = new ChunkScanner()
  #opaqueReason = ''
  /** Why all is opaque after the end of this message, if so. */
  #opaqueAfterEnd: string | undefined

  constructor(options: FramerOptions) {
    this.#kind = options.kind
    this.#maxHeadBytes = options.maxHeadBytes
    this.#requestMethod = options.requestMethod ?? (() => 'GET')
  }

  /** Adds octets as they came. The framer keeps `octets` itself, not a copy. */
  push(octets: Buffer): void {
    if (octets.length === 0) return
    if (this.#at < this.#octets.length || this.#queue.length > 0) {
      this.#queue.push(octets)
    } else {
      this.#octets = octets
      this.#at = 0
    }
  }

  /** Takes the next part; undefined when it needs more octets, or after `end()` when there are none left. */
  read(): Part | undefined {
    switch (this.#state) {
      case 'head':
        return this.#readHead()
      case 'length':
        return this.#readLength()
      case 'chunked':
        return this.#readChunked()
      case 'close':
        if (this.#fill()) {
          const octets = this.#take(this.#octets.length)
          return { kind: 'body', octets, content: [octets] }
        }
        return this.#hasEnded ? this.#finish(emptyEnd) : undefined
      case 'end':
        return this.#finish(emptyEnd)
      case 'opaque':
        return this.#readOpaque()
    }
  }

  /**
   * Says that no more octets will come: a close-delimited body ends, and what is left of a broken-off message is opaque.
   */
  end(): void {
    this.#hasEnded = true
  }

  /**
   * Makes all octets that are not read out yet opaque, and all that will come. An `end` that was not read out does not
   * come any more. Has no effect where all is opaque already.
   */
  makeOpaque(reason: string): void {
    if (this.#state === 'opaque') return
    this.#state = 'opaque'
    this.#opaqueReason = reason
  }

  /** Whether it stands at a message boundary (also after an interim response) with no octets buffered. */
  get isBetweenMessages(): boolean {
    return this.#state === 'head' && !this.#hasOctets
  }

  get #hasOctets(): boolean {
    return this.#at < this.#octets.length || this.#queue.length > 0
  }

  #readHead(): Part | undefined {
    if (!this.#fill()) return undefined
    const plain = this.#searched === 0 ? this.#readPlainHead() : undefined
    if (plain) return plain
    for (;;) {
      const octets = this.#octets
      const start = this.#headStart()
      const end = findBlankLine(octets, Math.max(start, this.#at + this.#searched))
      const size = (end === -1 ? octets.length : end) - this.#at
      if (size > this.#maxHeadBytes) return this.#fail(`head larger than ${this.#maxHeadBytes} octets`)
      if (end !== -1) return this.#readHeadFacts(start, end)

      // A blank line is at most three octets from line end to line end: two of them may be here.
      this.#searched = Math.max(start, octets.length - 2) - this.#at
      if (!this.#mayBecomeHead(start)) return this.#fail(this.#startLineProblem)
      if (this.#join(false)) continue
      if (!this.#hasEnded) return undefined
      return this.#fail(start === octets.length ? 'ended after empty lines' : 'ended inside a head')
    }
  }

  #readHeadFacts(start: number, end: number): Part {
    this.#searched = 0
    const text = this.#octets.toString('latin1', start, end)
    const method = this.#kind === 'request' ? '' : this.#requestMethod()
    if (method === undefined) return this.#fail('response without a request')
    const facts = this.#kind === 'request' ? readRequestFacts(text) : readResponseFacts(text, method)
    if (typeof facts === 'string') return this.#fail(facts)

    return this.#enter(this.#take(end), facts, method)
  }

  #readPlainHead(): Part | undefined {
    const octets = this.#octets
    const at = this.#at
    const method = this.#kind === 'request' ? '' : this.#requestMethod()
    if (method === undefined) return undefined
    const facts = this.#kind === 'request' ? plainRequest(octets, at) : plainResponse(octets, at, method)
    if (!facts || facts.headLength > this.#maxHeadBytes) return undefined
    return this.#enter(this.#take(at + facts.headLength), facts, method)
  }

  /** Takes the state that follows a head. */
  #enter(octets: Buffer, facts: HeadFacts, method: string): Part {
    if (facts.status >= 100 && facts.status < 200 && facts.status !== 101) return { kind: 'head', octets, facts }
    if (facts.status === 101) this.#opaqueAfterEnd = 'upgrade'
    else if (isTunnel(facts.status, method)) this.#opaqueAfterEnd = 'tunnel'
    if (!facts.hasBody) this.#state = 'end'
    else if (facts.isChunked) this.#state = 'chunked'
    else if (facts.isCloseDelimited) this.#state = 'close'
    else {
      this.#state = 'length'
      this.#left = facts.contentLength ?? 0
    }
    return { kind: 'head', octets, facts }
  }

  #readLength(): Part | undefined {
    if (!this.#fill()) return undefined
    const octets = this.#take(Math.min(this.#octets.length, this.#at + this.#left))
    this.#left -= octets.length
    if (this.#left === 0) this.#state = 'end'
    return { kind: 'body', octets, content: [octets] }
  }

  #readChunked(): Part | undefined {
    if (!this.#fill()) return undefined
    for (;;) {
      const { end, content, found } = this.#chunks.scan(this.#octets, this.#at)
      if (end > this.#at) return { kind: 'body', octets: this.#take(end), content }
      if (found === 'last') return this.#readTrailers()
      if (found === 'malformed') return this.#fail('malformed chunk')
      if (!this.#join(true)) return this.#hasEnded ? this.#fail('ended inside a body') : undefined
    }
  }

  #readTrailers(): Part | undefined {
    for (;;) {
      const octets = this.#octets
      const lineEnd = octets.indexOf(lineFeed, this.#at)
      const end = findBlankLine(octets, Math.max(lineEnd, this.#at + this.#searched))
      const size = (end === -1 ? octets.length : end) - this.#at
      if (size > this.#maxHeadBytes) return this.#fail(`trailer section larger than ${this.#maxHeadBytes} octets`)
      if (end !== -1) {
        const trailers = parseFields(octets.toString('latin1', lineEnd + 1, end))
        return this.#finish({ kind: 'end', octets: this.#take(end), trailers })
      }
      this.#searched = Math.max(lineEnd, octets.length - 2) - this.#at
      if (!this.#join(true)) return this.#hasEnded ? this.#fail('ended inside a trailer section') : undefined
    }
  }

  #readOpaque(): Part | undefined {
    if (!this.#fill()) return undefined
    return { kind: 'opaque', octets: this.#take(this.#octets.length), reason: this.#opaqueReason }
  }

  /** Sets all behind the end of a message to be read as the next one. */
  #finish(end: Part): Part {
    this.#state = 'head'
    this.#searched = 0
    if (this.#opaqueAfterEnd) this.makeOpaque(this.#opaqueAfterEnd)
    return end
  }

  #fail(reason: string): Part {
    this.makeOpaque(reason)
    return { kind: 'opaque', octets: this.#take(this.#octets.length), reason }
  }

  #headStart(): number {
    return this.#kind === 'request' ? skipEmptyLines(this.#octets, this.#at) : this.#at
  }

  get #startLineProblem(): string {
    return this.#kind === 'request' ? 'not a request line' : 'not a status line'
  }

  /** Whether what came of a head can begin one: other protocols must not wait for a blank line. */
  #mayBecomeHead(start: number): boolean {
    if (this.#kind === 'request') return looksLikeRequest(this.#octets.subarray(start)) !== 'no'
    return versionStart.startsWith(this.#octets.toString('latin1', start, start + versionStart.length))
  }

  /** Makes the next push the current one when that is read out. */
  #fill(): boolean {
    if (this.#at < this.#octets.length) return true
    this.#octets = this.#queue.shift() ?? noOctets
    this.#at = 0
    return this.#octets.length > 0
  }

  /** Puts the next push, or only its first line, behind what is left of the current one. */
  #join(onlyLine: boolean): boolean {
    const next = this.#queue.shift()
    if (!next) return false
    const end = onlyLine ? next.indexOf(lineFeed) + 1 : 0
    if (end > 0 && end < next.length) this.#queue.unshift(next.subarray(end))
    const octets = end > 0 ? next.subarray(0, end) : next
    this.#octets = Buffer.concat([this.#octets.subarray(this.#at), octets])
    this.#at = 0
    return true
  }

  #take(end: number): Buffer {
    const octets = this.#octets
    const start = this.#at
    this.#at = end
    if (end === octets.length) {
      this.#octets = noOctets
      this.#at = 0
    }
    return start === 0 && end === octets.length ? octets : octets.subarray(start, end)
  }
}
