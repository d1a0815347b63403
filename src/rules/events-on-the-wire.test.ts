import { brotliCompressSync, constants, createGzip, gzipSync } from 'node:zlib'

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import type { ReceivedEvent } from '../internal/event-stream.ts'
import { startMitm } from '../test-mitm.ts'
import type { TestMitm } from '../test-mitm.ts'
import { takeResponse, tunnelTo } from '../testing/clients.ts'
import { httpServer } from '../testing/servers.ts'
import type { HttpServer } from '../testing/servers.ts'
import { gate } from '../testing/waits.ts'
import type { Wire } from '../testing/wire.ts'
import type { EventChange, EventRewriter } from './events-act.ts'

const TYPE = { 'content-type': 'text/event-stream' }

/** A server of a stream that comes in these pieces, each in a packet of its own. */
function streamOf(...pieces: readonly (string | Uint8Array)[]): Promise<HttpServer> {
  return httpServer((_, response) => {
    response.writeHead(200, TYPE)
    const next = (at: number): void => {
      const piece = pieces[at]
      if (piece === undefined) response.end()
      else response.write(piece, () => setImmediate(() => next(at + 1)))
    }
    next(0)
  })
}

async function open(mitm: TestMitm): Promise<Wire> {
  const client = await tunnelTo(mitm, 'a.test:80')
  client.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
  return client
}

/** What a client gets of a stream through this function. */
async function through(rewriter: EventRewriter, ...pieces: readonly (string | Uint8Array)[]): Promise<string> {
  await using origin = await streamOf(...pieces)
  await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
  mitm.get('**').rewriteEvents(rewriter)
  const { body } = await takeResponse(await open(mitm))
  expect(mitm.errors).toEqual([])
  return body.toString()
}

/** The octets of a text, one by one. */
const singly = (text: string): Uint8Array[] => [...Buffer.from(text)].map((octet) => Buffer.from([octet]))

const STREAM =
  '\uFEFF: hello\n\nid: 1\ndata: {"a":1}\n\nevent: x\r\ndata:b\r\n: in\r\ndata:c\r\n\r\nid: 9\r\rdata: d\r\rdata: cut'

