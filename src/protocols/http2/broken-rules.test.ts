import { describe, expect, it } from 'vitest'

import type { Field } from '../../exchange.ts'
import { startMitm } from '../../test-mitm.ts'
import { tunnelTo } from '../../testing/clients.ts'
import { FramePeer } from '../../testing/frame-peer.ts'
import { wireServer } from '../../testing/servers.ts'
import { FLAG, FRAME, PREFACE, SETTING } from './frame.ts'
import { writeFrame, writeHeaders, writePushPromise, writeSettings, writeWindowUpdate } from './frame-write.ts'
import { writeFieldBlock } from './hpack-encode.ts'

const REQUEST: readonly Field[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':authority', 'api.test'],
  [':path', '/'],
]
const OK: readonly Field[] = [[':status', '200']]

interface Bridged {
  readonly client: FramePeer
  readonly server: FramePeer
  /** Why the exchanges of streams behind 1 ended, and by which code. */
  reasons(): readonly unknown[]
  errors(): readonly string[]
}

/** A bridge, and the two endpoints beside it, behind one exchange that has passed. What they hear is noted from there on. */
async function bridged(act: (bridge: Bridged) => Promise<void>): Promise<void> {
  await using origin = await wireServer()
  await using mitm = await startMitm({ hosts: { 'api.test': origin.authority } })
  mitm.get('http://api.test/for-nobody').rewriteRequest({ headers: { a: 'b' } })
  const client = new FramePeer(await tunnelTo(mitm, 'api.test:80'), 'client').greet().ask(1)
  const server = new FramePeer(await origin.next(), 'server').greet([[SETTING.maxHeaderListSize, 65_536]])
  await server.hear('END 1')
  server.respond(1, 204, true)
  await client.hear('END 1')
  client.heard.length = 0
  server.heard.length = 0
  const reasons = (): unknown[] =>
    mitm.exchanges.slice(1).map(({ endReason, http2 }) => `${endReason} ${http2?.resetName}`)
  await act({ client, server, reasons, errors: () => mitm.errors.map(({ code }) => code) })
  client.wire.end()
  server.wire.end()
  await expect.poll(() => mitm.connections[0]?.endedAt).toBeDefined()
}

/** A head without its end. */
function begunHead(streamId: number, fields: readonly Field[]): Buffer {
  const frame = Buffer.from(writeHeaders(streamId, writeFieldBlock(fields)))
  frame.writeUInt8(0, 4)
  return frame
}

