/** What the faults of all versions of HTTP do to streams of HTTP/2. */
import { once } from 'node:events'
import type { ClientHttp2Session } from 'node:http2'

import { afterEach, describe, expect, it } from 'vitest'

import type { Exchange } from './exchange.ts'
import type { Fault } from './fault.ts'
import * as faults from './faults/faults.ts'
import { startMitm } from './test-mitm.ts'
import type { TestMitm } from './test-mitm.ts'
import { http2Server, http2Through, request, responseOf } from './testing/http2.ts'
import type { Http2Response } from './testing/http2.ts'

const HOST = 'a.test:80'
const BODY = Array.from({ length: 2000 }, (_, at) => `line ${at}\n`).join('')
const EVENTS = ['one', 'two', 'three'].map((event) => `event: ${event}\ndata: ${event}\n\n`).join('')

const open: (() => Promise<unknown> | void)[] = []
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

interface Scene {
  readonly mitm: TestMitm
  readonly client: ClientHttp2Session
  /** Octets of bodies that the server has got. */
  readonly got: () => number
  /** Ends the server, and its connections. */
  readonly hangUp: () => Promise<void>
}

/** @param isAnswered - Whether a rule might answer for the server, so that its end is not that of the client's connection. */
async function scene(isAnswered = true): Promise<Scene> {
  let bytes = 0
  const origin = await http2Server((stream, headers) => {
    stream.on('data', (chunk: Buffer) => (bytes += chunk.length))
    stream.on('end', () => {
      if (headers[':path'] === '/hang' || stream.destroyed) return
      const isEvents = headers[':path'] === '/events'
      stream.respond({ ':status': 200, 'content-type': isEvents ? 'text/event-stream' : 'text/plain' })
      stream.end(isEvents ? EVENTS : BODY)
    })
  })
  let ending: Promise<void> | undefined
  const hangUp = (): Promise<void> => (ending ??= origin[Symbol.asyncDispose]())
  open.push(hangUp)
  const mitm = await startMitm({ hosts: { 'a.test': origin.authority }, seed: 1 })
  open.push(() => mitm.close())
  // So that it is a bridge from the beginning.
  const rule = mitm.get('http://a.test/elsewhere')
  if (isAnswered) rule.json({})
  else rule.delay(1)
  const client = await http2Through(mitm, HOST)
  open.push(() => client.destroy())
  return { mitm, client, got: () => bytes, hangUp }
}

function exchangeOf(mitm: TestMitm, path: string): Exchange | undefined {
  return mitm.exchanges.find(({ request: { target } }) => target === path)
}

/** Status and body, or the code with which the stream was closed. */
async function outcome(asked: Promise<Http2Response>): Promise<string> {
  try {
    const { status, body } = await asked
    return `${status} ${body === BODY ? 'whole' : body}`
  } catch (error) {
    return String(error).replace(/^.*(?:NGHTTP2_|closed with code )/, '')
  }
}

