import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import type { Side } from '../../errors.ts'
import { getFields, headers, postFields, responseHeaders, Watch } from '../../testing/http2-watch.ts'
import {
  writeData,
  writeFrame,
  writeFrameHead,
  writeGoAway,
  writeHeaders,
  writePing,
  writePushPromise,
  writeReset,
  writeSettings,
  writeSettingsAck,
  writeWindowUpdate,
} from './frame-write.ts'
import { FLAG, FRAME, PREFACE, SETTING } from './frame.ts'
import { writeFieldBlock, writeInteger } from './hpack-encode.ts'

const OPENING = Buffer.concat([PREFACE, writeSettings([])])

/** One that has been greeted by both sides. */
function greeted(...options: ConstructorParameters<typeof Watch>): Watch {
  return new Watch(...options).see('client', OPENING).see('server', writeSettings([]))
}

function data(streamId: number, text: string, endStream = false): Buffer {
  return writeData(streamId, Buffer.from(text), { endStream })
}

/** A conversation in which everything comes about that is in order. */
const TALK: readonly (readonly [Side, Buffer])[] = [
  ['client', Buffer.concat([PREFACE, writeSettings([[SETTING.headerTableSize, 65_536]])])],
  ['server', writeSettings([[SETTING.maxFrameSize, 20_000]])],
  ['client', writeSettingsAck()],
  ['server', writeSettingsAck()],
  ['client', headers(1, getFields('/one', ['cookie', 'a=1'], ['cookie', 'b=2']), { endStream: true })],
  ['client', headers(3, postFields('/two', ['te', 'trailers']), { maxFrameBytes: 7 })],
  ['client', writeData(3, Buffer.from('some '), { padding: 5 })],
  ['server', responseHeaders(1, 103, [['link', '</x>']])],
  ['client', writeFrame({ type: FRAME.priority, streamId: 3, payload: Buffer.alloc(5) })],
  ['server', responseHeaders(1, 200, [['content-type', 'text/plain']])],
  ['client', data(3, 'thing')],
  ['client', headers(3, [['x-sum', '1']], { endStream: true })],
  ['server', responseHeaders(3, 201)],
  ['server', data(3, 'created', true)],
  ['client', writeWindowUpdate(0, 100)],
  ['server', writePing(Buffer.alloc(8))],
  ['server', data(1, 'on')],
  ['server', writeData(1, Buffer.from('e'), { padding: 0 })],
  ['server', writeFrame({ type: 0xee, flags: 0xff, streamId: 1, payload: Buffer.from('unknown') })],
  ['server', headers(1, [['grpc-status', '0']], { endStream: true })],
  ['client', headers(5, getFields('/three'), { endStream: true })],
  ['server', responseHeaders(5, 204, [], { endStream: true })],
]

const RECORD = [
  {
    request: 'GET https://api.test/one',
    fields: [
      ['cookie', 'a=1'],
      ['cookie', 'b=2'],
    ],
    body: '',
    isRequestWhole: true,
    interim: [103],
    response: [200, 'one', true],
    responseFields: [['content-type', 'text/plain']],
    trailers: [['grpc-status', '0']],
    endReason: 'complete',
  },
  {
    request: 'POST https://api.test/two',
    fields: [['te', 'trailers']],
    body: 'some thing',
    requestTrailers: [['x-sum', '1']],
    isRequestWhole: true,
    response: [201, 'created', true],
    endReason: 'complete',
  },
  {
    request: 'GET https://api.test/three',
    fields: [],
    body: '',
    isRequestWhole: true,
    response: [204, '', true],
    endReason: 'complete',
  },
]

test('makes exchanges of what passes', () => {
  const watch = new Watch()
  for (const [from, octets] of TALK) watch.see(from, octets)
  expect(watch.record).toEqual(RECORD)
  expect(watch.observer.isOpaque).toBe(false)
  expect(watch.connection.layers).toEqual([])
  const [one, two] = watch.exchanges
  expect(one).toMatchObject({ answeredBy: 'server', serverAddress: '<empty host>' })
  expect(one?.request).toMatchObject({ target: '/one', httpVersion: 'HTTP/2' })
  expect(one?.response).toMatchObject({ statusText: '', httpVersion: 'HTTP/2' })
  expect(two?.http2).toMatchObject({ streamId: 3, isPushed: false })
  for (const { timings } of watch.exchanges) {
    expect(timings.endMs).toBeGreaterThanOrEqual(timings.responseStartMs ?? Number.NaN)
    expect(timings.endMs).toBeGreaterThanOrEqual(timings.requestEndMs ?? Number.NaN)
  }
  expect(watch.moments).toEqual([
    'requestStarted 1',
    'requestEnded 1',
    'requestStarted 3',
    'responseStarted 1',
    'requestEnded 3',
    'responseStarted 3',
    'exchangeEnded 3',
    'exchangeEnded 1',
    'requestStarted 5',
    'requestEnded 5',
    'responseStarted 5',
    'exchangeEnded 5',
  ])
})

