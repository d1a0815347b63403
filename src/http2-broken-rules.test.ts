/** What becomes of a connection of HTTP/2, taken apart, on which a side breaks the rules of framing (RFC 9113). */
import { describe, expect, it } from 'vitest'

import type { Side } from './errors.ts'
import {
  writeData,
  writeFrame,
  writeHeaders,
  writePing,
  writePushPromise,
  writeReset,
  writeSettings,
  writeWindowUpdate,
} from './protocols/http2/frame-write.ts'
import { FLAG, FRAME, SETTING } from './protocols/http2/frame.ts'
import { writeFieldBlock } from './protocols/http2/hpack-encode.ts'
import { startMitm } from './test-mitm.ts'
import { tunnelTo } from './testing/clients.ts'
import { FramePeer } from './testing/frame-peer.ts'
import { wireServer } from './testing/servers.ts'

const BLOCK = writeFieldBlock([
  [':method', 'GET'],
  [':scheme', 'http'],
  [':authority', 'api.test'],
  [':path', '/'],
])
/** What nobody can decode: an index that there is not. */
const NO_BLOCK = Buffer.from([0xff, 0xff, 0xff, 0xff, 0x07])
const four = (value: number): Buffer => {
  const octets = Buffer.alloc(4)
  octets.writeUInt32BE(value)
  return octets
}
const headers = (streamId: number, flags: number): Buffer =>
  writeFrame({ type: FRAME.headers, flags, streamId, payload: BLOCK })

/** What is against the rules, whoever does it: what is sent, and the code of GOAWAY that it is answered with. */
const OF_BOTH: readonly (readonly [what: string, octets: Buffer, code: string])[] = [
  // Section 4.2 and 6.
  ['a frame that is too long', writeData(3, Buffer.alloc(16_385)), 'FRAME_SIZE_ERROR'],
  ['DATA of the connection', writeData(0, Buffer.alloc(5)), 'PROTOCOL_ERROR'],
  ['DATA of a stream that is not open yet', writeData(99, Buffer.alloc(5)), 'PROTOCOL_ERROR'],
  [
    'padding that is longer than its frame',
    writeFrame({ type: FRAME.data, flags: FLAG.padded, streamId: 3, payload: Buffer.from([200, 1, 2]) }),
    'PROTOCOL_ERROR',
  ],
  ['HEADERS of the connection', headers(0, FLAG.endHeaders), 'PROTOCOL_ERROR'],
  ['RST_STREAM of the connection', writeReset(0, 8), 'PROTOCOL_ERROR'],
  ['RST_STREAM of a stream that is not open yet', writeReset(99, 8), 'PROTOCOL_ERROR'],
  [
    'RST_STREAM of three octets',
    writeFrame({ type: FRAME.reset, streamId: 3, payload: Buffer.alloc(3) }),
    'FRAME_SIZE_ERROR',
  ],
  ['SETTINGS of a stream', writeFrame({ type: FRAME.settings, streamId: 3 }), 'PROTOCOL_ERROR'],
  ['SETTINGS of five octets', writeFrame({ type: FRAME.settings, payload: Buffer.alloc(5) }), 'FRAME_SIZE_ERROR'],
  [
    'an acknowledgement of SETTINGS with something in it',
    writeFrame({ type: FRAME.settings, flags: FLAG.ack, payload: Buffer.alloc(6) }),
    'FRAME_SIZE_ERROR',
  ],
  ['ENABLE_PUSH of 2', writeSettings([[SETTING.enablePush, 2]]), 'PROTOCOL_ERROR'],
  ['a window beyond 2^31-1 in SETTINGS', writeSettings([[SETTING.initialWindowSize, 2 ** 31]]), 'FLOW_CONTROL_ERROR'],
  ['MAX_FRAME_SIZE below 16384', writeSettings([[SETTING.maxFrameSize, 100]]), 'PROTOCOL_ERROR'],
  ['PING of a stream', writeFrame({ type: FRAME.ping, streamId: 3, payload: Buffer.alloc(8) }), 'PROTOCOL_ERROR'],
  ['PING of seven octets', writePing(Buffer.alloc(7)), 'FRAME_SIZE_ERROR'],
  ['GOAWAY of a stream', writeFrame({ type: FRAME.goAway, streamId: 3, payload: Buffer.alloc(8) }), 'PROTOCOL_ERROR'],
  ['GOAWAY of seven octets', writeFrame({ type: FRAME.goAway, payload: Buffer.alloc(7) }), 'FRAME_SIZE_ERROR'],
  ['WINDOW_UPDATE by nothing', writeWindowUpdate(0, 0), 'PROTOCOL_ERROR'],
  ['a window beyond 2^31-1', writeWindowUpdate(0, 2 ** 31 - 1), 'FLOW_CONTROL_ERROR'],
  [
    'WINDOW_UPDATE of three octets',
    writeFrame({ type: FRAME.windowUpdate, payload: Buffer.alloc(3) }),
    'FRAME_SIZE_ERROR',
  ],
  [
    'CONTINUATION behind no HEADERS',
    writeFrame({ type: FRAME.continuation, flags: FLAG.endHeaders, streamId: 3, payload: BLOCK }),
    'PROTOCOL_ERROR',
  ],
]