/** What no endpoint may send, whichever it is: its name, the error code, and the octets for a stream that is open. */
const BROKEN: readonly (readonly [name: string, code: string, octets: (streamId: number) => Buffer])[] = [
  ['DATA of no stream', 'PROTOCOL_ERROR', () => writeFrame({ type: FRAME.data, payload: Buffer.from('x') })],
  ['DATA on a stream that is not open', 'PROTOCOL_ERROR', () => writeFrame({ type: FRAME.data, streamId: 999 })],
  ['padding longer than its DATA', 'PROTOCOL_ERROR', (streamId) => padded(FRAME.data, streamId)],
  ['HEADERS of no stream', 'PROTOCOL_ERROR', () => writeHeaders(0, writeFieldBlock(REQUEST))],
  ['HEADERS on a stream of the other kind', 'PROTOCOL_ERROR', () => writeHeaders(2, writeFieldBlock(OK))],
  ['padding longer than its HEADERS', 'PROTOCOL_ERROR', (streamId) => padded(FRAME.headers, streamId)],
  ['a field block that cannot be decoded', 'COMPRESSION_ERROR', (id) => writeHeaders(id, Buffer.from([0xff, 0xff]))],
  ['a frame within a field block', 'PROTOCOL_ERROR', (id) => Buffer.concat([begunHead(id, OK), ping(8)])],
  ['CONTINUATION of another stream', 'PROTOCOL_ERROR', (id) => Buffer.concat([begunHead(id, OK), continuation(999)])],
  ['CONTINUATION of nothing', 'PROTOCOL_ERROR', (streamId) => continuation(streamId)],
  ['PRIORITY of no stream', 'PROTOCOL_ERROR', () => writeFrame({ type: FRAME.priority, payload: Buffer.alloc(5) })],
  ['RST_STREAM of no stream', 'PROTOCOL_ERROR', () => writeFrame({ type: FRAME.reset, payload: Buffer.alloc(4) })],
  ['RST_STREAM of a stream that is not open', 'PROTOCOL_ERROR', () => resetOf(999, 4)],
  ['RST_STREAM of 3 octets', 'FRAME_SIZE_ERROR', (streamId) => resetOf(streamId, 3)],
  ['SETTINGS of a stream', 'PROTOCOL_ERROR', (streamId) => writeFrame({ type: FRAME.settings, streamId })],
  ['SETTINGS of 5 octets', 'FRAME_SIZE_ERROR', () => writeFrame({ type: FRAME.settings, payload: Buffer.alloc(5) })],
  ['SETTINGS in an acknowledgement', 'FRAME_SIZE_ERROR', () => acknowledgedSettings()],
  [
    'a window larger than there can be',
    'FLOW_CONTROL_ERROR',
    () => writeSettings([[SETTING.initialWindowSize, 2 ** 31]]),
  ],
  ['frames shorter than there must be', 'PROTOCOL_ERROR', () => writeSettings([[SETTING.maxFrameSize, 100]])],
  ['a switch that is neither on nor off', 'PROTOCOL_ERROR', () => writeSettings([[SETTING.enablePush, 2]])],
  ['PUSH_PROMISE', 'PROTOCOL_ERROR', (streamId) => writePushPromise(streamId, 2, writeFieldBlock(REQUEST))],
  ['PING of 4 octets', 'FRAME_SIZE_ERROR', () => ping(4)],
  ['PING of a stream', 'PROTOCOL_ERROR', (streamId) => ping(8, streamId)],
  ['GOAWAY of 4 octets', 'FRAME_SIZE_ERROR', () => writeFrame({ type: FRAME.goAway, payload: Buffer.alloc(4) })],
  [
    'GOAWAY of a stream',
    'PROTOCOL_ERROR',
    (id) => writeFrame({ type: FRAME.goAway, streamId: id, payload: Buffer.alloc(8) }),
  ],
  ['WINDOW_UPDATE by nothing', 'PROTOCOL_ERROR', () => writeWindowUpdate(0, 0)],
  ['WINDOW_UPDATE beyond the largest window', 'FLOW_CONTROL_ERROR', () => writeWindowUpdate(0, 2 ** 31 - 1)],
  ['WINDOW_UPDATE of a stream that is not open', 'PROTOCOL_ERROR', () => writeWindowUpdate(999, 1)],
  [
    'a frame longer than was allowed',
    'FRAME_SIZE_ERROR',
    (id) => writeFrame({ type: FRAME.data, streamId: id, length: 2 ** 24 - 1 }),
  ],
]

function padded(type: number, streamId: number): Buffer {
  return writeFrame({ type, streamId, flags: FLAG.padded | FLAG.endHeaders, payload: Buffer.from([200, 1, 2]) })
}

function continuation(streamId: number): Buffer {
  return writeFrame({ type: FRAME.continuation, streamId, flags: FLAG.endHeaders, payload: writeFieldBlock(OK) })
}

function resetOf(streamId: number, bytes: number): Buffer {
  return writeFrame({ type: FRAME.reset, streamId, payload: Buffer.alloc(bytes) })
}

function acknowledgedSettings(): Buffer {
  return writeFrame({ type: FRAME.settings, flags: FLAG.ack, payload: Buffer.alloc(6) })
}

function ping(bytes: number, streamId = 0): Buffer {
  return writeFrame({ type: FRAME.ping, streamId, payload: Buffer.alloc(bytes) })
}

describe('what no client may send ends its connection, which is told', () => {
  it.each(BROKEN)('%s: %s', async (_, code, octets) => {
    await bridged(async ({ client, server, reasons, errors }) => {
      client.ask(3, false)
      await server.hear('HEADERS 3')
      client.send(octets(3))
      await client.hear('fin')
      expect(client.heard).toEqual([`GOAWAY 3 ${code}`, 'fin'])
      await server.hear('fin')
      expect(reasons()).toEqual(['failed undefined'])
      expect(errors()).toEqual(['MITM_HTTP2_FAILED'])
    })
  })
})

