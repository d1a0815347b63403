import { brotliDecompressSync, gunzipSync, gzipSync } from 'node:zlib'

import { describe, expect, test } from 'vitest'

import type { Exchange } from '../exchange.ts'
import type { Fault } from '../fault.ts'
import type { Answer, RewrittenResponse } from '../middleware.ts'
import {
  contentLength,
  corruptEncoding,
  malformedChunk,
  missingCors,
  randomDataThenClose,
  redirectLoop,
  status,
  wrongContentType,
} from './faults.ts'

// Only what these faults look at.
const exchange = { request: { url: 'https://shop.test/a?b=c' } } as unknown as Exchange

function answerOf(fault: Fault): Answer {
  const [part] = fault.parts
  if (part?.stage !== 'answer') throw new TypeError(`${fault.name} has no answer`)
  return part.answer
}

async function responseOf(fault: Fault): Promise<RewrittenResponse> {
  const answer = answerOf(fault)
  if (answer.kind !== 'respond') throw new TypeError(`${fault.name} has no response`)
  return answer.response(exchange)
}

function rawOf(fault: Fault): { octets: Buffer; end: string } {
  const answer = answerOf(fault)
  if (answer.kind !== 'raw') throw new TypeError(`${fault.name} has no raw answer`)
  return { octets: answer.octets(exchange), end: answer.end }
}

async function rewritten(
  fault: Fault,
  response: Partial<RewrittenResponse>,
): Promise<{ readonly message: RewrittenResponse; readonly needsBody: boolean }> {
  const part = fault.parts.find((one) => one.stage === 'rewriteResponse')
  if (part?.stage !== 'rewriteResponse') throw new TypeError(`${fault.name} rewrites nothing`)
  const message = await part.rewrite.apply(
    { status: 200, statusText: 'OK', fields: [], body: undefined, ...response },
    exchange,
  )
  return { message, needsBody: part.rewrite.needsBody }
}

test('malformedChunk answers a chunked body that is none, and closes', () => {
  expect(rawOf(malformedChunk({ headers: { 'access-control-allow-origin': '*', a: ['b', 'c'] } }))).toEqual({
    octets: Buffer.from(
      'HTTP/1.1 200 OK\r\naccess-control-allow-origin: *\r\na: b\r\na: c\r\ntransfer-encoding: chunked\r\n\r\n' +
        'not a chunk size, but this\r\nand then this\r\n',
    ),
    end: 'close',
  })
  expect(rawOf(malformedChunk({ flaw: 'lineEnd' })).octets.toString()).toContain('\r\n\r\n5\r\nchunk without')
})

test('randomDataThenClose answers the same octets for the same seed, none of them in ASCII', () => {
  const { octets, end } = rawOf(randomDataThenClose({ bytes: 1000 }))
  expect(end).toBe('close')
  expect(octets).toHaveLength(1000)
  expect(Math.min(...octets)).toBeGreaterThanOrEqual(0x80)
  expect(new Set(octets).size).toBeGreaterThan(100)
  expect(rawOf(randomDataThenClose({ bytes: 1000 })).octets).toEqual(octets)
  expect(rawOf(randomDataThenClose({ bytes: 1000, seed: 2 })).octets).not.toEqual(octets)
  expect(rawOf(randomDataThenClose()).octets).toHaveLength(100)
})

test('redirectLoop redirects to the request itself', async () => {
  expect(await responseOf(redirectLoop())).toEqual({
    status: 302,
    statusText: 'Found',
    fields: [
      ['location', 'https://shop.test/a?b=c'],
      ['cache-control', 'no-store'],
    ],
    body: Buffer.alloc(0),
  })
  expect(await responseOf(redirectLoop({ status: 308 }))).toMatchObject({ status: 308 })
})

describe('status', () => {
  test('answers with a status alone', async () => {
    expect(await responseOf(status(503))).toEqual({
      status: 503,
      statusText: 'Service Unavailable',
      fields: [],
      body: Buffer.alloc(0),
    })
  })

  test('says when to try again, in seconds or as a date', async () => {
    expect((await responseOf(status(429, { retryAfter: 0 }))).fields).toEqual([['retry-after', '0']])
    const moment = new Date(Date.UTC(2030, 0, 2, 3, 4, 5))
    expect((await responseOf(status(429, { retryAfter: moment }))).fields).toEqual([
      ['retry-after', 'Wed, 02 Jan 2030 03:04:05 GMT'],
    ])
  })

  test('sends a body as text unless the fields say otherwise', async () => {
    expect(await responseOf(status(500, { body: 'é' }))).toMatchObject({
      fields: [['content-type', 'text/plain; charset=utf-8']],
      body: Buffer.from('é'),
    })
    const headers = { 'Content-Type': 'application/json' }
    expect((await responseOf(status(500, { body: '{}', headers }))).fields).toEqual([
      ['Content-Type', 'application/json'],
    ])
  })
})

