/** One read from a stream, after which the stream is as free as before: for sniffing and handshakes, not for relaying. */
import type { Readable } from 'node:stream'

/** What ends a {@link readChunk} that gets no bytes. */
export interface ReadChunkOptions {
  /** Milliseconds to wait; bytes that are there already are returned without a wait. @defaultValue no limit */
  timeoutMs?: number | undefined
  /** Rejects with its reason. Checked before anything is read. */
  signal?: AbortSignal | undefined
}

/**
 * Reads the next bytes of a stream: all that are buffered, or else the next that come.
 *
 * Afterwards the stream does not flow and has no listener of ours, and what comes meanwhile stays in its buffer. So it
 * can be read again, piped, given 'data' listeners (which start it, as on a new stream), wrapped in a `TLSSocket`, or
 * have the bytes put back with `unshift`: at once, for a stream whose end comes in between takes nothing back.
 *
 * The caller keeps `reader`, with an 'error' listener of its own for the time between two reads. One read at a time.
 *
 * @returns The bytes, never none; `'end'` when there will be no more, also when the end has long been seen; `'timeout'`
 *   when nothing came in time. After `'timeout'` the stream can be read on.
 * @throws The stream's own error; an `Error` with the code `ECONNRESET` when the stream is closed before its end; the
 *   reason of `signal`. Bytes that came before an error are returned first.
 */
export function readChunk(reader: Readable, options: ReadChunkOptions = {}): Promise<Buffer | 'end' | 'timeout'> {
  const { timeoutMs, signal } = options
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(abortReason(signal))
    const buffered = take(reader)
    if (buffered) return resolve(buffered)
    if (reader.readableEnded) return resolve('end')
    if (reader.destroyed) return reject(reader.errored ?? closedEarly())

    const timer = timeoutMs === undefined ? undefined : setTimeout(onTimeout, timeoutMs)
    reader.on('readable', onReadable).on('end', onEnd).on('error', onError).on('close', onClose)
    signal?.addEventListener('abort', onAbort)

    function finish(settle: () => void): void {
      clearTimeout(timer)
      reader.off('readable', onReadable).off('end', onEnd).off('error', onError).off('close', onClose)
      signal?.removeEventListener('abort', onAbort)
      // A stream forgets its 'readable' listener only in the next tick, and overrules a pause() until then.
      process.nextTick(settle)
    }
    function onReadable(): void {
      const chunk = take(reader)
      if (chunk) finish(() => resolve(chunk))
    }
    function onTimeout(): void {
      const chunk = take(reader)
      finish(() => resolve(chunk ?? 'timeout'))
    }
    function onEnd(): void {
      finish(() => resolve('end'))
    }
    function onError(error: Error): void {
      finish(() => reject(error))
    }
    function onClose(): void {
      finish(() => reject(closedEarly()))
    }
    function onAbort(): void {
      finish(() => reject(abortReason(signal)))
    }
  })
}

/**
 * What is buffered. By exact sizes, because a read() that empties an ended stream lets it emit 'end', after which nothing
 * can be put back; and by pieces, because a read() of more than the high-water mark raises it for good.
 */
function take(reader: Readable): Buffer | undefined {
  if (reader.readableLength === 0) reader.read(0)
  const pieces: Buffer[] = []
  for (let left = reader.readableLength; left > 0;) {
    // `read()` is typed any: a byte stream gives Buffers, unless somebody has set an encoding.
    const piece = reader.read(Math.min(left, reader.readableHighWaterMark || left)) as Buffer | string | null
    if (piece === null) break
    left -= piece.length
    pieces.push(typeof piece === 'string' ? Buffer.from(piece, reader.readableEncoding ?? 'utf8') : piece)
  }
  return pieces.length > 1 ? Buffer.concat(pieces) : pieces[0]
}

function closedEarly(): Error {
  return Object.assign(new Error('The stream was closed before its end'), { code: 'ECONNRESET' })
}

function abortReason(signal: AbortSignal | undefined): Error {
  const reason: unknown = signal?.reason
  return reason instanceof Error ? reason : new Error('Aborted', { cause: reason })
}