test('makes the same of it wherever the octets are cut', () => {
  const lengths = TALK.map(([, octets]) => octets.length)
  for (let at = 1; at < Math.max(...lengths); at++) {
    const watch = new Watch()
    for (const [from, octets] of TALK) watch.see(from, octets.subarray(0, at), octets.subarray(at))
    expect(watch.record).toEqual(RECORD)
  }
  const watch = new Watch()
  for (const [from, octets] of TALK) watch.see(from, ...[...octets].map((octet) => Buffer.from([octet])))
  expect(watch.record).toEqual(RECORD)
})

test('keeps as much of a body as somebody wants, and counts all of it', () => {
  const watch = greeted().see('client', headers(1, postFields('/'), {}))
  const chunk = writeData(1, Buffer.alloc(16_384, 'x'))
  for (let round = 0; round < 10; round++) watch.see('client', chunk)
  const [exchange] = watch.exchanges
  expect(exchange?.request.bodySize).toBe(163_840)
  expect(exchange?.request.body).toHaveLength(65_536)
})

describe('ends', () => {
  const asked = (): Watch =>
    greeted().see('client', headers(1, getFields('/1'), { endStream: true }), headers(3, postFields('/3')))

  test.each([
    ['client', 8, 'client-reset'],
    ['server', 2, 'server-reset'],
    ['server', 0xabcd, 'server-reset'],
  ] as const)('a reset by the %s', (side, resetCode, endReason) => {
    const watch = asked().see(side, writeReset(1, resetCode))
    expect(watch.record).toMatchObject([{ endReason, resetCode, isRequestWhole: true }, { endReason: undefined }])
    // Whatever still comes of the stream has no effect.
    watch.see('server', responseHeaders(1, 200), data(1, 'late', true)).see('client', writeReset(1, 8))
    expect(watch.exchanges[0]?.response).toBeUndefined()
    expect(watch.observer.ledger.count).toBe(1)
  })

  test('a server that answers before it has read all, and wants no more', () => {
    const watch = asked().see('server', responseHeaders(3, 413, [], { endStream: true }), writeReset(3, 0))
    expect(watch.record[1]).toMatchObject({
      response: [413, '', true],
      isRequestWhole: false,
      resetCode: 0,
      endReason: 'complete',
    })
  })

  test('GOAWAY ends what the server will not serve, and is noted on the others', () => {
    const watch = asked().see('server', writeGoAway(1, 11), responseHeaders(1, 200, [], { endStream: true }))
    expect(watch.record).toMatchObject([
      { goAwayCode: 11, endReason: 'complete' },
      { goAwayCode: 11, endReason: 'server-closed' },
    ])
    watch.see('client', headers(5, getFields('/5'), { endStream: true }))
    expect(watch.record[2]).toMatchObject({ goAwayCode: 11, endReason: 'server-closed' })
    expect(watch.exchanges[1]?.http2?.goAwayName).toBe('ENHANCE_YOUR_CALM')
  })

  test('the first GOAWAY of a server that shuts down in two steps ends nothing', () => {
    const watch = asked().see('server', writeGoAway(0x7fffffff, 0))
    expect(watch.observer.ledger.count).toBe(2)
    watch.see('server', writeGoAway(3, 0))
    expect(watch.observer.ledger.count).toBe(2)
  })

  test('a response without a final head is over with its stream', () => {
    const watch = asked().see('server', writeFrame({ type: FRAME.data, flags: FLAG.endStream, streamId: 1 }))
    expect(watch.record[0]).toMatchObject({ endReason: 'complete' })
    expect(watch.exchanges[0]?.response).toBeUndefined()
  })
})

test('a pushed stream is an exchange that the server began', () => {
  const promise = writePushPromise(1, 2, writeFieldBlock(getFields('/style.css')))
  const watch = greeted()
    .see('client', headers(1, getFields('/'), { endStream: true }))
    .see('server', promise, responseHeaders(2, 200), data(2, 'css', true))
  expect(watch.record[1]).toEqual({
    request: 'GET https://api.test/style.css',
    fields: [],
    body: '',
    isRequestWhole: true,
    response: [200, 'css', true],
    endReason: 'complete',
    isPushed: true,
  })
  const cut = writePushPromise(1, 4, writeFieldBlock(getFields('/long')), 12)
  expect(watch.see('server', cut, writeReset(4, 8)).record[2]).toMatchObject({
    endReason: 'server-reset',
    resetCode: 8,
  })
})

