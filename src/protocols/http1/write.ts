/** Writes HTTP/1 heads: those of messages that a rule changed, and those that go on with another target. */
import { MitmError } from '../../errors.ts'
import type { Field } from '../../exchange.ts'

/** What a request head is written from. */
export interface WritableRequestHead {
  readonly method: string
  readonly target: string
  /** @defaultValue `HTTP/1.1` */
  readonly httpVersion?: string | undefined
  readonly fields: readonly Field[]
}

/** What a response head is written from. */
export interface WritableResponseHead {
  /** 100 to 999. */
  readonly status: number
  readonly statusText: string
  /** @defaultValue `HTTP/1.1` */
  readonly httpVersion?: string | undefined
  readonly fields: readonly Field[]
}

/** What must not stand in a head: it would end the line. Above U+00FF too: latin1 would make a CR of U+010D. */
const forbidden = /[\r\n\0]|[^\x00-\xff]/
const forbiddenInRequestLine = /[\r\n\0 \t]|[^\x00-\xff]/
const lengthFields = new Set(['content-length', 'transfer-encoding', 'trailer'])
/** With the line end before it, and with its folded lines (RFC 9112 section 5.2). */
const proxyFields = /\n(?:proxy-connection|proxy-authorization)[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*(?=\n)/gi

/**
 * Writes the head of a request, fields in order and as they are, in latin1.
 *
 * @throws {@link MitmError} `MITM_INVALID_RULE` when a part has CR, LF, NUL or a character above U+00FF in it, or method
 *   or target is empty or has white space in it.
 */
export function writeRequestHead(head: WritableRequestHead): Buffer {
  const method = checkWord('method', head.method)
  const target = checkWord('target', head.target)
  const httpVersion = checkText('httpVersion', head.httpVersion || 'HTTP/1.1')
  return Buffer.from(`${method} ${target} ${httpVersion}\r\n${writeFields(head.fields)}\r\n`, 'latin1')
}

/**
 * Writes the head of a response, fields in order and as they are, in latin1.
 *
 * @throws {@link MitmError} `MITM_INVALID_RULE` when a part has CR, LF, NUL or a character above U+00FF in it, or the
 *   status is not a whole number from 100 to 999.
 */
export function writeResponseHead(head: WritableResponseHead): Buffer {
  const { status } = head
  if (!Number.isInteger(status) || status < 100 || status > 999) {
    throw new MitmError('MITM_INVALID_RULE', `Cannot write a response head: status is ${status}, expected 100 to 999`)
  }
  const statusText = checkText('statusText', head.statusText)
  const httpVersion = checkText('httpVersion', head.httpVersion || 'HTTP/1.1')
  return Buffer.from(`${httpVersion} ${status} ${statusText}\r\n${writeFields(head.fields)}\r\n`, 'latin1')
}

/**
 * Fields for a body of a known length: without Content-Length, Transfer-Encoding and Trailer, and with one
 * Content-Length in place of the first of them, else at the end. Its name keeps the spelling that it had.
 *
 * @param fields - Not changed.
 * @param length - The length of the body, in octets.
 */
export function withBodyLength(fields: readonly Field[], length: number): readonly Field[] {
  const spelling = fields.find(([name]) => normalize(name) === 'content-length')?.[0].trim() ?? 'content-length'
  const contentLength: Field = [spelling, String(length)]
  const place = fields.findIndex(([name]) => lengthFields.has(normalize(name)))
  if (place === -1) return [...fields, contentLength]
  const others = fields.slice(place).filter(([name]) => !lengthFields.has(normalize(name)))
  return [...fields.slice(0, place), contentLength, ...others]
}

/** Fields for a body of which nothing says the length: without Content-Length, Transfer-Encoding and Trailer. */
export function withoutBodyLength(fields: readonly Field[]): readonly Field[] {
  return fields.filter(([name]) => !lengthFields.has(normalize(name)))
}

/**
 * Fields for a chunked body: without Content-Length and Trailer, and with Transfer-Encoding at the end.
 *
 * @param trailers - The names of the fields behind the body, which are announced (RFC 9110 section 6.6.2).
 */
export function withChunkedBody(fields: readonly Field[], trailers: readonly string[] = []): readonly Field[] {
  const announced: readonly Field[] = trailers.length > 0 ? [['trailer', [...new Set(trailers)].join(', ')]] : []
  return [...withoutBodyLength(fields), ['transfer-encoding', 'chunked'], ...announced]
}

/**
 * Makes the head of a request to a proxy one to the server: another target, and no Proxy-Connection nor
 * Proxy-Authorization. All else stays as it is, octet by octet.
 *
 * @param head - The octets of a whole request head.
 * @param path - The target in origin-form, or `*`.
 * @throws {@link MitmError} `MITM_INVALID_RULE` when `path` is empty or has white space, CR, LF, NUL or a character above
 *   U+00FF in it.
 * @see RFC 9112 section 3.2.1: https://www.rfc-editor.org/rfc/rfc9112#section-3.2.1
 */
export function toOriginForm(head: Buffer, path: string): Buffer {
  checkWord('target', path)
  const text = head
    .toString('latin1')
    .replace(proxyFields, '')
    .replace(/^([\r\n]*[^ \r\n]+ )[^ \r\n]+/, (_line, method: string) => method + path)
  return Buffer.from(text, 'latin1')
}

/** Writes fields as lines, in latin1. @throws as `writeResponseHead` */
export function writeFields(fields: readonly Field[]): string {
  let text = ''
  for (const [name, value] of fields) {
    if (forbidden.test(name) || forbidden.test(value)) {
      checkText(`field name ${JSON.stringify(name)}`, name)
      checkText(`field ${JSON.stringify(name)}`, value)
    }
    text += `${name}: ${value}\r\n`
  }
  return text
}

function normalize(name: string): string {
  return name.trim().toLowerCase()
}

function checkText(what: string, text: string): string {
  const at = text.search(forbidden)
  if (at === -1) return text
  const codePoint = (text.codePointAt(at) ?? 0).toString(16).toUpperCase().padStart(4, '0')
  throw new MitmError(
    'MITM_INVALID_RULE',
    `Cannot write ${what}: character ${at} is U+${codePoint}, expected no CR, LF or NUL and none above U+00FF`,
  )
}

function checkWord(what: string, text: string): string {
  checkText(what, text)
  if (text !== '' && !forbiddenInRequestLine.test(text)) return text
  throw new MitmError('MITM_INVALID_RULE', `Cannot write ${what}: it is ${JSON.stringify(text)}, expected one word`)
}