/** The same, of clients. */
const OF_CLIENT: typeof OF_BOTH = [
  ['fields that cannot be decoded', writeHeaders(5, NO_BLOCK, { endStream: true }), 'COMPRESSION_ERROR'],
  ['another frame within a field block', Buffer.concat([headers(5, 0), writePing(Buffer.alloc(8))]), 'PROTOCOL_ERROR'],
  [
    'CONTINUATION of another stream',
    Buffer.concat([headers(5, 0), writeFrame({ type: FRAME.continuation, flags: FLAG.endHeaders, streamId: 7 })]),
    'PROTOCOL_ERROR',
  ],
  ['a stream with the number of a server', headers(6, FLAG.endHeaders), 'PROTOCOL_ERROR'],
  ['PUSH_PROMISE', writePushPromise(3, 4, BLOCK), 'PROTOCOL_ERROR'],
]

/** The same, of servers. */
const OF_SERVER: typeof OF_BOTH = [
  ['fields that cannot be decoded', writeHeaders(3, NO_BLOCK), 'COMPRESSION_ERROR'],
  ['another frame within a field block', Buffer.concat([headers(3, 0), writePing(Buffer.alloc(8))]), 'PROTOCOL_ERROR'],
  ['a response to what was not asked', writeHeaders(99, writeFieldBlock([[':status', '200']])), 'PROTOCOL_ERROR'],
  ['PUSH_PROMISE, which was refused', writePushPromise(3, 2, BLOCK), 'PROTOCOL_ERROR'],
  ['ENABLE_PUSH of 1', writeSettings([[SETTING.enablePush, 1]]), 'PROTOCOL_ERROR'],
]

/** What is not against the rules, and means nothing. */
const HARMLESS: readonly (readonly [what: string, octets: Buffer])[] = [
  [
    'a frame of a type that nobody knows',
    writeFrame({ type: 0xbe, flags: 0xff, streamId: 3, payload: Buffer.alloc(5) }),
  ],
  ['a setting that nobody knows', writeSettings([[0xbeef, 1]])],
  ['flags that nobody knows', writeFrame({ type: FRAME.windowUpdate, flags: 0xff, payload: four(1) })],
  ['a reserved bit', writeFrame({ type: FRAME.windowUpdate, streamId: 2 ** 31, payload: four(2 ** 31 + 1) })],
  ['PRIORITY', writeFrame({ type: FRAME.priority, streamId: 3, payload: Buffer.from([0, 0, 0, 0, 15]) })],
  ['a window that is made larger', writeWindowUpdate(0, 1000)],
]

interface Played {
  readonly mitm: Awaited<ReturnType<typeof startMitm>>
  readonly client: FramePeer
  readonly server: FramePeer
}

/** Two streams: the response on the third has begun, and nothing of a request is wanted any more. */
async function play(act: (played: Played) => Promise<void>): Promise<void> {
  await using origin = await wireServer()
  await using mitm = await startMitm({ hosts: { 'api.test': origin.authority }, idleTimeoutMs: 1500 })
  // Of no request, but it could be.
  mitm.get('http://api.test/for-nobody').rewriteRequest({ headers: { a: 'b' } })
  const client = new FramePeer(await tunnelTo(mitm, 'api.test:80'), 'client').greet().ask(1)
  const server = new FramePeer(await origin.next(), 'server').greet()
  await server.hear('END 1')
  server.respond(1, 204, true)
  await client.hear('END 1')
  client.ask(3, false)
  await server.hear('HEADERS 3')
  server.respond(3)
  await client.hear('HEADERS 3')
  await act({ mitm, client, server })
}

const ENDED = /^(?:fin|reset)$/

describe.each([
  ['client', [...OF_BOTH, ...OF_CLIENT]],
  ['server', [...OF_BOTH, ...OF_SERVER]],
] as const)('a %s that breaks the rules', (side, broken) => {
  it.each(broken)('is told so by GOAWAY, and all that is under way fails: %s', async (_, octets, code) => {
    await play(async ({ mitm, client, server }) => {
      const peers: Readonly<Record<Side, FramePeer>> = { client, server }
      const other = side === 'client' ? server : client
      peers[side].send(octets)
      expect(await peers[side].hear(/^GOAWAY/)).toMatch(new RegExp(`^GOAWAY \\d+ ${code}`))
      await peers[side].hear(ENDED)
      await other.hear(/^(?:fin|reset|RST_STREAM 3 .*)$/)
      client.wire.end()
      server.wire.end()
      await expect.poll(() => mitm.connections[0]?.endedAt).toBeDefined()
      expect(mitm.exchanges.map(({ endReason }) => endReason)).toEqual(['complete', 'failed'])
      expect(mitm.errors.map(({ code: each, side: by }) => `${each} ${by}`)).toContain(`MITM_HTTP2_FAILED ${side}`)
    })
  })
})

describe.each(['client', 'server'] as const)('a %s that says what means nothing', (side) => {
  it.each(HARMLESS)('is passed over: %s', async (_, octets) => {
    await play(async ({ mitm, client, server }) => {
      const peers: Readonly<Record<Side, FramePeer>> = { client, server }
      peers[side].send(octets)
      client.data(3, 'some', true)
      await server.hear('END 3')
      server.data(3, 'more', true)
      await client.hear('END 3')
      await expect.poll(() => mitm.exchanges[1]?.endReason).toBe('complete')
      expect(mitm.errors).toEqual([])
    })
  })
})