describe('what no server may send ends its connection, and breaks what is under way', () => {
  it.each(BROKEN)('%s: %s', async (_, code, octets) => {
    await bridged(async ({ client, server, reasons, errors }) => {
      client.ask(3).ask(5)
      await server.hear('END 5')
      server.send(octets(3))
      await server.hear('fin')
      expect(server.heard.slice(-2)).toEqual([`GOAWAY 0 ${code}`, 'fin'])
      await client.hear('fin')
      expect(client.heard).toEqual([`RST_STREAM 3 ${code}`, `RST_STREAM 5 ${code}`, 'fin'])
      expect(reasons()).toEqual([`server-reset ${code}`, `server-reset ${code}`])
      expect(errors()).toEqual([])
    })
  })
})

it('a server that says that it takes pushes breaks the rules, too', async () => {
  await bridged(async ({ client, server }) => {
    client.ask(3)
    await server.hear('END 3')
    server.send(writeSettings([[SETTING.enablePush, 1]]))
    await client.hear('RST_STREAM 3 PROTOCOL_ERROR')
    await server.hear('GOAWAY 0 PROTOCOL_ERROR')
  })
})

const long: Field = ['x-long', 'x'.repeat(70_000)]

describe('a request that is none is refused, and the others pass', () => {
  it.each<[name: string, code: string, fields: readonly Field[]]>([
    ['a name in upper case', 'PROTOCOL_ERROR', [...REQUEST, ['X-Upper', '1']]],
    ['a name that is none', 'PROTOCOL_ERROR', [...REQUEST, ['x y', '1']]],
    ['an end of line in a value', 'PROTOCOL_ERROR', [...REQUEST, ['x-a', '1\r\nx-b: 2']]],
    ['a field about the connection', 'PROTOCOL_ERROR', [...REQUEST, ['connection', 'close']]],
    ['te that is not trailers', 'PROTOCOL_ERROR', [...REQUEST, ['te', 'gzip']]],
    ['no method', 'PROTOCOL_ERROR', REQUEST.slice(1)],
    ['no path', 'PROTOCOL_ERROR', REQUEST.slice(0, 3)],
    ['two methods', 'PROTOCOL_ERROR', [[':method', 'GET'], ...REQUEST]],
    ['a status', 'PROTOCOL_ERROR', [...REQUEST, [':status', '200']]],
    ['a pseudo-field behind others', 'PROTOCOL_ERROR', [['x-a', '1'], ...REQUEST]],
    ['a protocol without CONNECT', 'PROTOCOL_ERROR', [...REQUEST, [':protocol', 'websocket']]],
    ['a CONNECT to nowhere', 'PROTOCOL_ERROR', [[':method', 'CONNECT']]],
    ['more fields than are taken', 'ENHANCE_YOUR_CALM', [...REQUEST, long]],
  ])('%s: %s', async (_, code, fields) => {
    await bridged(async ({ client, server, reasons, errors }) => {
      client.headers(3, fields, true).ask(5)
      // The server has not seen the first.
      await server.hear('END 3')
      server.respond(3, 204, true)
      await client.hear('END 5')
      expect(client.heard).toEqual([`RST_STREAM 3 ${code}`, 'HEADERS 5', 'END 5'])
      expect(server.heard).toEqual(['HEADERS 3', 'END 3'])
      expect(reasons()).toEqual(['complete undefined'])
      expect(errors()).toEqual([])
    })
  })
})

describe('a response that is none breaks its stream, and the others pass', () => {
  it.each<[name: string, fields: readonly Field[]]>([
    ['no status', [['x-a', '1']]],
    ['a status that is none', [[':status', 'OK']]],
    ['a name in upper case', [...OK, ['X-Upper', '1']]],
    ['a field about the connection', [...OK, ['transfer-encoding', 'chunked']]],
    ['a path', [...OK, [':path', '/']]],
    ['an interim one that is the last', [[':status', '103']]],
  ])('%s', async (_, fields) => {
    await bridged(async ({ client, server, reasons }) => {
      client.ask(3).ask(5)
      await server.hear('END 5')
      server.headers(3, fields, true).respond(5, 204, true)
      await client.hear('END 5')
      expect(client.heard).toEqual(['RST_STREAM 3 PROTOCOL_ERROR', 'HEADERS 5', 'END 5'])
      expect(server.heard.slice(-1)).toEqual(['RST_STREAM 3 PROTOCOL_ERROR'])
      expect(reasons()).toEqual(['server-reset PROTOCOL_ERROR', 'complete undefined'])
    })
  })
})

