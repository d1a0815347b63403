import { once } from 'node:events'
import type { ClientHttp2Session, ClientHttp2Stream, ServerHttp2Stream } from 'node:http2'
import { setImmediate as nextTurn } from 'node:timers/promises'

import { afterEach, describe, expect, it, test } from 'vitest'

import type { Exchange } from './exchange.ts'
import * as faults from './faults/faults.ts'
import { HTTP2_ERRORS } from './http2-errors.ts'
import { writeHeaders, writePing, writeSettings } from './protocols/http2/frame-write.ts'
import { PREFACE } from './protocols/http2/frame.ts'
import { writeFieldBlock } from './protocols/http2/hpack-encode.ts'
import { startMitm } from './test-mitm.ts'
import type { TestMitm } from './test-mitm.ts'
import { tunnelTo } from './testing/clients.ts'
import { http2Server, http2Through, request, responseOf } from './testing/http2.ts'
import type { Http2Response, StreamHandler } from './testing/http2.ts'
import { getFields } from './testing/http2-watch.ts'
import { httpServer } from './testing/servers.ts'
import type { TestServer } from './testing/servers.ts'

const HOST = 'a.test:80'
const BODY = 'x'.repeat(100)

/** A request that a server has seen. */
interface Seen {
  readonly path: string
  readonly stream: ServerHttp2Stream
  bytes: number
}

const open: (() => Promise<unknown> | void)[] = []
afterEach(async () => {
  for (const close of open.splice(0).toReversed()) await close()
})

/** Answers each request when it has come whole: with 100 octets, or not at all. */
async function serve(): Promise<{ origin: TestServer; seen: Seen[] }> {
  const seen: Seen[] = []
  const answer: StreamHandler = (stream, headers) => {
    const one: Seen = { path: headers[':path'] ?? '', stream, bytes: 0 }
    seen.push(one)
    stream.on('data', (chunk: Buffer) => (one.bytes += chunk.length))
    stream.on('end', () => {
      if (one.path.startsWith('/hang') || stream.destroyed) return
      stream.respond({ ':status': 200, 'content-length': BODY.length })
      stream.end(BODY)
    })
  }
  const origin = await http2Server(answer)
  open.push(() => origin[Symbol.asyncDispose]())
  return { origin, seen }
}

async function start(origin: TestServer): Promise<TestMitm> {
  const mitm = await startMitm({ hosts: { 'a.test': origin.authority } })
  open.push(() => mitm.close())
  return mitm
}

async function session(mitm: TestMitm): Promise<ClientHttp2Session> {
  const made = await http2Through(mitm, HOST)
  open.push(() => made.destroy())
  return made
}

async function all(): Promise<{ seen: Seen[]; mitm: TestMitm }> {
  const { origin, seen } = await serve()
  return { seen, mitm: await start(origin) }
}

/** What came of a request: status and length, or the code with which its stream was closed. */
async function outcome(asked: Promise<Http2Response>): Promise<string> {
  try {
    const { status, body } = await asked
    return `${status} ${body.length}`
  } catch (error) {
    return String(error).replace(/^.*(?:NGHTTP2_|closed with code )/, '')
  }
}

/** Resolves when a stream is closed, well or not. */
function closed(stream: ClientHttp2Stream): Promise<void> {
  return new Promise((resolve) => stream.on('error', () => undefined).on('close', resolve))
}

function exchangeOf(mitm: TestMitm, path: string): Exchange | undefined {
  return mitm.exchanges.find(({ request: { target } }) => target === path)
}