describe('CONNECT', () => {
  const connect = [
    [':method', 'CONNECT'],
    [':protocol', 'websocket'],
    [':scheme', 'https'],
    [':authority', 'api.test'],
    [':path', '/socket'],
  ] as const

  test('that is agreed to makes a tunnel, whose octets are no body', () => {
    const heard: string[] = []
    const watch = greeted({
      watchTunnel: ({ http2 }, { status }) => {
        heard.push(`begun ${http2?.protocol} ${status}`)
        return {
          data: (from, octets) => heard.push(`${from} ${octets.toString()}`),
          ended: (by) => heard.push(`ended by ${by}`),
        }
      },
    })
    watch
      .see('client', headers(1, connect))
      .see('server', responseHeaders(1, 200))
      .see('client', data(1, 'ping'))
      .see('server', data(1, 'pong'))
    expect(watch.record).toMatchObject([
      { request: 'CONNECT https://api.test/socket', isRequestWhole: true, response: [200, '', true], body: '' },
    ])
    expect(watch.exchanges[0]?.endReason).toBeUndefined()
    watch.see('client', data(1, 'bye', true)).see('server', data(1, '', true))
    expect(watch.exchanges[0]?.endReason).toBe('upgraded')
    expect(heard).toEqual(['begun websocket 200', 'client ping', 'server pong', 'client bye', 'ended by server'])
    expect(watch.moments).toEqual(['requestStarted 1', 'responseStarted 1', 'requestEnded 1', 'exchangeEnded 1'])
  })

  test('that is refused is an exchange like others', () => {
    const watch = greeted()
      .see('client', headers(1, connect))
      .see('server', responseHeaders(1, 403), data(1, 'no', true))
      .see('client', writeReset(1, 8))
    expect(watch.record).toMatchObject([{ response: [403, 'no', true], endReason: 'client-reset', resetCode: 8 }])
  })

  test('without more names its target', () => {
    const watch = greeted().see(
      'client',
      headers(1, [
        [':method', 'CONNECT'],
        [':authority', 'db.test:5432'],
      ]),
    )
    expect(watch.exchanges[0]?.request).toMatchObject({ url: 'http://db.test:5432', target: 'db.test:5432' })
  })
})

test('a request that lacks what it should have is recorded all the same', () => {
  const watch = greeted().see(
    'client',
    headers(1, [['host', 'other.test']], { endStream: true }),
    headers(
      3,
      [
        [':method', 'OPTIONS'],
        [':scheme', 'https'],
        [':path', '*'],
      ],
      { endStream: true },
    ),
  )
  expect(watch.record).toMatchObject([
    { request: ' http://other.test', fields: [['host', 'other.test']] },
    { request: 'OPTIONS https://api.test:443' },
  ])
})

describe('what cannot be followed is opaque from there on', () => {
  const block = writeFieldBlock(getFields('/'))
  test.each<readonly [string, Side, Buffer, RegExp]>([
    ['another preface', 'client', Buffer.from('GET / HTTP/1.1\r\n\r\n'), /preface/],
    ['a frame that is too long', 'client', writeFrameHead(16_385, FRAME.data, 0, 1), /16385 octets/],
    ['another protocol', 'server', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), /octets, where/],
    ['fields that cannot be decoded', 'client', writeHeaders(3, Buffer.from([0xff, 0xff, 0xff])), /field block/],
    ['a field that is in no table', 'client', writeHeaders(3, Buffer.from([0xbe])), /no entry 62/],
    ['HEADERS of the connection', 'client', writeHeaders(0, block), /on stream 0/],
    ['HEADERS on a stream of the server', 'client', writeHeaders(2, block), /on stream 2/],
    ['a CONTINUATION of nothing', 'client', writeFrame({ type: FRAME.continuation, streamId: 1 }), /of nothing/],
    [
      'a frame in a field block',
      'client',
      Buffer.concat([writeFrame({ type: FRAME.headers, streamId: 3 }), writePing(Buffer.alloc(8))]),
      /in the midst/,
    ],
    [
      'a CONTINUATION of another stream',
      'client',
      Buffer.concat([
        writeFrame({ type: FRAME.headers, streamId: 3 }),
        writeFrame({ type: FRAME.continuation, streamId: 5 }),
      ]),
      /of nothing/,
    ],
    ['a promise of the client', 'client', writePushPromise(1, 2, block), /PUSH_PROMISE/],
    [
      'padding that is too long',
      'client',
      writeFrame({ type: FRAME.data, flags: FLAG.padded, streamId: 1, payload: Buffer.from([2, 0]) }),
      /padding/,
    ],
    ['padding of nothing', 'client', writeFrame({ type: FRAME.data, flags: FLAG.padded, streamId: 1 }), /padding/],
    [
      'padding of HEADERS that is too long',
      'client',
      writeFrame({ type: FRAME.headers, flags: FLAG.padded, streamId: 3, payload: Buffer.from([9, 0x82]) }),
      /padding/,
    ],
    ['a field block that is too large', 'client', writeHeaders(3, Buffer.alloc(70_000, 0x82)), /larger than 65536/],
    [
      'a field block of too many frames',
      'client',
      Buffer.concat([
        writeFrame({ type: FRAME.headers, streamId: 3 }),
        ...Array.from({ length: 5000 }, () => writeFrame({ type: FRAME.continuation, streamId: 3 })),
      ]),
      /too many frames/,
    ],
  ])('%s', (_, side, octets, reason) => {
    const watch = octets.toString('latin1').startsWith('GET') ? new Watch() : greeted()
    if (watch.observer.hasPreface) watch.see('client', headers(1, getFields('/open')))
    watch.see(side, octets)
    expect(watch.observer.isOpaque).toBe(true)
    expect(watch.connection.layers).toEqual(['opaque'])
    for (const { endReason, opaqueReason } of watch.exchanges) {
      expect(endReason).toBe('opaque')
      expect(opaqueReason).toMatch(reason)
    }
    const { length } = watch.exchanges
    watch.see('client', headers(7, getFields('/late'))).see('server', responseHeaders(1, 200))
    expect(watch.exchanges).toHaveLength(length)
    expect(watch.observer.ledger.count).toBe(0)
  })
})

