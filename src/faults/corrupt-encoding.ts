import { brotliCompressSync, gzipSync } from 'node:zlib'

import type { Fault } from '../fault.ts'
import { decodeContent } from '../internal/content.ts'
import type { RewrittenResponse } from '../middleware.ts'
import { checkOptions, invalidFault, oneOf, optional } from './check.ts'

/** What is wrong with a coded body. See {@link corruptEncoding}. */
export type EncodingFlaw = 'mislabelled' | 'corrupt' | 'truncated'

/** The options of {@link corruptEncoding}. */
export interface CorruptEncodingOptions {
  /** @defaultValue `'gzip'` */
  coding?: 'gzip' | 'br' | undefined
}

/**
 * Sends a body that is not what `content-encoding` says, in the coding that the options name, whatever the server's was.
 * The body is held until it has come whole (`maxBodyBytes`). A response without a body, and one whose coding is not known
 * here, are left as they are.
 *
 * @param flaw - `'mislabelled'`: the body is not coded at all. `'corrupt'`: its first octets of data are invalid, so that no
 *   client decodes any of it. `'truncated'`: its second half is missing, and `content-length` is right for what is there;
 *   browsers take that for a success.
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function breakTheCompression(mitm: TestMitm): void {
 *   mitm.get('https://shop.test/app.js').fault(faults.corruptEncoding('corrupt', { coding: 'br' }))
 * }
 * ```
 */
export function corruptEncoding(flaw: EncodingFlaw, options: CorruptEncodingOptions = {}): Fault {
  const expected = oneOf('mislabelled', 'corrupt', 'truncated')(flaw)
  if (expected !== undefined) {
    throw invalidFault('corruptEncoding', `flaw is ${JSON.stringify(flaw)}, expected ${expected}`)
  }
  const { coding = 'gzip' } = checkOptions('corruptEncoding', options, { coding: optional(oneOf('gzip', 'br')) })
  return {
    name: 'corruptEncoding',
    text: `corruptEncoding ${flaw} ${coding}`,
    parts: [
      { stage: 'rewriteResponse', rewrite: { needsBody: true, apply: (message) => recode(message, flaw, coding) } },
    ],
  }
}

function recode(message: RewrittenResponse, flaw: EncodingFlaw, coding: 'gzip' | 'br'): RewrittenResponse {
  const { body, fields } = message
  if (body === undefined || body.length === 0) return message
  const plain = decoded(message, body)
  if (!plain) return message
  const others = fields.filter(([name]) => name.trim().toLowerCase() !== 'content-encoding')
  return { ...message, fields: [...others, ['content-encoding', coding]], body: spoil(plain, flaw, coding) }
}

function decoded({ fields }: RewrittenResponse, body: Buffer): Buffer | undefined {
  const codings = fields.filter(([name]) => name.trim().toLowerCase() === 'content-encoding').map(([, value]) => value)
  try {
    return decodeContent(body, codings.join(','))
  } catch {
    return undefined
  }
}

function spoil(plain: Buffer, flaw: EncodingFlaw, coding: 'gzip' | 'br'): Buffer {
  if (flaw === 'mislabelled') return plain
  const coded = coding === 'gzip' ? gzipSync(plain) : brotliCompressSync(plain)
  if (flaw === 'truncated') return coded.subarray(0, Math.ceil(coded.length / 2))
  // Octets flipped elsewhere might still decode: browsers do not look at gzip's checksum.
  if (coding === 'gzip') coded[GZIP_HEADER_BYTES] = (coded[GZIP_HEADER_BYTES] ?? 0) | RESERVED_BLOCK_TYPE
  else coded[0] = INVALID_WINDOW
  return coded
}

/** RFC 1952 section 2.3, without optional parts. */
const GZIP_HEADER_BYTES = 10
/** BTYPE 11 of RFC 1951 section 3.2.3. */
const RESERVED_BLOCK_TYPE = 0b110
/** The bits 0010001, which RFC 7932 section 9.1 forbids. */
const INVALID_WINDOW = 0x11