test('missingCors takes out the fields that allow other origins, and does not hold the body', async () => {
  const { message, needsBody } = await rewritten(missingCors(), {
    fields: [
      ['Access-Control-Allow-Origin', '*'],
      ['x-a', 'b'],
      ['access-control-allow-credentials', 'true'],
      ['Access-Control', 'kept'],
    ],
  })
  expect(needsBody).toBe(false)
  expect(message.fields).toEqual([
    ['x-a', 'b'],
    ['Access-Control', 'kept'],
  ])
})

test('wrongContentType says another type once', async () => {
  const fields = [
    ['Content-Type', 'application/json'],
    ['x-a', 'b'],
  ] as const
  const { message, needsBody } = await rewritten(wrongContentType(), { fields })
  expect(needsBody).toBe(false)
  expect(message.fields).toEqual([
    ['x-a', 'b'],
    ['content-type', 'application/octet-stream'],
  ])
})

describe('contentLength', () => {
  test('holds the body, so that it has one length, and leaves it', async () => {
    const { message, needsBody } = await rewritten(contentLength('tooLarge'), { body: Buffer.from('abc') })
    expect(needsBody).toBe(true)
    expect(message.body?.toString()).toBe('abc')
  })

  test('withTransferEncoding sends the body as a stream, which is chunked', async () => {
    const { message } = await rewritten(contentLength('withTransferEncoding'), { body: Buffer.from('abc') })
    const chunks: Uint8Array[] = []
    for await (const chunk of message.stream ?? []) chunks.push(chunk)
    expect(message.body).toBeUndefined()
    expect(Buffer.concat(chunks).toString()).toBe('abc')
    expect((await rewritten(contentLength('withTransferEncoding'), { body: Buffer.alloc(0) })).message.stream).toBe(
      undefined,
    )
  })
})

describe('corruptEncoding', () => {
  const text = 'some text that is long enough to be coded '.repeat(20)
  const isDecodable = (body: Buffer | undefined, coding: 'gzip' | 'br'): boolean => {
    try {
      void (coding === 'gzip' ? gunzipSync : brotliDecompressSync)(body ?? Buffer.alloc(0))
      return true
    } catch {
      return false
    }
  }

  test.each(['gzip', 'br'] as const)('mislabelled says %s of a body that is not coded', async (coding) => {
    const { message } = await rewritten(corruptEncoding('mislabelled', { coding }), {
      fields: [
        ['Content-Encoding', 'gzip'],
        ['a', 'b'],
      ],
      body: gzipSync(text),
    })
    expect(message.fields).toEqual([
      ['a', 'b'],
      ['content-encoding', coding],
    ])
    expect(message.body?.toString()).toBe(text)
  })

  test.each([
    ['gzip', ''],
    ['gzip', 'x'],
    ['gzip', text],
    ['br', 'x'],
    ['br', text],
  ] as const)('corrupt makes %s that cannot be decoded of %j', async (coding, plain) => {
    const { message } = await rewritten(corruptEncoding('corrupt', { coding }), { body: Buffer.from(plain || '\0') })
    expect(message.fields).toEqual([['content-encoding', coding]])
    expect(isDecodable(message.body, coding)).toBe(false)
  })

  test.each(['gzip', 'br'] as const)('truncated leaves half of the octets of %s', async (coding) => {
    const { message } = await rewritten(corruptEncoding('truncated', { coding }), { body: Buffer.from(text) })
    expect(isDecodable(message.body, coding)).toBe(false)
    if (coding === 'gzip')
      expect(message.body).toEqual(gzipSync(text).subarray(0, Math.ceil(gzipSync(text).length / 2)))
  })

  test('leaves a response without a body, and one in an unknown coding', async () => {
    const empty: Partial<RewrittenResponse> = { status: 204, body: Buffer.alloc(0) }
    expect((await rewritten(corruptEncoding('corrupt'), empty)).message).toMatchObject({ status: 204, fields: [] })
    const fields = [['content-encoding', 'zstd']] as const
    const unknown = await rewritten(corruptEncoding('corrupt'), { fields, body: Buffer.from('abc') })
    expect(unknown.message).toMatchObject({ fields, body: Buffer.from('abc') })
  })
})