describe('rewriteEvents()', () => {
  it('is given each event that clients dispatch', async () => {
    const events: ReceivedEvent[] = []
    await through((event) => void events.push(event), STREAM)
    expect(events).toEqual([{ id: '1', data: '{"a":1}' }, { event: 'x', data: 'b\nc', comment: 'in' }, { data: 'd' }])
  })

  it.each<[what: string, EventRewriter]>([
    ['nothing', () => undefined],
    ['the event', (event) => event],
    ['a promise of it', (event) => Promise.resolve(event)],
    ['an array of it', (event) => [event]],
  ])('changes no octet where the function returns %s', async (_what, rewriter) => {
    expect(await through(rewriter, STREAM)).toBe(STREAM)
    expect(await through(rewriter, ...singly(STREAM))).toBe(STREAM)
  })

  it.each<[what: string, EventChange, text: string]>([
    ['another one', { event: 'y', data: { b: 2 } }, 'event: y\ndata: {"b":2}\n\n'],
    ['a text', 'b', 'data: b\n\n'],
    ['several', ['b', { data: 'c', id: '3' }], 'data: b\n\nid: 3\ndata: c\n\n'],
    ['a comment', { comment: 'gone' }, ': gone\n\n'],
    ['null', null, ''],
    ['no events', [], ''],
  ])('sends %s in place of one, and leaves the others', async (_what, change, text) => {
    const given = 'data: 1\n\nid: 2\ndata: 2\n\ndata: 3\n\n'
    const rewriter: EventRewriter = ({ id }) => (id === '2' ? change : undefined)
    const expected = `data: 1\n\n${text}data: 3\n\n`
    expect(await through(rewriter, given)).toBe(expected)
    expect(await through(rewriter, ...singly(given))).toBe(expected)
  })

  it('can send more before and behind an event, which keeps its octets', async () => {
    const rewriter: EventRewriter = (event) => ['before', event, { ...event, data: 'behind' }]
    const given = 'id:7\r\ndata:a\n\n'
    const expected = `data: before\n\n${given}id: 7\ndata: behind\n\n`
    expect(await through(rewriter, given)).toBe(expected)
    expect(await through(rewriter, ...singly(given))).toBe(expected)
  })

  it('is called for one event after the other, and holds no event before', async () => {
    const first = gate()
    const second = gate()
    const calls: string[] = []
    await using origin = await streamOf('data: 1\n\ndata: 2\n\ndata: 3\n\n')
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm.get('**').rewriteEvents(async ({ data }) => {
      calls.push(data)
      await (data === '2' ? first : second).opened
      return { data: `${data}!` }
    })
    second.open()
    const client = await open(mitm)
    expect(await client.until('data: 1!\n\n')).not.toContain('data: 2')
    expect(calls).toEqual(['1', '2'])
    first.open()
    expect(await client.until('0\r\n\r\n')).toContain('data: 3!')
    expect(calls).toEqual(['1', '2', '3'])
  })

  it('passes an event on with its last octet, in a coding too', async () => {
    const more = gate()
    await using origin = await httpServer((request, response) => {
      const isZipped = request.url === '/gzip'
      response.writeHead(200, isZipped ? { ...TYPE, 'content-encoding': 'gzip' } : TYPE)
      const out = isZipped ? createGzip({ flush: constants.Z_SYNC_FLUSH }) : response
      if (out !== response) out.pipe(response)
      out.write('data: 1\r\n\r')
      void more.opened.then(() => out.end('\ndata: 2\r\n\r\n'))
    })
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm.get('**').rewriteEvents(({ data }) => (data === '1' ? 'one' : undefined))
    const clients = await Promise.all(['/plain', '/gzip'].map(() => tunnelTo(mitm, 'a.test:80')))
    for (const [at, path] of ['/plain', '/gzip'].entries()) {
      clients[at]?.write(`GET ${path} HTTP/1.1\r\nHost: a.test\r\n\r\n`)
      expect(await clients[at]?.until('data: one\n\n')).not.toContain('content-encoding')
    }
    more.open()
    for (const client of clients) {
      const rest = await client.until('0\r\n\r\n')
      expect(rest).toContain('data: 2\r\n\r\n')
      expect(rest).not.toContain('\n\ndata: 2')
    }
  })

  it.each([
    ['gzip', gzipSync],
    ['br', brotliCompressSync],
  ])('reads and writes events of a body in %s', async (coding, encode) => {
    await using origin = await httpServer((_, response) => {
      response.writeHead(200, { ...TYPE, 'content-encoding': coding }).end(encode(Buffer.from('data: a\n\n')))
    })
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm.get('**').rewriteEvents(({ data }) => data.toUpperCase())
    expect(String((await takeResponse(await open(mitm))).body)).toBe('data: A\n\n')
    const [exchange] = mitm.exchanges
    expect(exchange?.response?.events()).toEqual([{ data: 'A' }])
    expect(exchange?.serverResponse?.events()).toEqual([{ data: 'a' }])
  })

  it('applies to what sse() answers, older rules first', async () => {
    await using mitm = await startMitm()
    const rule = mitm.get('**').sse(['a', { event: 'x', data: { n: 1 } }])
    rule.rewriteEvents((event) => ({ ...event, data: `${event.data}1` }))
    mitm.get('**').rewriteEvents((event) => (event.event === 'x' ? null : { ...event, data: `${event.data}2` }))
    expect(String((await takeResponse(await open(mitm))).body)).toBe('data: a12\n\n')
  })

  it('leaves what is no event stream alone', async () => {
    const text = 'data: a\n\ndata: b'
    await using origin = await httpServer((_, response) => response.setHeader('content-type', 'text/plain').end(text))
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm.get('**').rewriteEvents(() => null)
    expect(String((await takeResponse(await open(mitm))).body)).toBe(text)
  })

  it('is given the exchange', async () => {
    await using mitm = await startMitm()
    mitm.get('**').sse(['a'])
    mitm.get('**').rewriteEvents((_, { request }) => request.url)
    expect(String((await takeResponse(await open(mitm))).body)).toBe('data: http://a.test/\n\n')
  })

  it.each<[what: string, EventRewriter, text: string]>([
    ['throws', () => { throw new Error('ouch') }, 'ouch'], // prettier-ignore
    ['rejects', () => Promise.reject(new Error('ouch')), 'ouch'],
    ['returns no event', () => 1 as never, 'returned an event that is 1'],
    ['returns one among many', () => ['a', { name: 'x' }] as never, '(number 2) has "name"'],
    ['returns a type of two lines', (event) => ({ ...event, event: 'a\nb' }), 'has the event "a\\nb"'],
    ['changes the event in place', (event) => Object.assign(event, { data: 'b' }), 'read only property'],
  ])('breaks the response off when the function %s', async (_what, rewriter, text) => {
    await using origin = await streamOf('data: a\n\n', 'data: b\n\n')
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    mitm.get('**').rewriteEvents((event, exchange) => (event.data === 'b' ? rewriter(event, exchange) : undefined))
    const client = await open(mitm)
    await client.until('data: a\n\n')
    expect(await client.ended).toBe('reset')
    const [error] = mitm.errors
    expect(error?.code).toBe('MITM_RULE_FAILED')
    expect(error?.message).toContain('Cannot rewrite the events of the response by the rule')
    expect(error?.message).toContain(text)
    expect(error?.message).toContain('events-on-the-wire.test.ts')
  })

  it('breaks the response off at an event that is longer than maxBodyBytes', async () => {
    await using origin = await streamOf(`: ${'a'.repeat(500)}\n\n`, 'data: a\n\n', `data: ${'a'.repeat(200)}`)
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority }, maxBodyBytes: 100 })
    mitm.get('**').rewriteEvents(() => undefined)
    const client = await open(mitm)
    await client.until('data: a\n\n')
    expect(await client.ended).toBe('reset')
    expect(mitm.errors[0]?.message).toContain('An event is longer than 100 octets')
  })

  it('lets a client leave while its function is waited for', async () => {
    await using origin = await httpServer((_, response) => void response.writeHead(200, TYPE).write('data: a\n\n'))
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    const called = gate()
    const left = gate()
    mitm.get('**').rewriteEvents(async () => {
      called.open()
      await left.opened
      throw new Error('too late to be of interest')
    })
    const client = await open(mitm)
    await called.opened
    client.reset()
    await expect.poll(() => mitm.exchanges[0]?.endReason).toBe('client-reset')
    left.open()
    await mitm.close()
    expect(mitm.errors).toEqual([])
  })

  it('lets the mitm be closed while its function never answers', async () => {
    await using origin = await httpServer((_, response) => void response.writeHead(200, TYPE).write('data: a\n\n'))
    const mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
    const called = gate()
    mitm.get('**').rewriteEvents(() => {
      called.open()
      return new Promise(() => undefined)
    })
    await open(mitm)
    await called.opened
    await mitm.close()
    expect(mitm.exchanges[0]?.endReason).toBe('mitm-closed')
  })

  it('reads no faster than its function takes', async () => {
    let written = 0
    const event = `data: ${'x'.repeat(65_000)}\n\n`
    await using origin = await httpServer((_, response) => {
      response.writeHead(200, TYPE)
      const write = (): void => {
        while (written < 1000) {
          written++
          if (!response.write(event)) {
            response.once('drain', write)
            return
          }
        }
        response.end()
      }
      write()
    })
    await using mitm = await startMitm({ hosts: { 'a.test': origin.authority }, maxBodyBytes: 100_000 })
    const goOn = gate()
    let calls = 0
    mitm.get('**').rewriteEvents(async () => {
      calls++
      await goOn.opened
      return 'y'
    })
    const client = await open(mitm)
    let last = -1
    await expect
      .poll(
        () => {
          const isSame = written === last
          last = written
          return isSame && calls === 1
        },
        { interval: 100 },
      )
      .toBe(true)
    expect(written).toBeLessThan(900)
    goOn.open()
    await client.until('0\r\n\r\n')
    expect([written, calls]).toEqual([1000, 1000])
  })

  it('leaves all other octets as they were, wherever a stream is cut', async () => {
    const line = fc.constantFrom('data: a', 'data', ': ping', 'id: 7', 'event: x', '', '')
    const lines = fc.array(fc.tuple(line, fc.constantFrom('\n', '\r', '\r\n')), { maxLength: 12 })
    const streams = lines.map((all) => all.map((pair) => pair.join('')).join(''))
    await fc.assert(
      fc.asyncProperty(streams, fc.array(fc.nat({ max: 60 }), { maxLength: 6 }), async (text, cuts) => {
        const places = [...new Set([0, ...cuts])].toSorted((a, b) => a - b)
        const pieces = places.map((from, index) => text.slice(from, places[index + 1])).filter((piece) => piece !== '')
        expect(await through(() => undefined, ...pieces)).toBe(text)
      }),
      { numRuns: 30 },
    )
  })
})
