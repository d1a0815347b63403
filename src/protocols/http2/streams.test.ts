/** Bodies that stream, in HTTP/2: piece by piece, changed and cut event by event, and broken off. */
import type { ServerHttp2Stream } from 'node:http2'

import { describe, expect, it } from 'vitest'

import { faults } from '../../index.ts'
import { startMitm } from '../../test-mitm.ts'
import type { TestMitm } from '../../test-mitm.ts'
import { http2Server, http2Through } from '../../testing/http2.ts'
import type { TestServer } from '../../testing/servers.ts'

const TYPE = { ':status': 200, 'content-type': 'text/event-stream' }

/** A server that begins responses, and hands their streams over. */
interface StreamServer extends AsyncDisposable {
  readonly server: TestServer
  next(): Promise<ServerHttp2Stream>
}

async function streamServer(): Promise<StreamServer> {
  const arrived: ServerHttp2Stream[] = []
  const waiting: ((stream: ServerHttp2Stream) => void)[] = []
  const server = await http2Server((stream) => {
    stream.respond(TYPE)
    const take = waiting.shift()
    if (take) take(stream)
    else arrived.push(stream)
  })
  const next = (): Promise<ServerHttp2Stream> => {
    const stream = arrived.shift()
    return stream ? Promise.resolve(stream) : new Promise((resolve) => waiting.push(resolve))
  }
  return { server, next, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
}

/** What a client has read, and how its stream ended. */
interface Reading {
  readonly closed: Promise<void>
  text: string
  hasEnded: boolean
}

async function read(mitm: TestMitm): Promise<Reading> {
  const session = await http2Through(mitm, 'a.test:80')
  const stream = session.request({ ':path': '/events' })
  const closed = new Promise<void>((resolve) => stream.once('close', resolve))
  const reading = { closed, text: '', hasEnded: false }
  stream.on('error', () => undefined)
  stream.on('data', (chunk: Buffer) => (reading.text += chunk.toString()))
  stream.on('end', () => (reading.hasEnded = true))
  return reading
}

/** Makes a rule for the server that does nothing: HTTP/2 is then taken apart, exchange by exchange. */
function takeApart(mitm: TestMitm): void {
  mitm.when({ host: 'a.test', headers: { 'x-never': 'sent' } }).rewriteResponse({ status: 500 })
}

describe.each([
  ['relayed', () => undefined],
  ['taken apart', takeApart],
] as const)('a stream that is %s', (_, prepare) => {
  it('passes piece by piece, and is recorded while it runs', async () => {
    await using origin = await streamServer()
    await using mitm = await startMitm({ hosts: { 'a.test': origin.server.authority } })
    prepare(mitm)
    const reading = await read(mitm)
    const server = await origin.next()
    for (const [at, word] of ['one', 'two', 'three'].entries()) {
      const event = mitm.waitForServerSentEvent('**/events', ({ data }) => data === word)
      server.write(`data: ${word}\n\n`)
      await event
      await expect.poll(() => reading.text, { interval: 5 }).toContain(`data: ${word}\n\n`)
      expect(mitm.exchanges[0]?.response?.events()).toHaveLength(at + 1)
      expect(mitm.exchanges[0]?.endReason).toBeUndefined()
    }
    server.end()
    await reading.closed
    expect(reading.hasEnded).toBe(true)
    await expect.poll(() => mitm.exchanges[0]?.endReason).toBe('complete')
  })

  it('has not come to its end when the connection to the server is reset', async () => {
    await using origin = await streamServer()
    await using mitm = await startMitm({ hosts: { 'a.test': origin.server.authority } })
    prepare(mitm)
    const reading = await read(mitm)
    const server = await origin.next()
    server.write('data: one\n\n')
    await expect.poll(() => reading.text, { interval: 5 }).toBe('data: one\n\n')
    server.session?.socket.resetAndDestroy()
    await reading.closed
    expect(reading.hasEnded).toBe(false)
    await expect.poll(() => mitm.exchanges[0]?.endReason).toBe('server-reset')
    expect(mitm.exchanges[0]?.response).toMatchObject({ isComplete: false, bodySize: 11 })
    expect(mitm.exchanges[0]?.response?.events()).toEqual([{ data: 'one' }])
  })
})

it('rewriteEvents() changes events of HTTP/2 one by one', async () => {
  await using origin = await streamServer()
  await using mitm = await startMitm({ hosts: { 'a.test': origin.server.authority } })
  mitm.get('**').rewriteEvents(({ data }) => (data === 'two' ? null : data === 'three' ? ['3', 'drei'] : undefined))
  const reading = await read(mitm)
  const server = await origin.next()
  server.write('data: one\r\n\r\ndata: tw')
  await expect.poll(() => reading.text).toBe('data: one\r\n\r\n')
  server.write('o\n\ndata: three\n\n')
  await expect.poll(() => reading.text).toBe('data: one\r\n\r\ndata: 3\n\ndata: drei\n\n')
  server.end('data: cut')
  await reading.closed
  expect([reading.hasEnded, reading.text.slice(-9)]).toEqual([true, 'data: cut'])
  expect(mitm.exchanges[0]?.serverResponse?.events().map(({ data }) => data)).toEqual(['one', 'two', 'three'])
})

describe.each(['close', 'reset'] as const)('a cut that ends by a %s', (end) => {
  it('lets everything before it go ahead', async () => {
    await using origin = await streamServer()
    await using mitm = await startMitm({ hosts: { 'a.test': origin.server.authority } })
    mitm.get('**').fault(faults.closeAfterEvents({ count: 2, end, partialBytes: 7 }))
    const reading = await read(mitm)
    ;(await origin.next()).write('data: one\n\ndata: two\n\ndata: three\n\n')
    await reading.closed
    expect(reading.text).toBe('data: one\n\ndata: two\n\ndata: t')
    expect(mitm.exchanges[0]?.endReason).toBe('fault')
  })
})
