/**
 * The hot path of framing: facts of heads as browsers and servers write them, found in one pass over the octets. A head
 * with anything in it that needs thought is not plain; `Framer` and `facts.ts` look at that.
 */
import type { HeadFacts } from './facts.ts'
import { trimLine } from './head.ts'

const LF = 0x0a
const CR = 0x0d
const SPACE = 0x20
const COLON = 0x3a
const HTTP_1_1 = Buffer.from('HTTP/1.1')
const KEEP_ALIVE = Buffer.from('keep-alive')
const NAMES = {
  connection: Buffer.from('connection'),
  contentLength: Buffer.from('content-length'),
  expect: Buffer.from('expect'),
  host: Buffer.from('host'),
  transferEncoding: Buffer.from('transfer-encoding'),
  upgrade: Buffer.from('upgrade'),
}
const MAX_METHOD_BYTES = 32
/** Longer ones are looked at by others. */
const MAX_TARGET_END = 8192
/** More digits are not a length that anybody means. */
const MAX_LENGTH_DIGITS = 12

/** The facts of a head that is plain. Texts are read when somebody asks. */
export class PlainFacts implements HeadFacts {
  readonly method: string
  readonly status: number
  readonly contentLength: number | undefined
  readonly hasBody: boolean
  /** Octets of the head, its blank line included. */
  readonly headLength: number
  readonly #octets: Buffer
  readonly #at: number
  readonly #hostAt: number

  /** @param at - Where the head begins in `octets`. */
  constructor(
    octets: Buffer,
    at: number,
    start: { readonly method: string; readonly status: number; readonly isBodiless: boolean },
    fields: PlainFields,
  ) {
    this.#octets = octets
    this.#at = at
    this.#hostAt = fields.hostAt
    this.method = start.method
    this.status = start.status
    this.headLength = fields.end - at
    this.contentLength = fields.contentLength < 0 ? undefined : fields.contentLength
    this.hasBody = !start.isBodiless && fields.contentLength > 0
  }

  get isHttp10(): false {
    return false
  }

  get isChunked(): false {
    return false
  }

  get isCloseDelimited(): false {
    return false
  }

  get keepsAlive(): true {
    return true
  }

  get upgrade(): undefined {
    return undefined
  }

  get expectsContinue(): false {
    return false
  }

  get startLine(): string {
    return this.#octets.toString('latin1', this.#at, this.#octets.indexOf('\r\n', this.#at))
  }

  get target(): string {
    const [, target = ''] = this.method === '' ? [] : this.startLine.split(' ')
    return target
  }

  /** Whether the Host field is this one, in lower case: told from its octets. */
  hasHost(host: Buffer): boolean {
    return this.#hostAt >= 0 && isValueAt(this.#octets, this.#hostAt - 1, host)
  }