describe('what is slow', () => {
  const paces: readonly Fault[] = [
    faults.latency({ ms: 60 }),
    faults.bandwidth({ kbps: 2000 }),
    faults.slicer({ averageSize: 1000, sizeVariation: 500, delayMs: 3 }),
    faults.packetLoss({ rate: 0.5, rtoMs: 20 }),
    faults.dribble({ chunks: 4, totalMs: 60 }),
    faults.network({ downKbps: 2000, upKbps: 2000, rttMs: 30 }),
  ]

  it.each(paces.map((fault) => [fault.text, fault] as const))('%s: comes whole, and late', async (_, fault) => {
    const { mitm, client } = await scene()
    mitm.get('http://a.test/slow').fault(fault)
    const startMs = performance.now()
    const slow = outcome(request(client, { ':path': '/slow' }))
    // Others are none of its business.
    expect(await outcome(request(client, { ':path': '/' }))).toBe('200 whole')
    expect(await slow).toBe('200 whole')
    expect(performance.now() - startMs).toBeGreaterThan(20)
    expect(exchangeOf(mitm, '/slow')?.faults).toMatchObject([{ name: fault.name }])
    expect(exchangeOf(mitm, '/')?.faults).toEqual([])
  })

  it('is fast again when its rule is removed', async () => {
    const { mitm, client } = await scene()
    const rule = mitm.get('http://a.test/').fault(faults.latency({ ms: 60_000 }))
    const asked = outcome(request(client, { ':path': '/' }))
    await mitm.waitForResponse('http://a.test/')
    rule.remove()
    expect(await asked).toBe('200 whole')
  })

  it('an upload takes its time as well, and comes whole', async () => {
    const { mitm, client, got } = await scene()
    mitm.post('http://a.test/').fault(faults.bandwidth({ kbps: 8000, side: 'server' }))
    const startMs = performance.now()
    const asked = request(client, { ':path': '/', ':method': 'POST' }, Buffer.alloc(100_000))
    expect(await outcome(asked)).toBe('200 whole')
    expect(performance.now() - startMs).toBeGreaterThan(80)
    expect(got()).toBe(100_000)
  })

  it('slowClose holds the end of the connection back', async () => {
    const { mitm, client, hangUp } = await scene(false)
    mitm.get('http://a.test/').fault(faults.slowClose({ ms: 150 }))
    expect(await outcome(request(client, { ':path': '/' }))).toBe('200 whole')
    const ended = once(client, 'close')
    const startMs = performance.now()
    await Promise.all([hangUp(), ended])
    expect(performance.now() - startMs).toBeGreaterThan(145)
    expect(exchangeOf(mitm, '/')?.faults).toMatchObject([{ name: 'slowClose' }])
  })
})

describe('what breaks off', () => {
  it.each([0, 1, 5000])('limitData lets %i octets pass, and ends the connection with all on it', async (bytes) => {
    const { mitm, client } = await scene()
    mitm.get('http://a.test/cut').fault(faults.limitData({ bytes }))
    const other = outcome(request(client, { ':path': '/hang' }))
    const stream = client.request({ ':path': '/cut' })
    let length = 0
    stream.on('data', (chunk: Buffer) => (length += chunk.length))
    expect(await outcome(responseOf(stream))).toBe('8')
    expect(length).toBe(bytes)
    expect(await other).toBe('8')
    expect(exchangeOf(mitm, '/cut')).toMatchObject({ endReason: 'fault', faults: [{ name: 'limitData' }] })
    expect(exchangeOf(mitm, '/hang')).toMatchObject({ endReason: 'fault', faults: [] })
    await expect.poll(() => mitm.connections[0]?.endReason).toBe('fault')
  })

  it('halfClose goes on reading', async () => {
    const { mitm, client } = await scene()
    mitm.get('http://a.test/').fault(faults.halfClose())
    expect(await outcome(request(client, { ':path': '/' }))).toBe('8')
    // The client ended it: had its octets not been read, there would have been a reset.
    await expect.poll(() => mitm.connections[0]?.endReason).toBe('client-closed')
  })

  it.each([true, false])(
    'a FIN towards the server, which closes as well, ends the connection (%s)',
    async (isAnswered) => {
      const { mitm, client, got } = await scene(isAnswered)
      mitm.post('http://a.test/').fault(faults.limitData({ bytes: 10, side: 'server' }))
      expect(await outcome(request(client, { ':path': '/', ':method': 'POST' }, 'u'.repeat(1000)))).toBe('8')
      expect(got()).toBe(10)
      expect(exchangeOf(mitm, '/')).toMatchObject({ endReason: 'fault', faults: [{ name: 'limitData' }] })
      expect(mitm.errors).toEqual([])
    },
  )

  it('timeout ends the connection when its time has come', async () => {
    const { mitm, client } = await scene()
    mitm.get('http://a.test/').fault(faults.timeout({ ms: 60 }))
    const startMs = performance.now()
    expect(await outcome(request(client, { ':path': '/' }))).toBe('8')
    expect(performance.now() - startMs).toBeGreaterThan(55)
  })

  it('stall holds one stream, not the others', async () => {
    const { mitm, client } = await scene()
    const rule = mitm.get('http://a.test/stalled').fault(faults.stall({ afterBytes: 100 }))
    const stalled = outcome(request(client, { ':path': '/stalled' }))
    await expect.poll(() => exchangeOf(mitm, '/stalled')?.isStalled).toBe(true)
    expect(await outcome(request(client, { ':path': '/' }))).toBe('200 whole')
    rule.remove()
    expect(await stalled).toBe('200 whole')
  })

  it('streams of events are cut behind an event', async () => {
    const { mitm, client } = await scene()
    mitm.get('http://a.test/events').fault(faults.closeAfterEvents({ count: 2, partialBytes: 5 }))
    const stream = client.request({ ':path': '/events' })
    let text = ''
    stream.on('data', (chunk: Buffer) => (text += chunk.toString()))
    await outcome(responseOf(stream))
    expect(text).toBe(EVENTS.slice(0, EVENTS.indexOf('event: three') + 5))
  })
})