describe('http2Reset', () => {
  test.each(Object.entries(HTTP2_ERRORS))('tells the client %s (%i)', async (name, code) => {
    const { mitm, seen } = await all()
    mitm.get('http://a.test/*').fault(faults.http2Reset(code))
    const stream = (await session(mitm)).request({ ':path': '/' })
    await closed(stream)
    expect(stream.rstCode).toBe(code)
    expect(seen).toEqual([])
    expect(exchangeOf(mitm, '/')).toMatchObject({ endReason: 'fault', http2: { resetCode: code, resetName: name } })
    expect(exchangeOf(mitm, '/')?.faults).toMatchObject([{ name: 'http2Reset' }])
    expect(mitm.connections[0]?.faults).toMatchObject([{ name: 'http2Reset' }])
    expect(mitm.errors).toEqual([])
  })

  it('leaves the other streams of the connection alone', async () => {
    const { mitm } = await all()
    mitm.get('http://a.test/broken').fault(faults.http2Reset(0x1234))
    const client = await session(mitm)
    const paths = ['/1', '/broken', '/2']
    const seen = await Promise.all(paths.map((path) => outcome(request(client, { ':path': path }))))
    expect([seen[0], seen[2]]).toEqual(['200 100', '200 100'])
    expect(exchangeOf(mitm, '/broken')?.http2?.resetName).toBe('0x1234')
    expect(await outcome(request(client, { ':path': '/3' }))).toBe('200 100')
    expect(mitm.connections).toHaveLength(1)
  })

  it.each([0, 1, 60, 99])('lets %i octets of the body pass, and no more', async (afterBytes) => {
    const { mitm } = await all()
    mitm.get('http://a.test/*').fault(faults.http2Reset('INTERNAL_ERROR', { afterBytes }))
    const stream = (await session(mitm)).request({ ':path': '/' })
    let bytes = 0
    let status = 0
    stream.on('response', (head) => (status = Number(head[':status'])))
    stream.on('data', (chunk: Buffer) => (bytes += chunk.length))
    await closed(stream)
    expect([status, bytes, stream.rstCode]).toEqual([200, afterBytes, 2])
  })

  it('lets the server do its work with forward', async () => {
    const { mitm, seen } = await all()
    mitm.get('http://a.test/*').fault(faults.http2Reset('CONNECT_ERROR', { forward: true }))
    expect(await outcome(request(await session(mitm), { ':path': '/' }))).toBe('CONNECT_ERROR')
    expect(seen.map(({ path }) => path)).toEqual(['/'])
  })

  it('towards the server breaks the request off there, with its code', async () => {
    const { mitm, seen } = await all()
    mitm.post('http://a.test/*').fault(faults.http2Reset('ENHANCE_YOUR_CALM', { afterBytes: 10, side: 'server' }))
    const asked = request(await session(mitm), { ':path': '/', ':method': 'POST' }, 'u'.repeat(1000))
    expect(await outcome(asked)).toBe('ENHANCE_YOUR_CALM')
    await expect.poll(() => seen[0]?.stream.rstCode).toBe(11)
    expect(seen[0]?.bytes).toBe(10)
  })

  it('is a reset of the connection where the client speaks HTTP/1', async () => {
    const { mitm } = await all()
    mitm.get('http://a.test/*').fault(faults.http2Reset('REFUSED_STREAM'))
    const wire = await tunnelTo(mitm, HOST)
    wire.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
    expect(await wire.ended).toBe('reset')
    expect(mitm.exchanges[0]?.faults).toMatchObject([{ name: 'http2Reset' }])
  })

  it('does nothing to HTTP/1 where that is what it demands, and is not used up by it; nor are others', async () => {
    await using origin = await httpServer((_, response) => response.end('fine'))
    const mitm = await start(origin)
    const rules = [
      faults.http2Reset('HTTP_1_1_REQUIRED'),
      faults.http2IllegalFrame('dataFirst'),
      faults.http2GoAway(),
      faults.http2Settings({ initialWindowSize: 0 }),
      faults.http2Withhold({ frame: 'PING' }),
    ].map((fault) => mitm.get('http://a.test/*').fault(fault).once())
    const wire = await tunnelTo(mitm, HOST)
    wire.write('GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n')
    await wire.until('fine')
    expect(rules.map(({ calls }) => calls)).toEqual(rules.map(() => 0))
    expect(mitm.exchanges[0]?.faults).toEqual([])
  })

  it('without a limit ends what is under way already', async () => {
    const { mitm, seen } = await all()
    mitm.get('http://a.test/other').json({})
    const asked = outcome(request(await session(mitm), { ':path': '/hang' }))
    while (seen.length === 0) await nextTurn()
    mitm.get('http://a.test/hang').fault(faults.http2Reset('SETTINGS_TIMEOUT'))
    expect(await asked).toBe('SETTINGS_TIMEOUT')
  })

  it('does not wait for a request that waits for its response', async () => {
    const { mitm } = await all()
    mitm.post('http://a.test/**').fault(faults.http2Reset('INTERNAL_ERROR'))
    const headers = { ':path': '/Echo/Chat', ':method': 'POST', 'content-type': 'application/grpc' }
    const stream = (await session(mitm)).request(headers)
    stream.write('half')
    expect(await outcome(responseOf(stream))).toBe('INTERNAL_ERROR')
  })
})

