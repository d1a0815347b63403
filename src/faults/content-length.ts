import type { Fault, FaultPart } from '../fault.ts'
import type { RewrittenResponse } from '../middleware.ts'
import { checkOptions, invalidFault, oneOf, optional, wholeNumber } from './check.ts'
import { editText, insertLines, removeFields, valueOf } from './head-edit.ts'

/** What is wrong with the length of a response. See {@link contentLength}. */
export type ContentLengthFlaw =
  | 'tooLarge'
  | 'tooSmall'
  | 'notANumber'
  | 'negative'
  | 'duplicate'
  | 'conflicting'
  | 'withTransferEncoding'

/** The options of {@link contentLength}. */
export interface ContentLengthOptions {
  /** Octets too many or too few, for `'tooLarge'`, `'tooSmall'` and `'conflicting'`. @defaultValue 1 */
  by?: number | undefined
}

/** What Content-Length says instead of `length`: one or several fields. */
const VALUES: Readonly<Record<ContentLengthFlaw, (length: number, by: number) => readonly string[]>> = {
  tooLarge: (length, by) => [String(length + by)],
  tooSmall: (length, by) => [String(Math.max(0, length - by))],
  notANumber: () => ['many'],
  negative: (length) => [String(-Math.max(1, length))],
  duplicate: (length) => [String(length), String(length)],
  conflicting: (length, by) => [String(length), String(length + by)],
  withTransferEncoding: () => ['0'],
}

/**
 * Lets `content-length` say something else than how long the body is. The body itself is sent whole, and is held until it
 * has come whole (`maxBodyBytes`), since it may have had no length. But for `'duplicate'` and `'withTransferEncoding'`
 * the connection is closed (FIN) behind it.
 *
 * @param flaw - `'tooLarge'` and `'tooSmall'`: by `by` octets. `'notANumber'`: `many`. `'negative'`. `'duplicate'`: two
 *   fields with the right length. `'conflicting'`: two that differ. `'withTransferEncoding'`: the body is chunked, and
 *   `content-length: 0` stands beside it (RFC 9112 section 6.3 lets the former win); not where there
 *   is no body.
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 * @see RFC 9112 section 6.3: https://www.rfc-editor.org/rfc/rfc9112#section-6.3
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function promiseTooMuch(mitm: TestMitm): void {
 *   mitm.get('https://shop.test/prices.json').fault(faults.contentLength('tooLarge', { by: 100 })).once()
 * }
 * ```
 */
export function contentLength(flaw: ContentLengthFlaw, options: ContentLengthOptions = {}): Fault {
  const expected = oneOf(...Object.keys(VALUES))(flaw)
  if (expected !== undefined)
    throw invalidFault('contentLength', `flaw is ${JSON.stringify(flaw)}, expected ${expected}`)
  const { by } = checkOptions('contentLength', options, { by: optional(wholeNumber(1)) })
  const takesBy = flaw === 'tooLarge' || flaw === 'tooSmall' || flaw === 'conflicting'
  if (by !== undefined && !takesBy) throw invalidFault('contentLength', `by is ${by}, expected none for ${flaw}`)
  const isChunked = flaw === 'withTransferEncoding'
  const head: FaultPart = {
    stage: 'head',
    closes: flaw !== 'duplicate' && !isChunked,
    edit: (octets) => editText(octets, (text) => withLengths(text, VALUES[flaw], by ?? 1)),
  }
  return {
    name: 'contentLength',
    text: `contentLength ${flaw}${takesBy ? ` by ${by ?? 1}` : ''}`,
    parts: [{ stage: 'rewriteResponse', rewrite: { needsBody: true, apply: isChunked ? asStream : asItIs } }, head],
  }
}

/** The fields stand first, wherever there was one. */
function withLengths(head: string, valuesFor: (length: number, by: number) => readonly string[], by: number): string {
  const length = Number(valueOf(head, 'content-length') ?? 0)
  const lines = valuesFor(length, by)
    .map((value) => `content-length: ${value}\r\n`)
    .join('')
  return insertLines(removeFields(head, 'content-length'), lines)
}

function asItIs(message: RewrittenResponse): RewrittenResponse {
  return message
}

/** A body without a length is sent in chunks. */
function asStream(message: RewrittenResponse): RewrittenResponse {
  const { body } = message
  if (body === undefined || body.length === 0) return message
  // A length of the server's would be taken for the stream's.
  const fields = message.fields.filter(([name]) => name.toLowerCase() !== 'content-length')
  return { ...message, fields, body: undefined, stream: one(body) }
}

async function* one(octets: Buffer): AsyncGenerator<Uint8Array> {
  yield octets
}
