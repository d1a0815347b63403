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
 * have the bytes put back with `unshift`.
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

function take(reader: Readable): Buffer | undefined {
  // `read()` is typed any: a byte stream gives Buffers, unless somebody has set an encoding.
  const chunk = reader.read() as Buffer | string | null
  return typeof chunk === 'string' ? Buffer.from(chunk, reader.readableEncoding ?? 'utf8') : (chunk ?? undefined)
}

function closedEarly(): Error {
  return Object.assign(new Error('The stream was closed before its end'), { code: 'ECONNRESET' })
}

function abortReason(signal: AbortSignal | undefined): Error {
  const reason: unknown = signal?.reason
  return reason instanceof Error ? reason : new Error('Aborted', { cause: reason })
}
