import { gzipSync } from 'node:zlib'

import { array, assert, asyncProperty, constantFrom, uint8Array } from 'fast-check'
import { describe, expect, it } from 'vitest'

import { abortable } from './abortable.ts'
import { decodeContent, encodeContent } from './content.ts'
import { decodeStream } from './decode-stream.ts'
import { encodeStream } from './encode-stream.ts'

const CODINGS = ['identity', 'gzip', 'x-gzip', 'deflate', 'br', 'gzip, br']

async function* pieces(list: readonly Uint8Array[]): AsyncGenerator<Uint8Array, void, undefined> {
  yield* list
}

async function whole(octets: AsyncIterable<Uint8Array> | undefined): Promise<Buffer> {
  const all: Uint8Array[] = []
  for await (const piece of octets ?? []) all.push(piece)
  return Buffer.concat(all)
}

describe('content codings of streams', () => {
  it('encodeStream() gives what decodeContent() takes, however it is cut', async () => {
    await assert(
      asyncProperty(array(uint8Array()), constantFrom(...CODINGS), async (list, coding) => {
        const encoded = await whole(encodeStream(pieces(list), coding))
        expect(decodeContent(encoded, coding)).toEqual(Buffer.concat(list))
      }),
      { numRuns: 60 },
    )
  })

  it('decodeStream() takes what encodeContent() gives, however it is cut', async () => {
    await assert(
      asyncProperty(uint8Array({ minLength: 1 }), constantFrom(...CODINGS), async (octets, coding) => {
        const encoded = encodeContent(Buffer.from(octets), coding) ?? Buffer.alloc(0)
        const cut = [...encoded].map((octet) => Buffer.from([octet]))
        expect(await whole(decodeStream(pieces(cut), coding))).toEqual(Buffer.from(octets))
      }),
      { numRuns: 60 },
    )
  })

  it('decodeStream() takes a body that breaks off, or is none, for what it is', async () => {
    const cut = gzipSync('some text').subarray(0, -8)
    expect(String(await whole(decodeStream(pieces([cut]), 'gzip')))).toBe('some text')
    expect(await whole(decodeStream(pieces([]), 'gzip'))).toHaveLength(0)
  })

  it('decodeStream() refuses what it cannot decode', async () => {
    const undecodable: unknown = expect.objectContaining({ code: 'MITM_BODY_UNDECODABLE' })
    expect(() => decodeStream(pieces([]), 'zstd')).toThrow(undecodable)
    await expect(whole(decodeStream(pieces([Buffer.from('plain')]), 'gzip'))).rejects.toEqual(undecodable)
  })

  it('decodeStream() passes on what its source fails with', async () => {
    const failure = new Error('ouch')
    async function* broken(): AsyncGenerator<Uint8Array, void, undefined> {
      yield gzipSync('text').subarray(0, 12)
      throw failure
    }
    await expect(whole(decodeStream(broken(), 'gzip'))).rejects.toBe(failure)
  })

  it('encodeStream() does not know every coding', () => {
    expect(encodeStream(pieces([]), 'zstd')).toBeUndefined()
  })
})

describe('abortable()', () => {
  function endless(): { readonly source: AsyncIterable<string>; readonly returned: () => boolean } {
    let isReturned = false
    const iterator: AsyncIterator<string> = {
      next: () => new Promise(() => undefined),
      return: () => {
        isReturned = true
        return Promise.resolve({ done: true, value: undefined })
      },
    }
    return { source: { [Symbol.asyncIterator]: () => iterator }, returned: () => isReturned }
  }

  it('rejects a pending next() when the signal aborts, and returns from the source', async () => {
    const { source, returned } = endless()
    const controller = new AbortController()
    const next = abortable(source, controller.signal)[Symbol.asyncIterator]().next()
    expect(returned()).toBe(false)
    controller.abort(new Error('enough'))
    await expect(next).rejects.toThrow('enough')
    expect(returned()).toBe(true)
  })

  it('returns from the source when it is asked after the signal has aborted', async () => {
    const { source, returned } = endless()
    const signal = AbortSignal.abort()
    await expect(abortable(source, signal)[Symbol.asyncIterator]().next()).rejects.toThrow()
    expect(returned()).toBe(true)
  })

  it('gives all values, and what the source fails with', async () => {
    const { signal } = new AbortController()
    const seen: string[] = []
    async function* failing(): AsyncGenerator<string, void, undefined> {
      yield 'a'
      yield 'b'
      throw new Error('ouch')
    }
    const read = async (): Promise<void> => {
      for await (const value of abortable(failing(), signal)) seen.push(value)
    }
    await expect(read()).rejects.toThrow('ouch')
    expect(seen).toEqual(['a', 'b'])
  })
})
