import { brotliCompressSync, constants, createBrotliCompress, createGzip, deflateRawSync, gzipSync } from 'node:zlib'
import { once } from 'node:events'
import type { Transform } from 'node:stream'

import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'

import { HttpResponse } from './exchange.ts'
import type { Field } from './exchange.ts'

/** A response of which octets of the body are kept, as many as said. */
function responseWith(limit: number, ...fields: readonly Field[]): HttpResponse {
  const response = new HttpResponse({ status: 200, statusText: 'OK', httpVersion: 'HTTP/1.1', fields })
  response.keepBody(limit)
  return response
}

/** Two pieces of a stream in a content coding, the first of which was flushed. */
async function flushed(engine: Transform, first: string, second: string): Promise<readonly Buffer[]> {
  const pieces: Buffer[] = []
  engine.on('data', (piece: Buffer) => pieces.push(piece))
  await new Promise((resolve) => {
    engine.write(first, resolve)
  })
  const firstPieces = pieces.splice(0)
  engine.end(second)
  await once(engine, 'end')
  return [Buffer.concat(firstPieces), Buffer.concat(pieces)]
}

describe('events()', () => {
  it('has what has come whole while the response runs', () => {
    const response = responseWith(1000)
    expect(response.events()).toEqual([])
    response.addBody(Buffer.from(': hi\n\nid: 1\nda'))
    expect(response.events()).toEqual([])
    response.addBody(Buffer.from('ta: a\n\ndata: b\n'))
    const first = response.events()
    expect(first).toEqual([{ id: '1', data: 'a' }])
    response.addBody(Buffer.from('\n'))
    expect(response.events()).toEqual([{ id: '1', data: 'a' }, { data: 'b' }])
    expect(first).toHaveLength(1)
    response.finish()
    expect(response.events()).toHaveLength(2)
  })

  it('has what was kept of a body that is longer', () => {
    const response = responseWith(20)
    for (let count = 0; count < 5; count++) response.addBody(Buffer.from('data: a\n\n'))
    expect(response.events()).toEqual([{ data: 'a' }, { data: 'a' }])
    expect(response.isBodyTruncated).toBe(true)
  })

  it('has the same, however a body comes, is kept and is looked at', () => {
    const text = 'data: 1\n\nevent: x\r\ndata: 2\r\n\r\ndata: 3\r\rdata: 4\n\n'.repeat(3)
    const looks = fc.constantFrom('none', 'events', 'body', 'other')
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat({ max: text.length }), looks), { maxLength: 12 }), (steps) => {
        const response = responseWith(1000)
        const others: HttpResponse[] = []
        let from = 0
        for (const [to, look] of [...steps.toSorted(([one], [other]) => one - other), [text.length, 'none'] as const]) {
          response.addBody(Buffer.from(text.slice(from, to)))
          from = Math.max(from, to)
          if (look === 'events') response.events()
          if (look === 'body') expect(response.body.toString()).toBe(text.slice(0, from))
          // Takes the room behind what is kept so far.
          if (look === 'other') others.push(new HttpResponse(() => ({}) as never, Buffer.from('other')))
        }
        expect(
          response
            .events()
            .map(({ data }) => data)
            .join(''),
        ).toBe('123412341234')
        expect(response.body.toString()).toBe(text)
      }),
    )
  })

  it.each([
    ['gzip', () => createGzip({ flush: constants.Z_SYNC_FLUSH })],
    ['br', () => createBrotliCompress({ flush: constants.BROTLI_OPERATION_FLUSH })],
  ] as const)('reads a body in %s as far as it was flushed', async (coding, engine) => {
    const [first, second] = await flushed(engine(), 'data: a\n\ndata: b', '\n\n')
    const response = responseWith(1000, ['Content-Encoding', coding])
    response.addBody(first ?? Buffer.alloc(0))
    expect(response.events()).toEqual([{ data: 'a' }])
    response.addBody(second ?? Buffer.alloc(0))
    expect(response.events()).toEqual([{ data: 'a' }, { data: 'b' }])
    expect(response.events()).toHaveLength(2)
  })

  it.each([
    ['gzip', gzipSync],
    ['deflate', deflateRawSync],
    ['br', brotliCompressSync],
    ['gzip, br', (octets: Buffer) => brotliCompressSync(gzipSync(octets))],
    ['identity', (octets: Buffer) => octets],
  ])('reads every beginning of a body in %s', (coding, encode) => {
    const octets = encode(Buffer.from('data: a\n\ndata: b\n\n'))
    for (let size = 0; size <= octets.length; size++) {
      const response = responseWith(1000, ['content-encoding', coding])
      response.addBody(octets.subarray(0, size))
      expect([{ data: 'a' }, { data: 'b' }].slice(0, response.events().length)).toEqual(response.events())
      if (size === octets.length) expect(response.events()).toHaveLength(2)
    }
  })

  it.each([
    ['gzip', 'Cannot decode 4 octets as gzip'],
    ['zstd', 'Cannot decode the content coding "zstd"'],
  ])('refuses a body that is not in %s', (coding, text) => {
    const response = responseWith(1000, ['content-encoding', coding])
    expect(response.events()).toEqual([])
    response.addBody(Buffer.from('data'))
    expect(() => response.events()).toThrow(expect.objectContaining({ code: 'MITM_BODY_UNDECODABLE' }))
    expect(() => response.events()).toThrow(text)
  })
})

describe('isEventStream', () => {
  it.each([
    ['text/event-stream', true],
    ['Text/Event-Stream ; charset=utf-8', true],
    ['text/event-stream2', false],
    ['text/plain', false],
    [undefined, false],
  ])('of %s is %s', (type, expected) => {
    expect(responseWith(0, ...(type === undefined ? [] : [['content-type', type] as const])).isEventStream).toBe(
      expected,
    )
  })
})

describe('watchBody()', () => {
  it('tells everybody of octets, when they are counted and kept', () => {
    const response = responseWith(3)
    const seen: string[] = []
    const other = vi.fn<(message: HttpResponse) => void>()
    response.watchBody(({ body, bodySize }) => seen.push(`${body.toString()} of ${bodySize}`))
    response.watchBody(other)
    response.addBody(Buffer.from('ab'))
    response.addBody(Buffer.from('cd'))
    expect(seen).toEqual(['ab of 2', 'abc of 4'])
    expect(other.mock.calls).toEqual([[response], [response]])
  })
})