describe('what breaks a stream, and no more', () => {
  it.each<[name: string, code: string, act: (client: FramePeer) => void]>([
    ['content behind the end', 'STREAM_CLOSED', (client) => client.data(3, '', true).data(3, 'x')],
    ['fields behind the end', 'STREAM_CLOSED', (client) => client.data(3, '', true).headers(3, [['a', 'b']], true)],
    ['trailers that are not the end', 'PROTOCOL_ERROR', (client) => client.headers(3, [['a', 'b']])],
    ['trailers with a pseudo-field', 'PROTOCOL_ERROR', (client) => client.headers(3, OK, true)],
    ['a window that grows by nothing', 'PROTOCOL_ERROR', (client) => client.send(writeWindowUpdate(3, 0))],
    ['a window that is too large', 'FLOW_CONTROL_ERROR', (client) => client.send(writeWindowUpdate(3, 2 ** 31 - 1))],
    [
      'more content than there is room for',
      'FLOW_CONTROL_ERROR',
      (client) => {
        // What is not read gives no room back.
        for (let sent = 0; sent < 20; sent++) client.data(3, Buffer.alloc(16_384))
      },
    ],
  ])('%s: %s', async (_, code, act) => {
    await bridged(async ({ client, server, reasons, errors }) => {
      client.ask(3, false)
      await server.hear('HEADERS 3')
      act(client)
      await client.hear(`RST_STREAM 3 ${code}`)
      client.ask(5)
      await server.hear('END 5')
      server.respond(5, 204, true)
      await client.hear('END 5')
      expect(reasons()).toEqual([`client-reset ${code}`, 'complete undefined'])
      expect(errors()).toEqual([])
    })
  })

  it('content of a response before its head: PROTOCOL_ERROR', async () => {
    await bridged(async ({ client, server, reasons }) => {
      client.ask(3)
      await server.hear('END 3')
      server.data(3, 'x')
      await client.hear('RST_STREAM 3 PROTOCOL_ERROR')
      expect(reasons()).toEqual(['server-reset PROTOCOL_ERROR'])
    })
  })
})

it('what means nothing is passed over: frames of streams that are over, PRIORITY, and what nobody knows', async () => {
  await bridged(async ({ client, server, reasons, errors }) => {
    for (const peer of [client, server]) {
      peer.send(writeFrame({ type: 0x42, streamId: 999, flags: 0xff, payload: Buffer.from('grease') }))
      peer.send(writeFrame({ type: FRAME.priority, streamId: 3, payload: Buffer.alloc(5) }))
      peer.send(writeFrame({ type: FRAME.settings, payload: Buffer.from([0xff, 0, 0, 0, 0, 1]) }))
      peer.send(writeWindowUpdate(1, 10)).reset(1, 0).data(1, 'late')
    }
    client.headers(1, REQUEST, true)
    server.headers(1, OK, true)
    client.ask(3)
    await server.hear('END 3')
    server.respond(3, 204, true)
    await client.hear('END 3')
    expect(client.heard).toEqual(['HEADERS 3', 'END 3'])
    expect(server.heard).toEqual(['HEADERS 3', 'END 3'])
    expect(reasons()).toEqual(['complete undefined'])
    expect(errors()).toEqual([])
  })
})

it('a connection begins with SETTINGS, and with nothing else', async () => {
  await using mitm = await startMitm()
  mitm.get('http://api.test/**').json({})
  const wire = await tunnelTo(mitm, 'api.test:80')
  const client = new FramePeer(wire, 'client').send(Buffer.concat([PREFACE, ping(8)]))
  await client.hear('GOAWAY 0 PROTOCOL_ERROR')
  await client.hear('fin')
  expect(mitm.errors.map(({ code }) => code)).toEqual(['MITM_HTTP2_FAILED'])
})
