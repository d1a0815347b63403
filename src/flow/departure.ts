/** Sides that leave while nobody reads them: the other one, or the mitm itself, is waited for meanwhile. */
import type { Readable } from 'node:stream'

import type { Side } from '../errors.ts'
import { readChunk } from '../internal/read-chunk.ts'
import type { LiveConnection } from './live-connection.ts'

/**
 * Does something, and ends the connection if a side leaves meanwhile, without having said anything more. One that has goes on
 * to be heard, to its end, by whoever reads it next. Only a reset is noticed of a side with `isHalfCloseFine`.
 *
 * Nobody else may read that side before the work is done. What it does is to end when the signal of the connection aborts.
 */
export async function unlessItLeaves<T>(
  live: LiveConnection,
  side: Side,
  work: () => Promise<T>,
  { isHalfCloseFine = false }: { readonly isHalfCloseFine?: boolean } = {},
): Promise<T> {
  const stream = side === 'client' ? live.connection.client.reader : live.serverStream
  if (!stream || isBeingRead(stream)) return work()
  const stop = new AbortController()
  const watch = async (): Promise<void> => {
    const how = await departure(stream, AbortSignal.any([stop.signal, live.signal]))
    if (how === 'reset' || (how === 'end' && live.hasReset(side))) live.abandon(side, true)
    else if (how === 'end' && !isHalfCloseFine) live.abandon(side, false)
  }
  const watching = watch()
  try {
    return await work()
  } finally {
    stop.abort()
    // Then it is as free as before.
    await watching
  }
}

/** How a side leaves; undefined when it says something, or nobody wants to know any more. Never rejects. */
async function departure(stream: Readable, signal: AbortSignal): Promise<'end' | 'reset' | undefined> {
  try {
    const said = await readChunk(stream, { signal })
    if (said === 'end') return 'end'
    if (typeof said === 'object') stream.unshift(said)
    return undefined
  } catch {
    return signal.aborted ? undefined : 'reset'
  }
}

/** A protocol of a user's may do so while it connects. */
function isBeingRead(stream: Readable): boolean {
  return stream.listenerCount('data') > 0 || stream.listenerCount('readable') > 0
}
