import { constants, createDeflateRaw } from 'node:zlib'

import { describe, expect, it } from 'vitest'

import { WebSocketMessage } from '../web-socket-message.ts'
import { Inflation } from './inflation.ts'

/** Deflates texts as one stream, each up to where it can be inflated. */
async function deflated(texts: readonly (string | Buffer)[], windowBits = 15): Promise<Buffer[]> {
  const deflate = createDeflateRaw({ windowBits })
  const chunks: Buffer[] = []
  deflate.on('data', (chunk: Buffer) => chunks.push(chunk))
  const pieces: Buffer[] = []
  for (const text of texts) {
    deflate.write(text)
    await new Promise<void>((resolve) => deflate.flush(constants.Z_SYNC_FLUSH, resolve))
    const piece = Buffer.concat(chunks.splice(0))
    pieces.push(piece.subarray(0, -4))
  }
  deflate.close()
  return pieces
}

function messagesOf(pieces: readonly Buffer[], inflation: Inflation, limit = 1024 * 1024): WebSocketMessage[] {
  return pieces.map((piece) => {
    const message = new WebSocketMessage('server', 'text', limit, inflation)
    message.add(piece, 0, 0)
    message.finish()
    return message
  })
}

const TEXTS = Array.from({ length: 30 }, (_, at) => `message ${at}, which has much in common with the others`)

describe('Inflation', () => {
  it.each([9, 12, 15])('inflates pieces that refer to those before (window of 2^%i)', async (windowBits) => {
    const messages = messagesOf(await deflated(TEXTS, windowBits), new Inflation(true))
    // The last one first: those before it are inflated by that.
    expect(messages.at(-1)?.text()).toBe(TEXTS.at(-1))
    expect(messages.map((message) => message.text())).toEqual(TEXTS)
    expect(messages.slice(1).every(({ size, wireBytes }) => wireBytes < size)).toBe(true)
  })

  it('keeps no more than a window between pieces', async () => {
    const texts = Array.from({ length: 20 }, (_, at) => String(at % 3).repeat(50_000))
    const messages = messagesOf(await deflated(texts), new Inflation(true))
    expect(messages.map((message) => message.text() === texts[messages.indexOf(message)])).toEqual(
      texts.map(() => true),
    )
  })

  it('inflates each alone where contexts are not taken over', async () => {
    const pieces = (await Promise.all(TEXTS.map((text) => deflated([text])))).flat()
    const messages = messagesOf(pieces, new Inflation(false))
    expect(messages.toReversed().map((message) => message.text())).toEqual(TEXTS.toReversed())
  })

  it('inflates a block that says it is the last (RFC 7692 section 7.2.3.5)', () => {
    const [message] = messagesOf([Buffer.from('f348cdc9c9070000', 'hex')], new Inflation(true))
    expect(message?.text()).toBe('Hello')
  })

  it('keeps what is left of a large message, and goes on behind it', async () => {
    const large = 'large '.repeat(10_000)
    const pieces = await deflated(['first', large, 'large and first again'])
    const [first, second, third] = messagesOf(pieces, new Inflation(true), 100)
    expect(third?.text()).toBe('large and first again')
    expect(first?.text()).toBe('first')
    expect(second).toMatchObject({ size: large.length, isTruncated: true })
    expect(String(second?.octets)).toBe(large.slice(0, 100))
    expect(() => second?.text()).toThrow(expect.objectContaining({ code: 'MITM_BODY_TRUNCATED' }))
  })

  it('says why nothing can be inflated behind what was not kept', async () => {
    const inflation = new Inflation(true)
    const [first = Buffer.alloc(0), second = Buffer.alloc(0)] = await deflated(['first', 'first again'])
    messagesOf([first], inflation, 0)
    const [late] = messagesOf([second], inflation)
    expect(inflation.isLost).toBe(true)
    expect(() => late?.text()).toThrow('an earlier message of this direction')
    expect(late).toMatchObject({ isTruncated: true, size: second.length })
    expect(String(late)).toBe(`server-to-client text ${second.length} octets, compressed`)
  })

  it('says what cannot be inflated, and that nothing behind it can', () => {
    const inflation = new Inflation(true)
    const [bad, good] = messagesOf([Buffer.from([0xff, 0xff]), Buffer.from('f348cdc9c90700', 'hex')], inflation)
    expect(() => bad?.octets).toThrow(expect.objectContaining({ code: 'MITM_BODY_UNDECODABLE' }))
    expect(() => good?.octets).toThrow(expect.objectContaining({ code: 'MITM_BODY_TRUNCATED' }))
  })

  it('cannot inflate what has not come whole', async () => {
    const message = new WebSocketMessage('client', 'text', 100, new Inflation(true))
    message.add(Buffer.from([1]), 0, 0)
    message.finish(false)
    expect(() => message.text()).toThrow('is not complete')
  })
})