describe('http2GoAway', () => {
  /** Asks three at once, the second of which is for the fault; the server answers the first when the others are over. */
  async function askThree(mitm: TestMitm, seen: readonly Seen[]): Promise<string[]> {
    const client = await session(mitm)
    const before = outcome(request(client, { ':path': '/hang/1' }))
    while (seen.length === 0) await nextTurn()
    const others = [outcome(request(client, { ':path': '/gone' })), outcome(request(client, { ':path': '/hang/2' }))]
    const gone = await Promise.all(others)
    const first = seen[0]?.stream
    if (first && !first.destroyed) {
      first.respond({ ':status': 200 })
      first.end(BODY)
    }
    return [await before, ...gone]
  }

  it('before: streams below are answered, those from there on are not, and the connection ends', async () => {
    const { mitm, seen } = await all()
    mitm.when('http://a.test/gone').fault(faults.http2GoAway({ lastStream: 'before' }))
    expect(await askThree(mitm, seen)).toEqual(['200 100', 'REFUSED_STREAM', 'REFUSED_STREAM'])
    expect(exchangeOf(mitm, '/gone')).toMatchObject({ endReason: 'fault', http2: { goAwayName: 'NO_ERROR' } })
    await expect.poll(() => mitm.connections[0]?.endReason).toBe('fault')
  })

  it('0: no stream is answered', async () => {
    const { mitm, seen } = await all()
    mitm.when('http://a.test/gone').fault(faults.http2GoAway({ lastStream: 0 }))
    expect(await askThree(mitm, seen)).toEqual(['REFUSED_STREAM', 'REFUSED_STREAM', 'REFUSED_STREAM'])
  })

  it.each(['this', 2 ** 31 - 1] as const)(
    '%s: the exchange goes on, and the connection ends behind it',
    async (last) => {
      const { mitm } = await all()
      mitm.get('http://a.test/*').fault(faults.http2GoAway({ lastStream: last }))
      const client = await session(mitm)
      const goAway = once(client, 'goaway')
      const over = once(client, 'close')
      expect(await outcome(request(client, { ':path': '/' }))).toBe('200 100')
      expect((await goAway).slice(0, 2)).toEqual([0, last === 'this' ? 1 : last])
      await over
      expect(exchangeOf(mitm, '/')).toMatchObject({ endReason: 'complete', http2: { goAwayCode: 0 } })
      expect(exchangeOf(mitm, '/')?.faults).toHaveLength(1)
    },
  )

  it('passes no stream on that the client opened before it could know', async () => {
    const { mitm, seen } = await all()
    mitm.when({ path: '/gone' }).fault(faults.http2GoAway({ lastStream: 'before' }))
    const wire = await tunnelTo(mitm, HOST)
    open.push(() => void wire.socket.destroy())
    const ask = (id: number, path: string): Buffer =>
      writeHeaders(id, writeFieldBlock(getFields(path)), { endStream: true })
    wire.write(Buffer.concat([PREFACE, writeSettings(), ask(1, '/gone')]))
    await expect.poll(() => exchangeOf(mitm, '/gone')?.endReason).toBe('fault')
    const ping = Buffer.from('whatever')
    wire.write(Buffer.concat([ask(3, '/late'), writePing(ping)]))
    await expect.poll(() => wire.buffered.includes(writePing(ping, true))).toBe(true)
    expect([seen.length, mitm.exchanges.length]).toEqual([0, 1])
  })

  it('lets so much of the body pass, and tells its code', async () => {
    const { mitm } = await all()
    mitm
      .get('http://a.test/*')
      .fault(faults.http2GoAway({ code: 'INADEQUATE_SECURITY', lastStream: 'before', afterBytes: 30 }))
    const client = await session(mitm)
    const goAway = once(client, 'goaway')
    const stream = client.request({ ':path': '/' })
    let bytes = 0
    stream.on('data', (chunk: Buffer) => (bytes += chunk.length))
    await closed(stream)
    expect([bytes, (await goAway).slice(0, 2)]).toEqual([30, [12, 0]])
  })

  it('closes the connection where the client speaks HTTP/1', async () => {
    const { mitm } = await all()
    mitm.get('http://a.test/*').fault(faults.http2GoAway({ lastStream: 0 }))
    const wire = await tunnelTo(mitm, HOST)
    wire.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
    expect(await wire.ended).toBe('fin')
  })
})

