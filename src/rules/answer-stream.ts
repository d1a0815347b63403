/** Streams that users give as bodies of answers: their octets, whatever kind of stream it is. */
import type { Readable } from 'node:stream'
import { types } from 'node:util'

import type { MitmError } from '../errors.ts'
import { show } from './filter-text.ts'

/** A stream of texts or octets. */
export type StreamBody = ReadableStream<string | Uint8Array> | Readable | AsyncIterable<string | Uint8Array>

/** Those that can be read once only, and have been. */
const used = new WeakSet<object>()

/** Tells a stream by its shape: a polyfill's will do. */
export function isStream(value: unknown): value is StreamBody {
  return typeof value === 'object' && value !== null && (isWebStream(value) || Symbol.asyncIterator in value)
}

/**
 * The octets of a stream. Whoever reads them may return early at any time, also while a `next()` is pending: the stream is
 * cancelled by that.
 *
 * @param blame - Makes the error for what the stream fails with.
 * @throws TypeError when it has been read already.
 */
export function octetsOf(stream: StreamBody, blame: (cause: unknown) => MitmError): AsyncIterable<Uint8Array> {
  if (used.has(stream) || isSpent(stream)) throw usedTwice()
  return {
    [Symbol.asyncIterator]() {
      const reader = readerOf(stream)
      let hasEnded = false
      return {
        async next() {
          try {
            const { done, value } = await reader.next()
            if (!done) return { done: false, value: octets(value) }
            hasEnded = true
            return { done: true, value: undefined }
          } catch (error) {
            throw blame(error)
          }
        },
        return() {
          if (!hasEnded) reader.cancel()
          return Promise.resolve({ done: true, value: undefined })
        },
      }
    },
  }
}

interface Reader {
  next(): Promise<{ readonly done?: boolean | undefined; readonly value?: unknown }>
  cancel(): void
}

function readerOf(stream: StreamBody): Reader {
  if (isWebStream(stream)) {
    const reader = stream.getReader()
    used.add(stream)
    return {
      next: () => reader.read(),
      // Nobody waits for it, and it has nobody to tell of a failure.
      cancel: () => void reader.cancel().catch(() => undefined),
    }
  }
  const iterator: AsyncIterator<unknown> = stream[Symbol.asyncIterator]()
  // A generator is its own iterator: it can be asked for one again, but not begin again.
  if (isNodeStream(stream) || (iterator as unknown) === stream) used.add(stream)
  return {
    next: () => iterator.next(),
    cancel: () => {
      // Its iterator would wait for the next chunk before it lets go.
      if (isNodeStream(stream)) stream.destroy()
      else iterator.return?.().catch(() => undefined)
    },
  }
}

/** Marks something that can be iterated once only. @throws TypeError when it was marked before */
export function useOnce(iterable: object): void {
  if (used.has(iterable)) throw usedTwice()
  used.add(iterable)
}

function usedTwice(): TypeError {
  return new TypeError(
    'its body is a stream, which can be read only once, and it has been; ' +
      'give a function that makes one for each request, or let the rule be applied once()',
  )
}

function isSpent(stream: StreamBody): boolean {
  if (isWebStream(stream)) return stream.locked
  return isNodeStream(stream) && (stream.destroyed || stream.readableEnded)
}

function octets(chunk: unknown): Uint8Array {
  if (typeof chunk === 'string') return Buffer.from(chunk)
  if (types.isUint8Array(chunk)) return chunk
  throw new TypeError(`the stream gave ${show(chunk)}, expected texts or octets`)
}

function isWebStream(value: object): value is ReadableStream<string | Uint8Array> {
  return 'getReader' in value && typeof value.getReader === 'function'
}

function isNodeStream(value: object): value is Readable {
  return 'pipe' in value && 'destroy' in value && typeof value.destroy === 'function'
}
