/** Content codings of bodies that stream. */
import { Readable } from 'node:stream'
import type { Transform } from 'node:stream'
import { constants, createBrotliDecompress, createGunzip, createInflate, createInflateRaw } from 'node:zlib'

import { errorText, MitmError } from '../errors.ts'
import { contentCodings } from './content.ts'

/** What has come is given out at once; and the end of a body may be missing, as browsers do without it too. */
const TOLERANT = { finishFlush: constants.Z_SYNC_FLUSH }
const TOLERANT_BROTLI = { finishFlush: constants.BROTLI_OPERATION_FLUSH }

/**
 * Removes the content codings that `contentEncoding` names from octets as they come.
 *
 * @throws {@link MitmError} `MITM_BODY_UNDECODABLE` at once when a coding is not known, and from the iterator when the
 *   octets are not so coded.
 */
export function decodeStream(
  octets: AsyncIterable<Uint8Array>,
  contentEncoding: string | undefined,
): AsyncIterable<Uint8Array> {
  const codings = contentCodings(contentEncoding).toReversed()
  for (const coding of codings) checkCoding(coding)
  return codings.reduce((decoded, coding) => decodeOne(decoded, coding), octets)
}

async function* decodeOne(
  octets: AsyncIterable<Uint8Array>,
  coding: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  const iterator = octets[Symbol.asyncIterator]()
  const first = await iterator.next()
  // The label without a body, as in an answer to HEAD.
  if (first.done) return
  const engine = engineFor(coding, first.value)
  const source = Readable.from(rest(first.value, iterator))
  let failure: Error | undefined
  source.on('error', (error: Error) => {
    failure = error
    engine.destroy(error)
  })
  source.pipe(engine)
  try {
    // Boundary: zlib's streams give Buffers.
    for await (const chunk of engine) yield chunk as Buffer
  } catch (error) {
    // What the source failed with is not about the coding.
    if (failure !== undefined) throw failure
    const text = `Cannot decode the body as ${coding}: ${errorText(error)}`
    throw new MitmError('MITM_BODY_UNDECODABLE', text, { cause: error })
  } finally {
    source.destroy()
    // One that breaks off itself has let go of its source already.
    await iterator.return?.()
  }
}

async function* rest(
  first: Uint8Array,
  iterator: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  yield first
  for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value
}

function checkCoding(coding: string): void {
  if (['gzip', 'x-gzip', 'deflate', 'br'].includes(coding)) return
  const text = `Cannot decode the content coding ${JSON.stringify(coding)}: it is not known here, expected gzip, deflate or br`
  throw new MitmError('MITM_BODY_UNDECODABLE', text)
}

function engineFor(coding: string, first: Uint8Array): Transform {
  if (coding === 'br') return createBrotliDecompress(TOLERANT_BROTLI)
  if (coding !== 'deflate') return createGunzip(TOLERANT)
  // RFC 9110 section 8.4.1.2 means zlib's format; some servers send the bare one, and browsers take both.
  return ((first[0] ?? 0) & 0x0f) === 8 ? createInflate(TOLERANT) : createInflateRaw(TOLERANT)
}