describe('http2Withhold', () => {
  it.each(['HEADERS', 'DATA'] as const)('%s: nothing of it comes until the fault is removed', async (frame) => {
    const { mitm, seen } = await all()
    const rule = mitm.get('http://a.test/*').fault(faults.http2Withhold({ frame }))
    const stream = (await session(mitm)).request({ ':path': '/' })
    let isHeadHere = false
    stream.on('response', () => (isHeadHere = true))
    const asked = outcome(responseOf(stream))
    await expect.poll(() => exchangeOf(mitm, '/')?.isStalled).toBe(true)
    expect(seen).toHaveLength(1)
    if (frame === 'DATA') await expect.poll(() => isHeadHere).toBe(true)
    expect(isHeadHere).toBe(frame === 'DATA')
    rule.remove()
    expect(await asked).toBe('200 100')
    expect(exchangeOf(mitm, '/')?.faults).toMatchObject([{ name: 'http2Withhold' }])
  })

  it('WINDOW_UPDATE: a large request gets stuck, and comes whole when the fault is removed', async () => {
    const { mitm, seen } = await all()
    const rule = mitm.post('http://a.test/*').fault(faults.http2Withhold({ frame: 'WINDOW_UPDATE' }))
    const size = 10 * 2 ** 20
    const client = await session(mitm)
    const asked = outcome(request(client, { ':path': '/', ':method': 'POST' }, Buffer.alloc(size, 'u')))
    // What the server allows at first.
    await expect.poll(() => exchangeOf(mitm, '/')?.request.bodySize).toBe(65_535)
    // Others pass meanwhile.
    expect(await outcome(request(client, { ':path': '/other' }))).toBe('200 100')
    expect(exchangeOf(mitm, '/')?.request.bodySize).toBe(65_535)
    rule.remove()
    expect(await asked).toBe('200 100')
    expect(seen[0]?.bytes).toBe(size)
  })

  it('PING: is answered when the exchange is over', async () => {
    const { mitm, seen } = await all()
    mitm.get('http://a.test/hang').fault(faults.http2Withhold({ frame: 'PING' }))
    const client = await session(mitm)
    const asked = outcome(request(client, { ':path': '/hang' }))
    while (seen.length === 0) await nextTurn()
    let isAnswered = false
    const pinged = new Promise<void>((resolve) => {
      client.ping(() => {
        isAnswered = true
        resolve()
      })
    })
    expect(await outcome(request(client, { ':path': '/other' }))).toBe('200 100')
    expect(isAnswered).toBe(false)
    seen[0]?.stream.respond({ ':status': 204 }, { endStream: true })
    expect(await asked).toBe('204 0')
    await pinged
  })
})