describe('SETTINGS', () => {
  const grown = Buffer.concat([writeInteger(8192, 5, 0x20), writeFieldBlock(getFields('/'))])
  const shrink = writeSettings([[SETTING.headerTableSize, 0]])

  test('what a side allows is allowed before that is acknowledged', () => {
    const watch = greeted().see('server', writeSettings([[SETTING.headerTableSize, 8192]]))
    expect(watch.see('client', writeHeaders(1, grown)).observer.isOpaque).toBe(false)
    expect(greeted().see('client', writeHeaders(1, grown)).observer.isOpaque).toBe(true)
  })

  test('what a side forbids is so when all of its SETTINGS have been acknowledged', () => {
    const watch = new Watch()
      .see('client', OPENING)
      .see('server', writeSettings([[SETTING.headerTableSize, 8192]]), shrink)
      .see('client', writeSettingsAck(), writeHeaders(1, grown))
    expect(watch.observer.isOpaque).toBe(false)
    expect(watch.see('client', writeSettingsAck(), writeHeaders(3, grown)).observer.isOpaque).toBe(true)
  })

  test('they are about what the other side sends', () => {
    const watch = greeted().see('client', writeSettings([[SETTING.maxFrameSize, 20_000]]))
    const long = data(1, 'x'.repeat(20_000))
    expect(watch.see('server', long).observer.isOpaque).toBe(false)
    expect(watch.see('client', long).observer.isOpaque).toBe(true)
  })

  test('a table that is larger than anybody needs is not followed', () => {
    const watch = greeted().see('server', writeSettings([[SETTING.headerTableSize, 0xffff_ffff]]))
    const huge = Buffer.concat([writeInteger(2 ** 21, 5, 0x20), writeFieldBlock(getFields('/'))])
    expect(watch.see('client', writeHeaders(1, huge)).observer.isOpaque).toBe(true)
  })
})

test('survives whatever comes, and leaves nothing open when all is over', () => {
  const frame = fc
    .record({
      type: fc.integer({ min: 0, max: 10 }),
      flags: fc.constantFrom(0, 1, 4, 5, 8, 0x0d, 0x25, 0x2d, 0xff),
      streamId: fc.constantFrom(0, 1, 2, 3, 5, 7),
      payload: fc.oneof(
        fc.uint8Array({ maxLength: 20 }),
        fc.constantFrom(writeFieldBlock(getFields('/x')), writeFieldBlock([[':status', '200']]), Buffer.alloc(8)),
      ),
    })
    .map(writeFrame)
  const step = fc.tuple(fc.constantFrom<Side>('client', 'server'), frame)
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const watch = greeted()
      for (const [from, octets] of steps) watch.see(from, octets)
      watch.observer.ledger.endAll('client-closed', { by: 'client' })
      for (const { endReason, timings } of watch.exchanges) {
        expect(endReason).toBeDefined()
        expect(timings.endMs).toBeDefined()
      }
      expect(watch.moments.filter((moment) => moment.startsWith('exchangeEnded'))).toHaveLength(watch.exchanges.length)
    }),
    { numRuns: 500 },
  )
})
