import { once } from 'node:events'
import type { ClientHttp2Session } from 'node:http2'
import { setImmediate as nextTurn } from 'node:timers/promises'

import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest'

import type { Side } from '../../errors.ts'
import type { Field } from '../../exchange.ts'
import { startMitm } from '../../test-mitm.ts'
import type { TestMitm } from '../../test-mitm.ts'
import { tunnelTo } from '../../testing/clients.ts'
import { http2Server, http2Through, request } from '../../testing/http2.ts'
import { getFields, headers, postFields, responseHeaders, Watch } from '../../testing/http2-watch.ts'
import { wireServer } from '../../testing/servers.ts'
import type { WireServer } from '../../testing/servers.ts'
import type { Wire } from '../../testing/wire.ts'
import { Drain } from './drain.ts'
import { FrameParser } from './frame-parse.ts'
import {
  writeData,
  writeFrame,
  writeGoAway,
  writeHeaders,
  writePing,
  writeReset,
  writeSettings,
  writeWindowUpdate,
} from './frame-write.ts'
import { FLAG, FRAME, PREFACE, SETTING } from './frame.ts'
import { HpackDecoder } from './hpack-decode.ts'
import { writeInteger } from './hpack-encode.ts'

/** What an endpoint reads: frames in short, field blocks decoded with one table, as a real one has it. */
class Reader {
  readonly frames: string[] = []
  readonly decoder: HpackDecoder = new HpackDecoder(1_000_000)
  readonly #parser = new FrameParser()
  #payload: Buffer[] = []
  #block: Buffer[] = []

  constructor() {
    this.#parser.maxFrameBytes = 2 ** 20
  }

  /** @param octets - Without a preface. */
  read(octets: Buffer): this {
    const parser = this.#parser
    parser.push(octets)
    while (parser.next()) {
      this.#payload.push(Buffer.from(parser.octets.subarray(parser.start, parser.end)))
      if (parser.isLast) this.#frame(Buffer.concat(this.#payload.splice(0)))
    }
    expect(parser.problem).toBeUndefined()
    return this
  }

  get isAtBoundary(): boolean {
    return this.#parser.isAtBoundary
  }