describe('a browser that', () => {
  /** As Chromium comes: by SOCKS5. */
  async function page(mitm: TestMitm): Promise<ClientHttp2Session> {
    const made = await http2Through(mitm, HOST, 'SOCKS5')
    open.push(() => made.destroy())
    return made
  }

  it('is refused asks three times: the third one counts', async () => {
    const { mitm, seen } = await all()
    const rule = mitm.get('http://a.test/').fault(faults.http2Reset('REFUSED_STREAM')).once()
    const client = await page(mitm)
    const calls: number[] = []
    for (let at = 0; at < 4; at++) {
      await outcome(request(client, { ':path': '/' }))
      calls.push(rule.calls)
    }
    expect(calls).toEqual([0, 0, 1, 1])
    expect(mitm.exchanges.map(({ isResent }) => isResent)).toEqual([true, true, false, false])
    const [first, second, third, fourth] = mitm.exchanges
    expect([second?.resentFrom, third?.resentFrom, fourth?.resentFrom]).toEqual([first, second, undefined])
    expect(fourth?.faults).toEqual([])
    expect(seen).toHaveLength(1)
  })

  it('must go by GOAWAY asks again for all that was not looked at, and their rules have their uses again', async () => {
    const { mitm } = await all()
    mitm
      .get('http://a.test/gone')
      .fault(faults.http2GoAway({ lastStream: 0 }))
      .once()
    const other = mitm.get('http://a.test/other').delay(60_000).respond(204).once()
    const client = await page(mitm)
    const asked = outcome(request(client, { ':path': '/other' }))
    await expect.poll(() => other.calls).toBe(1)
    expect(await outcome(request(client, { ':path': '/gone' }))).toBe('REFUSED_STREAM')
    expect(await asked).toBe('REFUSED_STREAM')
    expect(other.calls).toBe(0)
    expect(mitm.exchanges.map(({ isResent }) => isResent)).toEqual([true, true])
  })

  it('gets no answer to a ping asks again elsewhere', async () => {
    const { mitm, seen } = await all()
    const rule = mitm
      .get('http://a.test/hang')
      .fault(faults.http2Withhold({ frame: 'PING' }))
      .once()
    const client = await page(mitm)
    const stream = client.request({ ':path': '/hang' })
    while (seen.length === 0) await nextTurn()
    client.ping(() => undefined)
    // What follows the ping comes behind it.
    await outcome(request(client, { ':path': '/other' }))
    stream.close(1)
    await closed(stream)
    await expect.poll(() => exchangeOf(mitm, '/hang')?.endReason).toBe('client-reset')
    expect([exchangeOf(mitm, '/hang')?.isResent, rule.calls]).toEqual([true, 0])
  })

  it('loses a connection asks again for what it asked behind the first response', async () => {
    const { mitm } = await all()
    mitm.when('http://a.test/**').fault(faults.http2Settings({ maxConcurrentStreams: 100 }))
    mitm.get('http://a.test/broken').fault(faults.resetPeer()).once()
    const client = await page(mitm)
    const early = outcome(request(client, { ':path': '/hang/early' }))
    await mitm.waitForRequest('http://a.test/hang/early')
    expect(await outcome(request(client, { ':path': '/' }))).toBe('200 100')
    const late = outcome(request(client, { ':path': '/hang/late' }))
    await mitm.waitForRequest('http://a.test/hang/late')
    await outcome(request(client, { ':path': '/broken' }))
    await Promise.all([early, late])
    const resent = ['/hang/early', '/', '/hang/late', '/broken'].map((path) => exchangeOf(mitm, path)?.isResent)
    expect(resent).toEqual([false, false, true, true])
  })
})

describe('http2Settings', () => {
  it('are in force until the fault is removed, and then what was before', async () => {
    const { mitm } = await all()
    const settings = { maxConcurrentStreams: 1, initialWindowSize: 10 }
    const rule = mitm.get('http://a.test/*').fault(faults.http2Settings(settings))
    const client = await session(mitm)
    await once(client, 'remoteSettings')
    const usual = { ...client.remoteSettings }
    const told: unknown[] = []
    client.on('remoteSettings', ({ maxConcurrentStreams, initialWindowSize }) =>
      told.push({ maxConcurrentStreams, initialWindowSize }),
    )
    expect(await outcome(request(client, { ':path': '/' }))).toBe('200 100')
    expect(await outcome(request(client, { ':path': '/2' }))).toBe('200 100')
    // Once, however many requests there are.
    expect(told).toEqual([settings])
    rule.remove()
    await expect.poll(() => told.length).toBe(2)
    expect(client.remoteSettings).toEqual(usual)
    expect(mitm.exchanges.map((each) => each.faults.length)).toEqual([1, 1])
  })

  it('lets an upload wait for a window, and go on when the fault is gone', async () => {
    const { mitm, seen } = await all()
    const rule = mitm.post('http://a.test/*').fault(faults.http2Settings({ initialWindowSize: 0 }))
    const client = await session(mitm)
    const stream = client.request({ ':path': '/', ':method': 'POST' })
    const asked = outcome(responseOf(stream))
    await expect.poll(() => client.remoteSettings.initialWindowSize).toBe(0)
    stream.end(Buffer.alloc(3_000_000))
    expect(await outcome(request(client, { ':path': '/other' }))).toBe('200 100')
    expect(seen[0]?.bytes).toBe(0)
    rule.remove()
    expect(await asked).toBe('200 100')
    expect(seen[0]?.bytes).toBe(3_000_000)
  })
})

