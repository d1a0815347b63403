/** Chunked bodies: which octets are framing and which are content. Holds no octets; the framer does. Writes them too. */
import type { Field } from '../../exchange.ts'
import { writeFields } from './write.ts'

/**
 * ```
 * chunk      = 1*HEXDIG [BWS ; extensions] CRLF  data CRLF
 * last-chunk = 1*"0"    [BWS ; extensions] CRLF  trailers CRLF
 * ```
 *
 * What a scan came to: `more` octets are needed, the `last` chunk begins at `end`, or what stands there is `malformed`.
 */
export interface ChunkScan {
  /** The index up to which octets are whole chunk lines, content, and line ends after content. */
  readonly end: number
  /** The slices that are content. */
  readonly content: readonly Buffer[]
  readonly found: 'more' | 'last' | 'malformed'
}

/** Longest chunk line, in octets. */
const maxChunkLineBytes: number = 16_384

const incomplete = -1
const malformed = -2
const carriageReturn = 0x0d
const lineFeed = 0x0a
const crlf = Buffer.from('\r\n')

/**
 * Scans chunked bodies, however they are cut, one after the other: at a last chunk it is as new.
 *
 * A line that is not whole is left alone (`end` stands before it): show it again with more octets behind it.
 *
 * @see RFC 9112 section 7.1: https://www.rfc-editor.org/rfc/rfc9112#section-7.1
 */
export class ChunkScanner {
  #state: 'line' | 'data' | 'data-end' = 'line'
  /** Octets of the chunk that are still to come. */
  #left = 0

  /**
   * Goes as far as the octets go, or as far as the last chunk.
   *
   * @param octets - What has come; `content` is slices of it.
   * @param from - The `end` of the scan before.
   */
  scan(octets: Buffer, from: number): ChunkScan {
    const content: Buffer[] = []
    let at = from
    while (at < octets.length) {
      if (this.#state === 'data') {
        const end = Math.min(octets.length, at + this.#left)
        content.push(at === 0 && end === octets.length ? octets : octets.subarray(at, end))
        this.#left -= end - at
        at = end
        if (this.#left === 0) this.#state = 'data-end'
      } else if (this.#state === 'data-end') {
        const size = lineEndSize(octets, at)
        if (size < 0) return { end: at, content, found: size === malformed ? 'malformed' : 'more' }
        at += size
        this.#state = 'line'
      } else {
        const size = chunkSize(octets, at)
        if (size === 0) return { end: at, content, found: 'last' }
        if (size < 0) return { end: at, content, found: size === malformed ? 'malformed' : 'more' }
        at = octets.indexOf(lineFeed, at) + 1
        this.#left = size
        this.#state = 'data'
      }
    }
    return { end: at, content, found: 'more' }
  }
}

/** One chunk of a body. @param content - Not empty: that would be the end. */
export function writeChunk(content: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${content.length.toString(16)}\r\n`), content, crlf])
}

/** The end of a chunked body, with the fields behind it. */
export function lastChunk(trailers: readonly Field[]): Buffer {
  return Buffer.from(`0\r\n${writeFields(trailers)}\r\n`, 'latin1')
}

function lineEndSize(octets: Buffer, at: number): number {
  if (octets[at] === lineFeed) return 1
  if (octets[at] !== carriageReturn) return malformed
  if (at + 1 === octets.length) return incomplete
  return octets[at + 1] === lineFeed ? 2 : malformed
}

/** The size that the chunk line at `from` says. A line that can no longer become one is malformed before it ends. */
function chunkSize(octets: Buffer, from: number): number {
  let at = from
  let size = 0
  for (let digit = hexValue(octets[at]); digit >= 0; digit = hexValue(octets[++at])) {
    size = size * 16 + digit
    if (size > Number.MAX_SAFE_INTEGER) return malformed
  }
  if (at === from) return malformed
  while (octets[at] === 0x20 || octets[at] === 0x09) at++

  let end = at
  if (octets[at] === 0x3b) {
    const lineFeedAt = octets.indexOf(lineFeed, at)
    end = lineFeedAt === -1 ? octets.length : lineFeedAt
    // An endpoint that takes a bare CR for a line end would see other chunks.
    const carriageReturnAt = octets.subarray(at, end).indexOf(carriageReturn)
    if (carriageReturnAt !== -1) end = at + carriageReturnAt
  }
  if (end - from > maxChunkLineBytes) return malformed
  if (end === octets.length) return incomplete
  const lineEnd = lineEndSize(octets, end)
  return lineEnd < 0 ? lineEnd : size
}

function hexValue(octet: number | undefined): number {
  if (octet === undefined) return -1
  if (octet >= 0x30 && octet <= 0x39) return octet - 0x30
  const lower = octet | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}
