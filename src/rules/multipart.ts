/** Bodies of `multipart/form-data`, taken apart: RFC 7578, RFC 2046 section 5.1, and the HTML standard's way with names. */
import type { Exchange } from '../exchange.ts'
import { mediaTypeOf, readBody, Unreadable } from './filter-part.ts'

/** One part of a body. */
export interface MultipartPart {
  readonly name: string
  /** Only files have one; it may be empty. */
  readonly filename: string | undefined
  /** With its parameters; undefined where the part does not say. */
  readonly contentType: string | undefined
  readonly octets: Buffer
}

const CRLF = Buffer.from('\r\n')
const BLANK_LINE = Buffer.from('\r\n\r\n')
const DASH = 0x2d

/** The parts of the last exchange that was asked for: several filters look at the same one. */
const parsed = new WeakMap<Exchange, readonly MultipartPart[]>()

/** The parts of an exchange's request. @throws {@link Unreadable} when its body is not whole or no such form. */
export function multipartOf(exchange: Exchange): readonly MultipartPart[] {
  const before = parsed.get(exchange)
  if (before) return before
  const type = mediaTypeOf(exchange)
  if (type !== 'multipart/form-data') throw new Unreadable(`content-type is ${type || 'absent'}`)
  const [, quoted, bare] =
    /;\s*boundary=(?:"((?:\\.|[^"\\])*)"|([^\s;"]+))/i.exec(exchange.request.header('content-type') ?? '') ?? []
  const boundary = quoted?.replaceAll(/\\(.)/g, '$1') ?? bare
  if (!boundary) throw new Unreadable('content-type names no boundary')
  const parts = parseMultipart(
    readBody(exchange, () => exchange.request.decodedBody()),
    boundary,
  )
  parsed.set(exchange, parts)
  return parts
}

/**
 * Takes a body apart:
 *
 * | preamble, ignored | `--boundary` CRLF | fields, blank line, content | CRLF `--boundary` CRLF | … | CRLF `--boundary--` | epilogue, ignored |
 * |---|---|---|---|---|---|---|
 *
 * @throws {@link Unreadable} saying at which octet it is malformed.
 */
function parseMultipart(octets: Buffer, boundary: string): MultipartPart[] {
  const delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1')
  const opening = delimiter.subarray(CRLF.length)
  const isOpenAtOnce = octets.subarray(0, opening.length).equals(opening)
  const first = isOpenAtOnce ? 0 : octets.indexOf(delimiter)
  if (first < 0) throw new Unreadable(`the boundary ${JSON.stringify(boundary)} is nowhere in it`)
  const parts: MultipartPart[] = []
  let at = isOpenAtOnce ? opening.length : first + delimiter.length
  for (;;) {
    if (octets[at] === DASH && octets[at + 1] === DASH) return parts
    const lineEnd = octets.indexOf(CRLF, at)
    // Only blanks may stand behind a boundary.
    if (lineEnd < 0 || !/^[\t ]*$/.test(octets.toString('latin1', at, lineEnd))) {
      throw new Unreadable(`octet ${at} is malformed, expected a line end behind the boundary`)
    }
    const end = octets.indexOf(delimiter, lineEnd)
    if (end < 0) throw new Unreadable(`the part at octet ${at} does not end, expected --${boundary}--`)
    parts.push(parsePart(octets.subarray(lineEnd, end), lineEnd))
    at = end + delimiter.length
  }
}

/** @param octets - From the line end behind the boundary on. */
function parsePart(octets: Buffer, offset: number): MultipartPart {
  const headEnd = octets.indexOf(BLANK_LINE)
  if (headEnd < 0) throw new Unreadable(`the part at octet ${offset} has no blank line behind its fields`)
  const head = octets.toString('utf8', 0, headEnd).replaceAll(/\r\n[\t ]+/g, ' ')
  const disposition = fieldOf(head, 'content-disposition') ?? ''
  const name = parameterOf(disposition, 'name')
  if (name === undefined) throw new Unreadable(`the part at octet ${offset} has no name`)
  return {
    name,
    filename: parameterOf(disposition, 'filename'),
    contentType: fieldOf(head, 'content-type'),
    octets: octets.subarray(headEnd + BLANK_LINE.length),
  }
}

function fieldOf(head: string, name: string): string | undefined {
  return new RegExp(`(?:^|\\r\\n)${name}:[\\t ]*([^\\r\\n]*)`, 'i').exec(head)?.[1]?.trim()
}

function parameterOf(disposition: string, name: string): string | undefined {
  const [, quoted, bare] =
    new RegExp(`;\\s*${name}=(?:"((?:\\\\["\\\\]|[^"])*)"|([^\\s;"]+))`, 'i').exec(disposition) ?? []
  // Browsers write these three in percent-encoding, and nothing else; older programs put a backslash before quotes.
  return (quoted?.replaceAll(/\\(["\\])/g, '$1') ?? bare)?.replaceAll(/%22|%0D|%0A/gi, decodeURIComponent)
}
