/** Content codings and JSON: octets in, octets or values out. */
import {
  brotliCompressSync,
  brotliDecompressSync,
  constants,
  deflateSync,
  gunzipSync,
  gzipSync,
  inflateRawSync,
  inflateSync,
} from 'node:zlib'

import { errorText, MitmError } from '../errors.ts'

/** How decoding ends. */
interface DecodeEnd {
  /** For gzip and deflate. */
  readonly finishFlush?: number
  /** For br. */
  readonly brotliFinishFlush?: number
}

/** Largest body that decoding may give: a small one must not fill the memory. */
const maxOutputLength = 256 * 1024 * 1024
const WHOLE: DecodeEnd = {}
const SO_FAR: DecodeEnd = {
  finishFlush: constants.Z_SYNC_FLUSH,
  brotliFinishFlush: constants.BROTLI_OPERATION_FLUSH,
}

/**
 * Removes the content codings that `content-encoding` names.
 *
 * @throws {@link MitmError} `MITM_BODY_UNDECODABLE` when the octets are not so coded, or the coding is not known.
 */
export function decodeContent(octets: Buffer, contentEncoding: string | undefined): Buffer {
  let decoded = octets
  for (const coding of contentCodings(contentEncoding).toReversed()) decoded = decodeOne(decoded, coding)
  return decoded
}

/**
 * As {@link decodeContent}, of the beginning of a body: as much as can be told from it. What the sender has flushed (as for
 * each event of a stream) can be told whole.
 *
 * @throws {@link MitmError} `MITM_BODY_UNDECODABLE` as `decodeContent`.
 */
export function decodeContentSoFar(octets: Buffer, contentEncoding: string | undefined): Buffer {
  let decoded = octets
  for (const coding of contentCodings(contentEncoding).toReversed()) decoded = decodeOne(decoded, coding, SO_FAR)
  return decoded
}

/** Applies the content codings that `content-encoding` names; undefined when one of them is not known. */
export function encodeContent(octets: Buffer, contentEncoding: string | undefined): Buffer | undefined {
  let encoded = octets
  for (const coding of contentCodings(contentEncoding)) {
    if (coding === 'gzip' || coding === 'x-gzip') encoded = gzipSync(encoded)
    else if (coding === 'deflate') encoded = deflateSync(encoded)
    else if (coding === 'br') encoded = brotliCompressSync(encoded)
    else return undefined
  }
  return encoded
}

/**
 * Parses JSON.
 *
 * @throws {@link MitmError} `MITM_BODY_UNDECODABLE` when it is none.
 */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    throw new MitmError('MITM_BODY_UNDECODABLE', `Cannot read the body as JSON: ${errorText(error)}`, { cause: error })
  }
}

/** The codings that `content-encoding` names, in the order in which they were applied. */
export function contentCodings(contentEncoding: string | undefined): string[] {
  return (contentEncoding ?? '')
    .split(',')
    .map((coding) => coding.trim().toLowerCase())
    .filter((coding) => coding !== '' && coding !== 'identity')
}

function decodeOne(octets: Buffer, coding: string, { finishFlush, brotliFinishFlush }: DecodeEnd = WHOLE): Buffer {
  if (octets.length === 0) return octets // an answer to HEAD, or 304: the label without a body
  const options = { maxOutputLength, finishFlush }
  try {
    switch (coding) {
      case 'gzip':
      case 'x-gzip':
        return gunzipSync(octets, options)
      case 'deflate':
        // RFC 9110 section 8.4.1.2 means zlib's format; some servers send the bare one, and browsers take both.
        return ((octets[0] ?? 0) & 0x0f) === 8 ? inflateSync(octets, options) : inflateRawSync(octets, options)
      case 'br':
        return brotliDecompressSync(octets, { maxOutputLength, finishFlush: brotliFinishFlush })
      default:
    }
  } catch (error) {
    throw new MitmError(
      'MITM_BODY_UNDECODABLE',
      `Cannot decode ${octets.length} octets as ${coding}: ${errorText(error)}`,
      {
        cause: error,
      },
    )
  }
  throw new MitmError(
    'MITM_BODY_UNDECODABLE',
    `Cannot decode the content coding ${JSON.stringify(coding)}: it is not known here, expected gzip, deflate or br`,
  )
}