describe('what is another response', () => {
  it('a server that cannot be reached is 502', async () => {
    const { mitm, client } = await scene()
    mitm.get('http://a.test/').fault(faults.dnsFailure())
    const { status, headers } = await request(client, { ':path': '/' })
    expect([status, headers['x-playwright-mitm-error']]).toEqual([502, 'MITM_DNS_FAILED'])
    expect(exchangeOf(mitm, '/')?.faults).toMatchObject([{ name: 'dnsFailure' }])
    expect(mitm.errors).toEqual([])
  })

  it('answers and changed content are as in HTTP/1', async () => {
    const { mitm, client } = await scene()
    mitm.get('http://a.test/503').fault(faults.status(503, { retryAfter: 7 }))
    mitm.get('http://a.test/html').fault(faults.wrongContentType({ type: 'text/html' }))
    mitm.get('http://a.test/events').fault(faults.duplicateEvent({ index: 1 }))
    const answers = await Promise.all(['/503', '/html', '/events'].map((path) => request(client, { ':path': path })))
    expect(answers.map(({ status }) => status)).toEqual([503, 200, 200])
    expect([answers[0]?.headers['retry-after'], answers[1]?.headers['content-type']]).toEqual(['7', 'text/html'])
    expect(answers[2]?.body.match(/event: two/g)).toHaveLength(2)
  })
})

describe('what HTTP/2 has no words for', () => {
  const without: readonly Fault[] = [
    faults.malformedHead('nul'),
    faults.malformedHead('noColon'),
    faults.malformedHead('obsFold'),
    faults.malformedHead('spaceBeforeColon'),
    faults.malformedHead('bareLf'),
    faults.malformedHead('badVersion'),
    faults.malformedHead('status9999'),
    faults.unsolicited100(),
    faults.unsolicited101(),
    faults.malformedChunk(),
    faults.randomDataThenClose(),
  ]

  it.each(without.map((fault) => [fault.text, fault] as const))('%s is PROTOCOL_ERROR', async (_, fault) => {
    const { mitm, client } = await scene()
    // In clear nobody chooses a version; with TLS the client is offered HTTP/1.1 only.
    mitm.when({ host: 'a.test', path: '/bad' }).fault(fault)
    const again = await http2Through(mitm, HOST)
    open.push(() => again.destroy())
    expect(await outcome(request(again, { ':path': '/bad' }))).toMatch(/^(?:PROTOCOL_ERROR|1)$/)
    expect(await outcome(request(again, { ':path': '/' }))).toBe('200 whole')
    const record = exchangeOf(mitm, '/bad')
    expect([record?.endReason, record?.faults.map(({ name }) => name)]).toEqual(['fault', [fault.name]])
    expect(client.destroyed).toBe(false)
  })
})