describe('http2IllegalFrame', () => {
  const END = Buffer.from('playwright-mitm')

  /** What a client is sent in place of a response. */
  async function sentFor(flaw: faults.Http2FrameFlaw): Promise<Buffer> {
    const { mitm, seen } = await all()
    mitm.when({ path: '/' }).fault(faults.http2IllegalFrame(flaw))
    const wire = await tunnelTo(mitm, HOST)
    open.push(() => void wire.socket.destroy())
    const block = writeFieldBlock(getFields('/').map(([name, value]) => [name, value.replace('api.test', 'a.test')]))
    wire.write(Buffer.concat([PREFACE, writeSettings(), writeHeaders(1, block, { endStream: true })]))
    await expect.poll(() => exchangeOf(mitm, '/')?.endReason).toBe('fault')
    const isBodiless = ['hpackGarbage', 'strayContinuation', 'notHttp2'].includes(flaw)
    await expect.poll(() => isBodiless || wire.buffered.includes(END)).toBe(true)
    expect(seen).toEqual([])
    expect(exchangeOf(mitm, '/')?.faults).toMatchObject([{ name: 'http2IllegalFrame' }])
    return wire.buffered
  }

  /** `type:stream:flags:length`, without the frames that begin every session. */
  function framesOf(octets: Buffer): string[] {
    const frames: string[] = []
    for (let at = 0; at + 9 <= octets.length; at += 9 + octets.readUIntBE(at, 3)) {
      const facts = [octets.readUInt8(at + 3), octets.readUInt32BE(at + 5), octets.readUInt8(at + 4)]
      frames.push([...facts, octets.readUIntBE(at, 3)].join(':'))
    }
    return frames.slice(frames.findIndex((frame) => !/^(?:4:0:1:0|4:0:0:(?!6$)\d+|8:0:0:4)$/.test(frame)))
  }

  it.each([
    ['oversized', ['1:1:4:', '0:1:1:16777215']],
    ['wrongLength', ['6:0:0:4', '1:1:4:', '0:1:1:15']],
    ['illegalPadding', ['1:1:4:', '0:1:9:16']],
    ['hpackGarbage', ['1:1:4:5']],
    ['uppercaseField', ['1:1:4:', '0:1:1:15']],
    ['connectionField', ['1:1:4:', '0:1:1:15']],
    ['missingStatus', ['1:1:4:', '0:1:1:15']],
    ['contentLengthMismatch', ['1:1:4:', '0:1:1:15']],
    ['dataFirst', ['0:1:1:15']],
    ['strayContinuation', ['9:1:4:']],
    ['interruptedHeaders', ['1:1:0:', '0:1:1:15']],
    ['unknownStream', ['0:1001:1:15', '1:1:4:', '0:1:1:15']],
    ['pushPromise', ['5:1:4:', '1:1:4:', '0:1:1:15']],
    ['windowOverflow', ['8:1:0:4', '8:1:0:4', '1:1:4:', '0:1:1:15']],
    ['zeroWindowUpdate', ['8:1:0:4', '1:1:4:', '0:1:1:15']],
    ['illegalSettings', ['4:0:0:6', '1:1:4:', '0:1:1:15']],
  ] as const)('%s is these frames', async (flaw, expected) => {
    const frames = framesOf(await sentFor(flaw)).filter((frame) => frame !== '4:0:1:0')
    expect(frames.map((frame, at) => (expected[at]?.endsWith(':') ? frame.replace(/\d+$/, '') : frame))).toEqual(
      expected,
    )
  })

  it('notHttp2 is HTTP/1.1', async () => {
    expect((await sentFor('notHttp2')).toString('latin1')).toContain('HTTP/1.1 400 Bad Request\r\n')
  })

  it('says nothing of an error when the client leaves for it', async () => {
    const { mitm } = await all()
    mitm.get('http://a.test/broken').fault(faults.http2IllegalFrame('windowOverflow'))
    await expect(request(await session(mitm), { ':path': '/broken' })).rejects.toThrow()
    await expect.poll(() => mitm.connections[0]?.endedAt).toBeDefined()
    expect(mitm.errors).toEqual([])
  })
})
