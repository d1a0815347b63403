import type { Fault } from '../fault.ts'
import { checkOptions, oneOf, optional } from './check.ts'
import { fieldLines, fieldsOf, headerFields } from './field-checks.ts'
import type { FaultHeaders } from './field-checks.ts'

/** The options of {@link malformedChunk}. */
export interface MalformedChunkOptions {
  /** What is wrong: the chunk's size is no number, or its octets are not followed by CRLF. @defaultValue `'size'` */
  flaw?: 'size' | 'lineEnd' | undefined
  /** Fields beside `transfer-encoding`; for one, those by which a page of another origin may read it. */
  headers?: FaultHeaders | undefined
}

const CHUNKS = {
  size: 'not a chunk size, but this\r\nand then this\r\n',
  lineEnd: '5\r\nchunk without a line end\r\n',
} as const

/**
 * Answers 200 with a chunked body that is not one, and closes the connection. The server is not contacted. WireMock's
 * `MALFORMED_RESPONSE_CHUNK`.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 * @see RFC 9112 section 7.1: https://www.rfc-editor.org/rfc/rfc9112#section-7.1
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function answerGarbledChunks(mitm: TestMitm): void {
 *   mitm.get('https://shop.test/api/stock').fault(faults.malformedChunk())
 * }
 * ```
 */
export function malformedChunk(options: MalformedChunkOptions = {}): Fault {
  const { flaw = 'size', headers = {} } = checkOptions('malformedChunk', options, {
    flaw: optional(oneOf('size', 'lineEnd')),
    headers: optional(headerFields),
  })
  const head = `HTTP/1.1 200 OK\r\n${fieldLines(fieldsOf(headers))}transfer-encoding: chunked\r\n\r\n`
  const octets = Buffer.from(head + CHUNKS[flaw], 'latin1')
  return {
    name: 'malformedChunk',
    text: `malformedChunk ${flaw}`,
    parts: [{ stage: 'answer', answer: { kind: 'raw', octets: () => octets, end: 'close' } }],
  }
}
