/** Bodies that pass through the streams of rules. */
import { errorText } from '../../errors.ts'
import type { Exchange, Field } from '../../exchange.ts'
import { decodeStream } from '../../internal/decode-stream.ts'
import type { StreamRewrite } from '../../middleware.ts'

/**
 * Octets with their content coding removed, through the streams of rules, each of which is named by what goes wrong in it.
 *
 * @throws what the rules or the coding fail with at once.
 */
export function throughStreams(
  octets: AsyncIterable<Uint8Array>,
  rewrites: readonly StreamRewrite[],
  fields: readonly Field[],
  exchange: Exchange,
): AsyncIterable<Uint8Array> {
  if (rewrites.length === 0) return octets
  const codings = fields.filter(([name]) => /^content-encoding$/i.test(name)).map(([, value]) => value)
  const stages = rewrites.map((rewrite) => ({ rewrite, stream: rewrite.open(exchange) }))
  return stages.reduce<AsyncIterable<Uint8Array>>(
    (before, { rewrite, stream }) => (typeof stream === 'function' ? stream(before) : through(before, rewrite, stream)),
    decodeStream(octets, codings.join(',')),
  )
}

async function* through(
  octets: AsyncIterable<Uint8Array>,
  rewrite: StreamRewrite,
  stream: TransformStream<Uint8Array, Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  let failure: Error | undefined
  const source = webStream(octets, (error) => {
    failure = error
  })
  try {
    // Boundary: what comes out is checked.
    for await (const piece of source.pipeThrough(stream) as AsyncIterable<unknown>) yield octetsOnly(piece)
  } catch (error) {
    // What the source failed with is not this stream's.
    throw failure === undefined ? rewrite.blame(error) : failure
  }
}

/** A web stream of something that can be iterated, read no faster than it is asked for. */
function webStream(octets: AsyncIterable<Uint8Array>, failed: (error: Error) => void): ReadableStream<Uint8Array> {
  const iterator = octets[Symbol.asyncIterator]()
  const source = {
    async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
      try {
        const { done, value } = await iterator.next()
        if (done) controller.close()
        else controller.enqueue(value)
      } catch (error) {
        failed(error instanceof Error ? error : new Error(errorText(error), { cause: error }))
        controller.error(error)
      }
    },
    async cancel(): Promise<void> {
      await iterator.return?.()
    },
  }
  return new ReadableStream<Uint8Array>(source, { highWaterMark: 0 })
}

function octetsOnly(piece: unknown): Uint8Array {
  if (piece instanceof Uint8Array) return piece
  throw new TypeError(`the stream gave ${typeof piece === 'object' ? 'an object' : typeof piece}, expected octets`)
}
