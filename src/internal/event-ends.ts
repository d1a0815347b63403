/** Finds where server-sent events end, in octets cut anywhere. Holds no octets. */

/**
 * Where events end: behind the blank line of each block of lines with a `data` field. Comments and blocks without data,
 * which a client does not dispatch, are not counted.
 *
 * @see HTML, section 9.2.5: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
 */
export class EventEnds {
  /** The first octets of the line being read, as many as tell a `data` field. */
  #line = ''
  /** Whether the line being read is the first of the stream, which a BOM may precede. */
  #isFirstLine = true
  #hasData = false
  /** Whether a LF now belongs to the CR before it. */
  #isAfterCr = false
  readonly #framing: ChunkLines | undefined

  /** @param isChunked - Whether octets are those of a chunked body, whose chunk lines are no part of the events. */
  constructor({ isChunked = false }: { readonly isChunked?: boolean } = {}) {
    if (isChunked) this.#framing = new ChunkLines()
  }

  /** The indexes in these octets, the next ones of the body, behind each event that ends in them. */
  find(octets: Uint8Array): readonly number[] {
    const ends: number[] = []
    for (let at = 0; at < octets.length; at++) {
      const octet = octets[at] ?? 0
      if (this.#framing && !this.#framing.isContent(octet)) continue
      if (!this.#takesLine(octet)) continue
      const hasLineFeed = octet === CR && octets[at + 1] === LF && !this.#framing?.isAtChunkEnd
      ends.push(at + (hasLineFeed ? 2 : 1))
    }
    return ends
  }

  /** @returns Whether an event ends with this octet. */
  #takesLine(octet: number): boolean {
    const isSecondHalf = this.#isAfterCr && octet === LF
    this.#isAfterCr = octet === CR
    if (isSecondHalf) return false
    if (octet !== CR && octet !== LF) {
      if (this.#line.length < LINE_START_LENGTH) this.#line += String.fromCharCode(octet)
      return false
    }
    const line = this.#isFirstLine ? this.#line.replace(BOM, '') : this.#line
    this.#line = ''
    this.#isFirstLine = false
    if (line === '') {
      const isEvent = this.#hasData
      this.#hasData = false
      return isEvent
    }
    if (line.startsWith('data:') || line === 'data') this.#hasData = true
    return false
  }
}

const LF = 0x0a
const CR = 0x0d
/** The UTF-8 octets of U+FEFF, as latin1. */
const BOM = '\xef\xbb\xbf'
/** A BOM, `data`, and one octet more. */
const LINE_START_LENGTH = 8

/** Tells content from framing in a chunked body. What is not well-formed is content from there on. */
class ChunkLines {
  #state: 'size' | 'extension' | 'content' | 'contentEnd' | 'trailers' | 'broken' = 'size'
  #digits = ''
  #left = 0

  /** Whether no more content of this chunk follows what was taken. */
  get isAtChunkEnd(): boolean {
    return this.#state === 'contentEnd'
  }

  /** Takes an octet. @returns Whether it is content */
  isContent(octet: number): boolean {
    switch (this.#state) {
      case 'size':
        if (isHexDigit(octet) && this.#digits.length < 13) {
          this.#digits += String.fromCharCode(octet)
          return false
        }
        this.#state = this.#digits === '' ? 'broken' : 'extension'
        return this.isContent(octet)
      case 'extension':
        if (octet !== LF) return false
        this.#left = Number.parseInt(this.#digits, 16)
        this.#digits = ''
        this.#state = this.#left > 0 ? 'content' : 'trailers'
        return false
      case 'content':
        this.#left--
        if (this.#left === 0) this.#state = 'contentEnd'
        return true
      case 'contentEnd':
        if (octet === LF) this.#state = 'size'
        return false
      case 'trailers':
        return false
      case 'broken':
        return true
    }
  }
}

function isHexDigit(octet: number): boolean {
  return (octet >= 0x30 && octet <= 0x39) || (octet >= 0x41 && octet <= 0x46) || (octet >= 0x61 && octet <= 0x66)
}