  #frame(payload: Buffer): void {
    const { type, flags, streamId } = this.#parser
    const end = (flags & FLAG.endStream) === 0 ? '' : ' end'
    switch (type) {
      case FRAME.data:
        this.frames.push(`data ${streamId} ${payload.toString('latin1')}${end}`)
        break
      case FRAME.headers:
      case FRAME.continuation: {
        this.#block.push(payload)
        if ((flags & FLAG.endHeaders) === 0) break
        const fields = this.decoder.decode(Buffer.concat(this.#block.splice(0)))
        expect(this.decoder.problem).toBeUndefined()
        const last = fields?.at(-1) ?? ['', '']
        this.frames.push(`headers ${streamId} ${last[0]}=${last[1]}${type === FRAME.headers ? end : ''}`)
        break
      }
      case FRAME.goAway:
        this.frames.push(`goaway ${payload.readUInt32BE(0)} ${payload.readUInt32BE(4)}`)
        break
      case FRAME.windowUpdate:
        this.frames.push(`window ${streamId} ${payload.readUInt32BE(0)}`)
        break
      case FRAME.reset:
        this.frames.push(`reset ${streamId} ${payload.readUInt32BE(0)}`)
        break
      default:
        this.frames.push(`type${type} ${streamId}${(flags & FLAG.ack) === 0 ? '' : ' ack'}`)
    }
  }
}

/** A field that goes into the table, as clients write it. */
function indexed(name: string, value: string): Buffer {
  return Buffer.concat([
    Buffer.from([0x40]),
    writeInteger(name.length, 7, 0),
    Buffer.from(name),
    writeInteger(value.length, 7, 0),
    Buffer.from(value),
  ])
}

/** The entry of the table that is so many behind the newest one. */
function entry(behind: number): Buffer {
  return writeInteger(62 + behind, 7, 0x80)
}

const POST = Buffer.from([0x83, 0x87])
const OPENING = Buffer.concat([PREFACE, writeSettings([])])

describe('frame by frame', () => {
  let watch: Watch
  let drain: Drain | undefined
  let toServer: Reader
  let toClient: Reader
  let sent: { client: number; server: number }

  /** Hands octets over as the relay does. */
  function pass(from: Side, ...frames: readonly Buffer[]): void {
    for (const octets of frames) {
      sent[from] += octets.length
      const out = drain ? drain.pass(from, octets) : (watch.see(from, octets), octets)
      if (from === 'client') toServer.read(out)
      else toClient.read(out)
      if (drain) toClient.read(drain.takeWaiting())
    }
  }

  function begin(): void {
    drain = new Drain(watch.observer)
    toClient.read(drain.takeWaiting())
  }

  function isDone(): boolean | undefined {
    return drain?.isDone
  }

  beforeEach(() => {
    watch = new Watch()
    drain = undefined
    toServer = new Reader()
    toClient = new Reader()
    sent = { client: 0, server: 0 }
    watch.see('client', PREFACE)
    pass('client', writeSettings([]))
    pass('server', writeSettings([]))
    toServer.frames.length = 0
    toClient.frames.length = 0
  })

  test('without anything under way it is over as soon as the client has been told', () => {
    begin()
    expect(toClient.frames).toEqual(['goaway 0 0'])
    expect(isDone()).toBe(true)
  })

  test('streams under way go on, and those behind them do not begin', () => {
    pass('client', headers(1, getFields('/1'), { endStream: true }), headers(3, postFields('/3')))
    begin()
    pass('client', headers(5, postFields('/5')), writeData(5, Buffer.from('dropped'), { padding: 2 }))
    pass('client', writeData(3, Buffer.from('kept'), { endStream: true }), writeReset(5, 8), writeWindowUpdate(5, 9))
    expect(isDone()).toBe(false)
    pass('server', responseHeaders(1, 200), writeData(1, Buffer.from('x'), { endStream: true }))
    expect(isDone()).toBe(false)
    pass('server', responseHeaders(3, 204, [], { endStream: true }))
    expect(isDone()).toBe(true)
    expect(toServer.frames).toEqual(['headers 1 :path=/1 end', 'headers 3 :path=/3', 'data 3 kept end'])
    expect(toClient.frames).toEqual([
      'goaway 3 0',
      // 7 octets, 2 of padding, and 1 that says so.
      'window 0 10',
      'headers 1 :status=200',
      'data 1 x end',
      'headers 3 :status=204 end',
    ])
    expect(watch.record).toMatchObject([{ endReason: 'complete' }, { endReason: 'complete' }])
  })

  test('a field block behind one that was dropped is written so that the server can read it', () => {
    pass('client', writeHeaders(1, Buffer.concat([POST, indexed('x-one', 'a')])))
    begin()
    pass('client', writeHeaders(3, Buffer.concat([POST, indexed('x-two', 'b')])))
    // Of the client's table; the server's has one entry only, if any.
    pass('client', writeHeaders(1, Buffer.concat([entry(1), entry(0)]), { endStream: true, maxFrameBytes: 1 }))
    expect(toServer.frames).toEqual(['headers 1 x-one=a', 'headers 1 x-two=b end'])
    expect(toServer.decoder.table).toEqual([])
    expect(watch.exchanges[0]?.request.trailers).toEqual([
      ['x-one', 'a'],
      ['x-two', 'b'],
    ])
  })

  test('as long as nothing was dropped, field blocks pass as they came', () => {
    pass('client', writeHeaders(1, Buffer.concat([POST, indexed('x-one', 'a')])))
    begin()
    pass('client', writeHeaders(1, entry(0), { endStream: true }))
    expect(toServer.frames).toEqual(['headers 1 x-one=a', 'headers 1 x-one=a end'])
    expect(toServer.decoder.table).toHaveLength(1)
  })

  test('what is about the connection passes', () => {
    pass('client', headers(1, postFields('/1')))
    begin()
    pass('client', headers(3, postFields('/3')))
    pass('client', writePing(Buffer.alloc(8)), writeSettings([[SETTING.initialWindowSize, 1]]), writeWindowUpdate(0, 5))
    pass('client', writeWindowUpdate(1, 6), writeFrame({ type: FRAME.priority, streamId: 1, payload: Buffer.alloc(5) }))
    pass('client', writeFrame({ type: FRAME.priority, streamId: 3, payload: Buffer.alloc(5) }))
    const about = (stream: number): Buffer => Buffer.from([0, 0, 0, stream, ...Buffer.from('u=1')])
    pass('client', writeFrame({ type: FRAME.priorityUpdate, payload: about(1) }))
    pass('client', writeFrame({ type: FRAME.priorityUpdate, payload: about(3) }))
    pass('client', writeFrame({ type: 0xee, streamId: 1 }), writeGoAway(0, 0))
    expect(toServer.frames).toEqual([
      'headers 1 :path=/1',
      'type6 0',
      'type4 0',
      'window 0 5',
      'window 1 6',
      'type2 1',
      'type16 0',
      'type238 1',
      'goaway 0 0',
    ])
    pass('server', writePing(Buffer.alloc(8), true), writeData(0, Buffer.from('?')))
    expect(toClient.frames).toEqual(['goaway 1 0', 'type6 0 ack', 'data 0 ?'])
  })

  test('what it said of the last stream is not taken back by the server', () => {
    pass('client', headers(1, postFields('/1')), headers(3, postFields('/3')))
    begin()
    pass('server', writeGoAway(0x7fffffff, 0), writeGoAway(1, 0))
    expect(toClient.frames).toEqual(['goaway 3 0', 'goaway 3 0', 'goaway 1 0'])
  })

  test('what the server has said of the last stream holds', () => {
    pass('client', headers(1, postFields('/1')), headers(3, postFields('/3')))
    pass('server', writeGoAway(1, 0))
    begin()
    expect(toClient.frames).toEqual(['goaway 1 0', 'goaway 1 0'])
  })

  test('waits until the server has begun', () => {
    watch = new Watch()
    toServer = new Reader()
    toClient = new Reader()
    drain = new Drain(watch.observer)
    expect(drain.takeWaiting()).toHaveLength(0)
    expect(drain.pass('client', OPENING).equals(OPENING)).toBe(true)
    expect(drain.takeWaiting()).toHaveLength(0)
    expect(isDone()).toBe(false)
    pass('server', writeSettings([]))
    expect(toClient.frames).toEqual(['type4 0', 'goaway 0 0'])
    expect(isDone()).toBe(true)
  })

  test('a stream that has begun in part is under way, wherever it was cut', () => {
    const opening = headers(1, postFields('/1'), { maxFrameBytes: 20 })
    for (let at = 1; at < opening.length; at++) {
      watch = new Watch()
      toServer = new Reader()
      toClient = new Reader()
      drain = undefined
      watch.see('client', OPENING)
      pass('server', writeSettings([]))
      pass('client', opening.subarray(0, at))
      begin()
      pass('client', Buffer.concat([opening.subarray(at), headers(3, postFields('/3'))]), writeReset(3, 8))
      const isBefore = at < 9
      expect(toServer.frames).toEqual(['headers 1 :path=/1', ...(isBefore ? ['headers 3 :path=/3', 'reset 3 8'] : [])])
      expect(toClient.frames).toEqual(['type4 0', `goaway ${isBefore ? 3 : 1} 0`])
      expect(isDone()).toBe(false)
    }
  })

  test('is told to the client between two frames, wherever the server stands', () => {
    const speech = Buffer.concat([
      responseHeaders(1, 200, [['x-long', 'y'.repeat(40)]], { maxFrameBytes: 20 }),
      writeData(1, Buffer.from('some octets'), { padding: 4 }),
      writePing(Buffer.alloc(8)),
      writeData(1, Buffer.from('end'), { endStream: true }),
    ])
    for (let at = 0; at <= speech.length; at++) {
      watch = new Watch()
      toServer = new Reader()
      toClient = new Reader()
      drain = undefined
      watch.see('client', OPENING)
      pass('server', writeSettings([]))
      pass('client', headers(1, getFields('/1'), { endStream: true }))
      pass('server', speech.subarray(0, at))
      begin()
      pass('server', speech.subarray(at))
      expect(toClient.frames.filter((each) => !each.startsWith('goaway'))).toEqual([
        'type4 0',
        `headers 1 x-long=${'y'.repeat(40)}`,
        'data 1 \u0004some octets\0\0\0\0',
        'type6 0',
        'data 1 end end',
      ])
      expect(toClient.frames.filter((each) => each === 'goaway 1 0')).toHaveLength(1)
      expect(isDone()).toBe(true)
    }
  })

  test('whatever passes and whenever it begins, the server reads what is under way, and nothing else', () => {
    interface Step {
      readonly stream: number
      readonly octets: Buffer
    }
    /** Requests, each with a body and trailers; all field blocks depend on those before them. */
    const conversation = fc.array(fc.record({ pieces: fc.nat(3), hasTrailers: fc.boolean(), jump: fc.nat(3) }), {
      minLength: 1,
      maxLength: 6,
    })
    fc.assert(
      fc.property(conversation, fc.array(fc.nat(1000), { maxLength: 30 }), fc.nat(), (requests, order, when) => {
        watch = new Watch()
        toServer = new Reader()
        toClient = new Reader()
        drain = undefined
        watch.see('client', OPENING)
        pass('server', writeSettings([]))
        // What each stream has still to send, the oldest first; they take turns.
        const left = requests.map(({ pieces, hasTrailers }, at) => {
          const stream = at * 2 + 1
          const kinds = ['open', ...Array.from({ length: pieces }, () => 'piece'), hasTrailers ? 'trailers' : 'last']
          return { stream, kinds }
        })
        const steps: Step[] = []
        const open: typeof left = []
        let entries = 0
        for (let turn = 0; left.length > 0 || open.length > 0; turn++) {
          const pick = (order[turn % Math.max(1, order.length)] ?? 0) % (open.length + 1)
          const next = pick === open.length ? left.shift() : open[pick]
          const one = next ?? open[0]
          if (!one) break
          if (pick === open.length && next) open.push(one)
          const { stream } = one
          const kind = one.kinds.shift()
          if (kind === 'open') {
            const block = Buffer.concat([POST, indexed('x-stream', `s${stream}`), entry(0)])
            entries++
            steps.push({ stream, octets: writeHeaders(stream, block, { maxFrameBytes: 9 }) })
          } else if (kind === 'trailers') {
            // It names the newest entry and the oldest one.
            const block = Buffer.concat([entry(entries - 1), entry(0)])
            steps.push({ stream, octets: writeHeaders(stream, block, { endStream: true }) })
          } else {
            steps.push({ stream, octets: writeData(stream, Buffer.from(`d${stream}`), { endStream: kind === 'last' }) })
          }
          if (one.kinds.length === 0) open.splice(open.indexOf(one), 1)
        }
        const direct = new Reader()
        const beginsAt = when % (steps.length + 1)
        for (const [at, { octets }] of steps.entries()) {
          if (at === beginsAt) begin()
          direct.read(octets)
          pass('client', octets)
        }
        if (beginsAt === steps.length) begin()
        const last = Math.max(0, ...steps.slice(0, beginsAt).map(({ stream }) => stream))
        const streamOf = (frame: string): number => Number(frame.split(' ')[1])
        expect(toServer.frames).toEqual(direct.frames.filter((frame) => streamOf(frame) <= last))
        expect(toServer.isAtBoundary).toBe(true)
        const dropped = direct.frames.filter((frame) => frame.startsWith('data') && streamOf(frame) > last)
        const given = toClient.frames.filter((frame) => frame.startsWith('window'))
        expect(given.map((frame) => frame.split(' ')[2])).toEqual(
          dropped.map((frame) => String(frame.split(' ')[2]?.length)),
        )
        expect(toClient.frames).toContain(`goaway ${last} 0`)
        expect(watch.exchanges.map(({ http2 }) => http2?.streamId)).toEqual(
          requests.map((_, at) => at * 2 + 1).filter((stream) => stream <= last),
        )
      }),
      { numRuns: 300 },
    )
  })
})

describe('through a mitm', () => {
  let mitm: TestMitm
  let origin: WireServer

  beforeEach(async () => {
    origin = await wireServer()
    mitm = await startMitm({ hosts: { 'api.test': origin.authority } })
  })

  afterEach(async () => {
    await mitm.close()
    await origin[Symbol.asyncDispose]()
  })

  const opened = async (...fields: readonly (readonly Field[])[]): Promise<{ wire: Wire; server: Wire }> => {
    const wire = await tunnelTo(mitm, 'api.test:80')
    wire.write(OPENING)
    for (const [at, each] of fields.entries()) wire.write(headers(at * 2 + 1, each, { endStream: true }))
    const server = await origin.next()
    await server.until('SM\r\n\r\n')
    server.write(writeSettings([]))
    await wire.take(9)
    if (fields.length > 0) await mitm.waitForRequest(`**/${fields.length}`)
    return { wire, server }
  }

  it('an idle connection is closed, on both sides', async () => {
    const { wire, server } = await opened()
    mitm.drain()
    expect(Buffer.from(await wire.rest(), 'latin1')).toEqual(writeGoAway(0, 0))
    await server.rest()
    expect([await wire.ended, await server.ended]).toEqual(['fin', 'fin'])
    wire.end()
    server.end()
    await expect.poll(() => mitm.connections[0]?.endedAt).toBeDefined()
    expect(mitm.connections[0]?.endReason).toBe('mitm-closed')
    expect(mitm.errors).toEqual([])
  })

  it('a rule that could touch the host drains it, and others do not', async () => {
    const { wire } = await opened(getFields('/1'))
    mitm.get('https://other.test/').json({})
    mitm.get('http://api.test/').json({})
    await nextTurn()
    expect(await wire.take(17)).toEqual(writeGoAway(1, 0))
    wire.end()
  })

  it('one on which something is under way is closed behind that', async () => {
    const { wire, server } = await opened(getFields('/1'), getFields('/2'))
    mitm.drain()
    expect(await wire.take(17)).toEqual(writeGoAway(3, 0))
    wire.write(headers(5, getFields('/3'), { endStream: true }))
    server.write(responseHeaders(3, 204, [], { endStream: true }))
    server.write(responseHeaders(1, 200))
    server.write(writeData(1, Buffer.from('the last octets'), { endStream: true }))
    expect(await wire.rest()).toMatch(/the last octets$/)
    wire.end()
    await server.rest()
    server.end()
    await expect.poll(() => mitm.connections[0]?.endedAt).toBeDefined()
    expect(mitm.exchanges.map((exchange) => `${exchange} ${exchange.endReason}`)).toEqual([
      'GET https://api.test/1 -> 200 complete',
      'GET https://api.test/2 -> 204 complete',
    ])
  })

  it('one that cannot be followed any more while it is drained is broken off', async () => {
    const { wire, server } = await opened(getFields('/1'))
    mitm.drain()
    await wire.take(17)
    wire.write(writeHeaders(3, Buffer.from([0xbe])))
    expect(await server.ended).toBe('reset')
    expect(await wire.ended).toBe('reset')
    await expect.poll(() => mitm.connections[0]?.endReason).toBe('failed')
    expect(mitm.exchanges[0]).toMatchObject({ endReason: 'opaque' })
  })

  it('a client that leaves while it is drained ends what is under way', async () => {
    const { wire, server } = await opened(getFields('/1'))
    mitm.drain()
    await wire.take(17)
    wire.reset()
    expect(await server.ended).toBe('reset')
    await expect.poll(() => mitm.exchanges[0]?.endReason).toBe('client-reset')
  })
})

it('no request of a real client is lost or comes twice, however often it is drained', async () => {
  const counts = new Map<string, number>()
  await using server = await http2Server((stream, requestHeaders) => {
    const path = requestHeaders[':path'] ?? ''
    counts.set(path, (counts.get(path) ?? 0) + 1)
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('trailers', (trailers) => chunks.push(Buffer.from(String(trailers['x-sum']))))
    stream.on('end', () => {
      stream.respond({ ':status': 200 })
      stream.end(Buffer.concat(chunks))
    })
  })
  await using mitm = await startMitm({ hosts: { 'api.test': server.authority } })
  let session: Promise<ClientHttp2Session> | undefined
  let retries = 0
  const send = async (path: string): Promise<void> => {
    for (;;) {
      session ??= http2Through(mitm, 'api.test:80')
      const mine = session
      const used = await mine
      try {
        // A session that is about to close takes no more requests.
        const got = await request(
          used,
          { ':path': path, ':method': 'POST', [`x-${path.length}`]: path },
          path.repeat(50),
        )
        expect(got.body).toBe(path.repeat(50))
        return
      } catch (error) {
        const code = error instanceof Error && 'code' in error ? error.code : undefined
        expect(`${String(code)} ${String(error)}`).toMatch(/REFUSED_STREAM|GOAWAY_SESSION|INVALID_SESSION/)
        retries++
        if (session === mine) session = undefined
        if (!used.destroyed) used.close()
      }
    }
  }
  const rounds = 12
  for (let round = 0; round < rounds; round++) {
    const sending = Array.from({ length: 40 }, (_, at) => send(`/${round}/${at}`))
    for (let turn = 0; turn <= round % 4; turn++) await nextTurn()
    mitm.drain()
    sending.push(...Array.from({ length: 20 }, (_, at) => send(`/${round}/late-${at}`)))
    await Promise.all(sending)
  }
  expect(retries).toBeGreaterThan(0)
  expect([...counts.values()].filter((count) => count !== 1)).toEqual([])
  expect(counts.size).toBe(rounds * 60)
  expect(mitm.exchanges).toHaveLength(rounds * 60)
  expect(new Set(mitm.exchanges.map(({ endReason }) => endReason))).toEqual(new Set(['complete']))
  const last = await session
  last?.destroy()
  if (last && !last.closed) await once(last, 'close')
  expect(mitm.errors).toEqual([])
}, 30_000)
