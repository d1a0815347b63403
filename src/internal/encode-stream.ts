/** Applies content codings to bodies that stream, so that what went in can be read from what came out at once. */
import { Readable } from 'node:stream'
import type { Transform } from 'node:stream'
import { constants, createBrotliCompress, createDeflate, createGzip } from 'node:zlib'

import { contentCodings } from './content.ts'

const FLUSHING = { flush: constants.Z_SYNC_FLUSH }
const FLUSHING_BROTLI = { flush: constants.BROTLI_OPERATION_FLUSH }

/** Applies the codings that `content-encoding` names; undefined when one of them is not known here. */
export function encodeStream(
  octets: AsyncIterable<Uint8Array>,
  contentEncoding: string | undefined,
): AsyncIterable<Uint8Array> | undefined {
  let encoded = octets
  for (const coding of contentCodings(contentEncoding)) {
    const makeEngine = engines.get(coding)
    if (!makeEngine) return undefined
    encoded = piped(encoded, makeEngine)
  }
  return encoded
}

const engines = new Map<string, () => Transform>([
  ['gzip', () => createGzip(FLUSHING)],
  ['x-gzip', () => createGzip(FLUSHING)],
  ['deflate', () => createDeflate(FLUSHING)],
  ['br', () => createBrotliCompress(FLUSHING_BROTLI)],
])

function piped(octets: AsyncIterable<Uint8Array>, makeEngine: () => Transform): AsyncIterable<Uint8Array> {
  return {
    [Symbol.asyncIterator]() {
      const source = Readable.from(octets)
      const engine = makeEngine()
      source.on('error', (error) => engine.destroy(error))
      source.pipe(engine)
      const iterator: AsyncIterator<unknown> = engine[Symbol.asyncIterator]()
      return {
        // Boundary: zlib's streams give Buffers.
        next: () => iterator.next() as Promise<IteratorResult<Buffer>>,
        return: () => {
          engine.destroy()
          source.destroy()
          return Promise.resolve({ done: true, value: undefined })
        },
      }
    },
  }
}