  get host(): string | undefined {
    if (this.method === '' || this.#hostAt < 0) return undefined
    const end = this.#octets.indexOf('\r\n', this.#hostAt)
    return trimLine(this.#octets.toString('latin1', this.#hostAt, end), 0, end - this.#hostAt)
  }
}

interface PlainFields {
  /** Behind the blank line. */
  readonly end: number
  /** -1 when there is none. */
  readonly contentLength: number
  /** -1 when there is none. */
  readonly hostAt: number
}

/** The facts of the request head that begins at `from`, if it is plain and whole. */
export function plainRequest(octets: Buffer, from: number): PlainFacts | undefined {
  let at = from
  while (isCapital(octets[at])) at++
  const methodEnd = at
  if (octets[at] !== SPACE || methodEnd === from || methodEnd - from > MAX_METHOD_BYTES) return undefined
  const targetAt = ++at
  while (isGraphic(octets[at])) at++
  if (at === targetAt || at - from > MAX_TARGET_END || octets[at] !== SPACE) return undefined
  if (!isAt(octets, at + 1, HTTP_1_1)) return undefined
  at += 1 + HTTP_1_1.length
  if (octets[at] !== CR || octets[at + 1] !== LF) return undefined
  const fields = readFields(octets, at + 2)
  if (!fields) return undefined
  const method = isGetAt(octets, from) ? 'GET' : octets.toString('latin1', from, methodEnd)
  return new PlainFacts(octets, from, { method, status: 0, isBodiless: false }, fields)
}

/** The same for a final response to a request of this method. */
export function plainResponse(octets: Buffer, from: number, requestMethod: string): PlainFacts | undefined {
  if (requestMethod === 'CONNECT' || !isAt(octets, from, HTTP_1_1)) return undefined
  if (octets[from + 8] !== SPACE || octets[from + 12] !== SPACE) return undefined
  const status = digit(octets[from + 9]) * 100 + digit(octets[from + 10]) * 10 + digit(octets[from + 11])
  if (!(status >= 200 && status <= 599)) return undefined
  let at = from + 13
  while (at < octets.length && octets[at] !== LF) at++
  if (octets[at - 1] !== CR) return undefined
  const fields = readFields(octets, at + 1)
  const isBodiless = status === 204 || status === 304 || requestMethod === 'HEAD'
  // Without a length it goes on to the end of the connection.
  if (!fields || (fields.contentLength < 0 && !isBodiless)) return undefined
  return new PlainFacts(octets, from, { method: '', status, isBodiless }, fields)
}

/** Reads the fields up to the blank line; undefined when one of them needs thought, or the head is not whole. */
function readFields(octets: Buffer, from: number): PlainFields | undefined {
  const { length } = octets
  let contentLength = -1
  let hostAt = -1
  let at = from
  while (at + 1 < length) {
    const first = octets[at] ?? 0
    if (first === CR) return octets[at + 1] === LF ? { end: at + 2, contentLength, hostAt } : undefined
    switch (first | SPACE) {
      case 0x63: // c
        if (isNameAt(octets, at, NAMES.connection)) {
          if (!isValueAt(octets, at + NAMES.connection.length, KEEP_ALIVE)) return undefined
        } else if (isNameAt(octets, at, NAMES.contentLength)) {
          if (contentLength >= 0) return undefined
          contentLength = lengthAt(octets, at + NAMES.contentLength.length)
          if (contentLength < 0) return undefined
        }
        break
      case 0x68: // h
        if (isNameAt(octets, at, NAMES.host)) {
          if (hostAt >= 0 || octets[at + NAMES.host.length] !== COLON) return undefined
          hostAt = at + NAMES.host.length + 1
        }
        break
      case 0x74: // t
        if (isNameAt(octets, at, NAMES.transferEncoding)) return undefined
        break
      case 0x75: // u
        if (isNameAt(octets, at, NAMES.upgrade)) return undefined
        break
      case 0x65: // e
        if (isNameAt(octets, at, NAMES.expect)) return undefined
        break
      default:
        // A folded line, a control character or a bare line feed.
        if (first <= SPACE) return undefined
    }
    while (at < length && octets[at] !== LF) at++
    if (octets[at - 1] !== CR) return undefined
    at++
  }
  return undefined
}

/** Whether a name stands here, ended by its colon or by white space that should not be there. */
function isNameAt(octets: Buffer, at: number, name: Buffer): boolean {
  const end = octets[at + name.length] ?? COLON + 1
  return (end === COLON || end <= SPACE) && isAt(octets, at, name, SPACE)
}

/** Whether `: value` and nothing else stands here up to the line end. */
function isValueAt(octets: Buffer, colonAt: number, value: Buffer): boolean {
  if (octets[colonAt] !== COLON) return false
  const at = colonAt + (octets[colonAt + 1] === SPACE ? 2 : 1)
  return octets[at + value.length] === CR && isAt(octets, at, value, SPACE)
}

/** The number that stands here; -1 when that is not a plain one. */
function lengthAt(octets: Buffer, colonAt: number): number {
  if (octets[colonAt] !== COLON) return -1
  const start = colonAt + (octets[colonAt + 1] === SPACE ? 2 : 1)
  let at = start
  let value = 0
  for (; digit(octets[at]) >= 0; at++) value = value * 10 + digit(octets[at])
  return at > start && at - start <= MAX_LENGTH_DIGITS && octets[at] === CR ? value : -1
}

/** @param fold - What is set in each octet before it is compared: 0x20 makes capitals small. */
function isAt(octets: Buffer, at: number, text: Buffer, fold = 0): boolean {
  for (let index = 0; index < text.length; index++) {
    if (((octets[at + index] ?? 0) | fold) !== text[index]) return false
  }
  return true
}

function isGetAt(octets: Buffer, at: number): boolean {
  return octets[at] === 0x47 && octets[at + 1] === 0x45 && octets[at + 2] === 0x54 && octets[at + 3] === SPACE
}

function isCapital(octet: number | undefined): boolean {
  return octet !== undefined && octet >= 0x41 && octet <= 0x5a
}

function isGraphic(octet: number | undefined): boolean {
  return octet !== undefined && octet > SPACE && octet < 0x7f
}

function digit(octet: number | undefined): number {
  const value = (octet ?? 0) - 0x30
  return value >= 0 && value <= 9 ? value : -1
}
