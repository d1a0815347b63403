/**
 * What a head says about framing, found in one pass over its text, without parsing the fields that do not matter.
 *
 * Where RFC 9112 section 6.3 and the endpoints could disagree on the length of a message, there is no answer but the
 * reason why: the framer then stops framing.
 */
import { maxRequestLineBytes, trimLine } from './head.ts'

/** What the framer finds in a head. */
export interface HeadFacts {
  /** The request or status line without its line end, as latin1. */
  readonly startLine: string
  /** Empty for a response. */
  readonly method: string
  /** As in the request line; empty for a response. */
  readonly target: string
  /** 0 for a request. */
  readonly status: number
  /** Whether the version is `HTTP/1.0`. */
  readonly isHttp10: boolean
  /** The value of Content-Length, also where it does not say the length (HEAD, 304); undefined beside a transfer coding. */
  readonly contentLength: number | undefined
  /** Whether the body comes in chunks. */
  readonly isChunked: boolean
  /** Whether the body of this response ends with the connection. */
  readonly isCloseDelimited: boolean
  /** Whether a body follows; one that is chunked or close-delimited may turn out empty. */
  readonly hasBody: boolean
  /** Whether version and Connection field let the connection be used again; not whether the framing does. */
  readonly keepsAlive: boolean
  /** The value of Upgrade, when Connection names it. */
  readonly upgrade: string | undefined
  /** Whether an HTTP/1.1 request has `Expect: 100-continue`. */
  readonly expectsContinue: boolean
  /** The value of Host of a request; undefined when there is none or several. */
  readonly host: string | undefined
}

/** The facts of a request of which none is known. */
export const unknownFacts: HeadFacts = {
  startLine: '',
  method: '',
  target: '',
  status: 0,
  isHttp10: false,
  contentLength: undefined,
  isChunked: false,
  isCloseDelimited: false,
  hasBody: false,
  keepsAlive: false,
  upgrade: undefined,
  expectsContinue: false,
  host: undefined,
}

/** The values of the fields that matter, those of one name joined by a comma. */
interface FramingFields {
  'content-length': string | undefined
  'transfer-encoding': string | undefined
  connection: string | undefined
  upgrade: string | undefined
  expect: string | undefined
  host: string | undefined
  /** How many Host fields there are. */
  hosts: number
  /** Why Content-Length or Transfer-Encoding cannot be trusted. */
  problem: string | undefined
}

type FramingName = Exclude<keyof FramingFields, 'hosts' | 'problem'>

/** What the fields that say the length come to. */
interface Length {
  readonly contentLength: number | undefined
  readonly isChunked: boolean
  /** Whether there are transfer codings of which the last is not `chunked`. */
  readonly isCoded: boolean
}

const requestLine = /^([\w!#$%&'*+\-.^`|~]{1,32}) ([^\x00-\x20\x7f]+) HTTP\/1\.(\d)[ \t]*$/
const statusLine = /^HTTP\/1\.(\d) +(\d{3})(?:[ \t]|$)/
const framingFold = /^[ \t]+(?:content-length|transfer-encoding)[\x00-\x20]*:/i
const closingCodings = new Set(['gzip', 'x-gzip', 'deflate', 'compress', 'x-compress', 'br', 'zstd', 'identity'])

/**
 * Finds the facts of a request head.
 *
 * @param text - The head from its request line to its blank line, as latin1.
 * @returns The facts, or why the message cannot be framed.
 */
export function readRequestFacts(text: string): HeadFacts | string {
  const lineEnd = text.indexOf('\n')
  const startLine = lineWithoutEnd(text, lineEnd)
  const match = requestLine.exec(startLine)
  if (!match || startLine.length > maxRequestLineBytes) return 'not a request line'
  const [, method = '', target = '', minorVersion] = match
  const isHttp10 = minorVersion === '0'

  const fields = findFramingFields(text, lineEnd + 1)
  const length = readLength(fields, isHttp10)
  if (typeof length === 'string') return length
  if (length.isCoded) return 'request with a Transfer-Encoding that does not end in chunked'
  const { contentLength, isChunked } = length
  return {
    startLine,
    method,
    target,
    status: 0,
    isHttp10,
    contentLength,
    isChunked,
    isCloseDelimited: false,
    hasBody: isChunked || (contentLength ?? 0) > 0,
    keepsAlive: keepsAlive(fields, isHttp10),
    upgrade: upgradeOf(fields),
    expectsContinue: !isHttp10 && fields.expect?.toLowerCase() === '100-continue',
    host: fields.hosts === 1 ? fields.host : undefined,
  }
}

/**
 * Finds the facts of a response head.
 *
 * @param text - The head from its status line to its blank line, as latin1.
 * @param requestMethod - The method of the request that it answers.
 * @returns The facts, or why the message cannot be framed.
 */
export function readResponseFacts(text: string, requestMethod: string): HeadFacts | string {
  const lineEnd = text.indexOf('\n')
  const startLine = lineWithoutEnd(text, lineEnd)
  const match = statusLine.exec(startLine)
  if (!match) return 'not a status line'
  const isHttp10 = match[1] === '0'
  const status = Number(match[2])

  const fields = findFramingFields(text, lineEnd + 1)
  let length = readLength(fields, isHttp10)
  const isBodiless =
    (status >= 100 && status < 200) ||
    status === 204 ||
    status === 304 ||
    requestMethod === 'HEAD' ||
    isTunnel(status, requestMethod)
  if (typeof length === 'string') {
    if (!isBodiless) return length
    length = { contentLength: undefined, isChunked: false, isCoded: false } // nothing is framed by it
  }
  const { contentLength } = length
  const isChunked = length.isChunked && !isBodiless
  const isCloseDelimited = !isBodiless && !isChunked && contentLength === undefined
  return {
    startLine,
    method: '',
    target: '',
    status,
    isHttp10,
    contentLength,
    isChunked,
    isCloseDelimited,
    hasBody: !isBodiless && (isChunked || isCloseDelimited || contentLength !== 0),
    keepsAlive: keepsAlive(fields, isHttp10),
    upgrade: upgradeOf(fields),
    expectsContinue: false,
    host: undefined,
  }
}

/** Whether a response makes the connection a tunnel (RFC 9110 section 9.3.6). */
export function isTunnel(status: number, requestMethod: string): boolean {
  return requestMethod === 'CONNECT' && status >= 200 && status < 300
}

function lineWithoutEnd(text: string, lineFeedAt: number): string {
  return text.slice(0, text.charCodeAt(lineFeedAt - 1) === 0x0d ? lineFeedAt - 1 : lineFeedAt)
}

function findFramingFields(text: string, from: number): FramingFields {
  const fields: FramingFields = {
    'content-length': undefined,
    'transfer-encoding': undefined,
    connection: undefined,
    upgrade: undefined,
    expect: undefined,
    host: undefined,
    hosts: 0,
    problem: undefined,
  }
  let start = from
  while (start < text.length) {
    const end = text.indexOf('\n', start)
    if (end === -1) break
    const name = framingNameAt(text, start)
    if (name) addField(fields, name, text, start, end)
    else if (isBlank(text.charCodeAt(start)) && framingFold.test(text.slice(start, end))) {
      fields.problem ??= 'white space before Content-Length or Transfer-Encoding'
    }
    start = end + 1
  }
  return fields
}

/** The name that may stand at `at`, told by its first letter and by what stands behind it: the hot path of framing. */
function framingNameAt(text: string, at: number): FramingName | undefined {
  switch (text.charCodeAt(at) | 0x20) {
    case 0x63: // c
      if (isNameEnd(text.charCodeAt(at + 10))) return nameAt(text, at, 'connection')
      return isNameEnd(text.charCodeAt(at + 14)) ? nameAt(text, at, 'content-length') : undefined
    case 0x65: // e
      return isNameEnd(text.charCodeAt(at + 6)) ? nameAt(text, at, 'expect') : undefined
    case 0x68: // h
      return isNameEnd(text.charCodeAt(at + 4)) ? nameAt(text, at, 'host') : undefined
    case 0x74: // t
      return isNameEnd(text.charCodeAt(at + 17)) ? nameAt(text, at, 'transfer-encoding') : undefined
    case 0x75: // u
      return isNameEnd(text.charCodeAt(at + 7)) ? nameAt(text, at, 'upgrade') : undefined
    default:
      return undefined
  }
}

function nameAt(text: string, at: number, name: FramingName): FramingName | undefined {
  return text.slice(at, at + name.length).toLowerCase() === name ? name : undefined
}

function addField(fields: FramingFields, name: FramingName, text: string, start: number, end: number): void {
  const colonAt = text.indexOf(':', start + name.length)
  if (colonAt === -1 || colonAt > end) return
  const isSpaced = colonAt !== start + name.length
  if (isSpaced && /[^\x00-\x20]/.test(text.slice(start + name.length, colonAt))) return
  if (name === 'content-length' || name === 'transfer-encoding') {
    if (isSpaced) fields.problem ??= `white space between ${name} and its colon`
    if (isBlank(text.charCodeAt(end + 1))) fields.problem ??= `folded ${name}`
  }
  if (name === 'host') fields.hosts++
  const value = trimLine(text, colonAt + 1, end)
  const before = fields[name]
  fields[name] = before === undefined ? value : `${before},${value}`
}

function readLength(fields: FramingFields, isHttp10: boolean): Length | string {
  const lengths = fields['content-length']
  const codings = fields['transfer-encoding']
  if (fields.problem) return fields.problem
  if (codings !== undefined) {
    if (lengths !== undefined) return 'both Content-Length and Transfer-Encoding'
    // RFC 9112 section 6.1: faulty framing; some endpoints go by the field and some do not.
    if (isHttp10) return 'Transfer-Encoding in HTTP/1.0'
    return readCodings(codings)
  }
  if (lengths === undefined) return { contentLength: undefined, isChunked: false, isCoded: false }

  const [first = '', ...others] = lengths.split(',').map((value) => trimLine(value, 0, value.length))
  const contentLength = Number(first)
  if (!/^\d+$/.test(first) || !Number.isSafeInteger(contentLength)) {
    return `Content-Length is ${JSON.stringify(lengths)}, expected a number of octets`
  }
  if (others.some((other) => other !== first)) return 'Content-Length values that differ'
  return { contentLength, isChunked: false, isCoded: false }
}

function readCodings(value: string): Length | string {
  const codings = value.split(',').map((coding) => trimLine(coding, 0, coding.length).toLowerCase())
  const isChunked = codings.at(-1) === 'chunked'
  if (isChunked) codings.pop()
  // Of codings before the chunks nothing needs to be known but that they do not delimit the body themselves.
  const isClear = isChunked
    ? codings.every((coding) => /^[\w!#$%&'*+\-.^`|~]+$/.test(coding) && coding !== 'chunked')
    : codings.every((coding) => closingCodings.has(coding))
  if (!isClear) return `Transfer-Encoding is ${JSON.stringify(value)}, expected chunked last and once`
  return { contentLength: undefined, isChunked, isCoded: !isChunked }
}

function keepsAlive(fields: FramingFields, isHttp10: boolean): boolean {
  const { connection } = fields
  if (connection === undefined) return !isHttp10
  return !hasToken(connection, 'close') && (!isHttp10 || hasToken(connection, 'keep-alive'))
}

function upgradeOf(fields: FramingFields): string | undefined {
  const { connection, upgrade } = fields
  return upgrade !== undefined && connection !== undefined && hasToken(connection, 'upgrade') ? upgrade : undefined
}

function hasToken(list: string, token: string): boolean {
  const lower = list.toLowerCase()
  return lower === token || (lower.includes(',') && lower.split(',').some((part) => part.trim() === token))
}

/** Whether a name may end here: at its colon, or at white space that should not be there. */
function isNameEnd(code: number): boolean {
  return code === 0x3a || code <= 0x20
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09
}
