import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { startMitm } from '../../test-mitm.ts'
import type { TestMitm } from '../../test-mitm.ts'
import { tunnelTo } from '../../testing/clients.ts'
import { wireServer } from '../../testing/servers.ts'
import type { WireServer } from '../../testing/servers.ts'
import { webSocketServer, webSocketThrough } from '../../testing/web-sockets.ts'
import type { Wire } from '../../testing/wire.ts'
import { writeClose, writeFaulty, writeFrame, writeMessage } from './write.ts'

const UPGRADE =
  'GET /live HTTP/1.1\r\nHost: chat.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
const SWITCHED =
  'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: WebSocket\r\n' +
  'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n'

interface Pair extends AsyncDisposable {
  readonly mitm: TestMitm
  readonly client: Wire
  readonly server: Wire
  readonly origin: WireServer
}

/** An open WebSocket, both ends of which are raw. */
async function open(mitmOptions = {}, setUp: (mitm: TestMitm) => void = () => undefined): Promise<Pair> {
  const origin = await wireServer()
  const mitm = await startMitm(mitmOptions)
  setUp(mitm)
  const client = await tunnelTo(mitm, origin.authority)
  client.write(UPGRADE)
  const server = await origin.next()
  await server.until('\r\n\r\n')
  server.write(SWITCHED)
  await client.until('\r\n\r\n')
  return {
    mitm,
    client,
    server,
    origin,
    async [Symbol.asyncDispose]() {
      await mitm.close()
      await origin[Symbol.asyncDispose]()
    },
  }
}

const TEXT = Buffer.from('x')

describe.each([
  ['nobody touches', () => undefined],
  // What a rule looks at is framed anew; what breaks the rules is not.
  ['a rule looks at', (mitm: TestMitm) => void mitm.webSocket('**').onMessage(() => undefined)],
] as const)('of a socket that %s', (_, setUp) => {
  it.each([
    ['mask', { opcode: 1, payload: TEXT, hasWrongMask: true }],
    ['reserved-bit', { opcode: 1, payload: TEXT, reserved: 7 }],
    ['opcode', { opcode: 5, payload: TEXT }],
    ['control-length', { opcode: 10, payload: Buffer.alloc(200, 'p') }],
    ['control-fragment', { opcode: 9, payload: TEXT, isFinal: false }],
    ['continuation', { opcode: 0, payload: TEXT }],
    ['length', { opcode: 2, payload: TEXT, statedLength: 2n ** 64n - 1n }],
  ] as const)('an invalid frame (%s) goes on as it came, and what follows it, both ways', async (problem, frame) => {
    await using pair = await open({}, setUp)
    for (const from of ['client', 'server'] as const) {
      const octets = Buffer.concat([writeFaulty(from, frame), Buffer.from('and what follows')])
      const [sender, receiver] = from === 'client' ? [pair.client, pair.server] : [pair.server, pair.client]
      sender.write(octets)
      expect(await receiver.take(octets.length)).toEqual(octets)
    }
    const found = pair.mitm.exchanges[0]?.webSocket?.invalidFrames
    // What follows is none the better for it.
    const by = found?.filter((each) => each.problem === problem).map(({ from }) => from)
    expect(new Set(by)).toEqual(new Set(['client', 'server']))
    expect(found?.[0]?.opcode).toBe(frame.opcode)
    expect(pair.mitm.errors).toEqual([])
  })

  it('a text that is no UTF-8 goes on as it came', async () => {
    await using pair = await open({}, setUp)
    const octets = writeFrame({ opcode: 1, payload: Buffer.from([0xff, 0xfe]), isMasked: false })
    pair.server.write(octets)
    expect(await pair.client.take(octets.length)).toEqual(octets)
    await pair.mitm.waitForMessage('**')
  })

  it.each(['a FIN', 'a reset'])('%s in the midst of a frame reaches the other side as that', async (how) => {
    await using pair = await open({}, setUp)
    pair.server.write(writeMessage('server', 'text', Buffer.from('whole')))
    await pair.mitm.waitForMessage('**')
    pair.server.write(writeMessage('server', 'binary', Buffer.alloc(1000)).subarray(0, 500))
    await expect.poll(() => pair.mitm.exchanges[0]?.connection.bytes.fromServer).toBe(SWITCHED.length + 7 + 500)
    if (how === 'a FIN') pair.server.end()
    else pair.server.reset()
    expect(await pair.client.ended).toBe(how === 'a FIN' ? 'fin' : 'reset')
    if (how === 'a FIN') pair.client.end()
    await expect.poll(() => pair.mitm.exchanges[0]?.endReason).toBe('upgraded')
    const [exchange] = pair.mitm.exchanges
    expect(exchange?.webSocket).toMatchObject({ closeCode: 1006, closedBy: 'server', wasClean: false })
    expect(exchange?.messages[0]).toMatchObject({ isComplete: true })
    if (how === 'a FIN') expect(exchange?.messages[1]).toMatchObject({ isComplete: false, size: 496 })
  })

  it('a FIN in the midst of a fragmented message reaches the other side behind what there was', async () => {
    await using pair = await open({}, setUp)
    const fragment = writeFrame({ opcode: 1, payload: Buffer.from('begun'), isFinal: false, isMasked: false })
    pair.server.write(fragment)
    pair.server.end()
    expect(await pair.client.rest()).toBe(fragment.toString('latin1'))
    expect(await pair.client.ended).toBe('fin')
  })

  it('control frames in the midst of a message pass', async () => {
    await using pair = await open({}, setUp)
    const frames = [
      writeFrame({ opcode: 1, payload: Buffer.from('one '), isFinal: false, isMasked: false }),
      writeFrame({ opcode: 9, payload: Buffer.from('ping'), isMasked: false }),
      writeFrame({ opcode: 0, payload: Buffer.from('two'), isMasked: false }),
      writeClose('server', 1001, 'going'),
    ]
    for (const frame of frames) pair.server.write(frame)
    const closing = writeClose('server', 1001, 'going').toString('latin1')
    const seen = await pair.client.until(closing)
    expect(seen).toContain('ping')
    const [exchange] = pair.mitm.exchanges
    expect(exchange?.messages.map((message) => message.text())).toEqual(['one two'])
    expect(exchange?.webSocket?.controls.map(({ kind, octets }) => `${kind} ${octets.length}`)).toEqual([
      'ping 4',
      'close 7',
    ])
    expect(exchange?.webSocket).toMatchObject({
      closeCode: 1001,
      closeReason: 'going',
      closedBy: 'server',
      wasClean: false,
    })
  })

  it('an abnormal end is by who ended it', async () => {
    await using pair = await open({}, setUp)
    pair.client.write(writeMessage('client', 'text', Buffer.from('last')))
    pair.client.end()
    expect(await pair.server.ended).toBe('fin')
    pair.server.end()
    await expect.poll(() => pair.mitm.exchanges[0]?.endReason).toBe('upgraded')
    expect(pair.mitm.exchanges[0]?.webSocket).toMatchObject({ closeCode: 1006, closedBy: 'client' })
    expect(pair.mitm.exchanges[0]?.messages.map((message) => message.text())).toEqual(['last'])
  })
})

it('octets of a socket that nobody touches pass exactly, in any cut, whatever they are', async () => {
  await using pair = await open()
  const some = fc.uint8Array({ minLength: 1, maxLength: 300 }).map((bytes) => Buffer.from(bytes))
  await fc.assert(
    fc.asyncProperty(fc.array(some, { minLength: 1, maxLength: 6 }), fc.boolean(), async (pieces, isClient) => {
      const [sender, receiver] = isClient ? [pair.client, pair.server] : [pair.server, pair.client]
      for (const piece of pieces) sender.write(piece)
      const octets = Buffer.concat(pieces)
      expect(await receiver.take(octets.length)).toEqual(octets)
    }),
    { numRuns: 60 },
  )
  expect(pair.mitm.errors).toEqual([])
})

it('something can be sent between the frames of a socket that nobody touches, wherever they are cut', async () => {
  const frames = [
    writeFrame({ opcode: 1, payload: Buffer.from('one '), isFinal: false, isMasked: false }),
    writeFrame({ opcode: 0, payload: Buffer.from('two'), isMasked: false }),
    writeMessage('server', 'text', Buffer.from('three')),
  ]
  const octets = Buffer.concat(frames)
  const inserted = writeMessage('server', 'text', Buffer.from('!'))
  const boundary = (frames[0]?.length ?? 0) + (frames[1]?.length ?? 0)
  for (let at = 1; at < octets.length; at++) {
    await using pair = await open()
    const rule = pair.mitm.webSocket('**')
    const socket = await rule.waitForSocket()
    pair.server.write(octets.subarray(0, at))
    const before = at
    await expect.poll(() => pair.client.buffered.length).toBe(before)
    socket.send('!')
    pair.server.write(octets.subarray(at))
    const place = at <= boundary ? boundary : octets.length
    const expected = Buffer.concat([octets.subarray(0, place), inserted, octets.subarray(place)])
    expect(await pair.client.take(expected.length)).toEqual(expected)
  }
})

it('is recorded anew, with its next message, when a mitm was reset', async () => {
  await using server = await webSocketServer({ perMessageDeflate: { threshold: 0 } })
  await using mitm = await startMitm()
  await using client = await webSocketThrough(mitm, `ws://${server.authority}/`, {
    perMessageDeflate: { threshold: 0 },
  })
  await client.opened()
  client.send('the first of some messages')
  await client.until(1)
  mitm.reset()
  expect(mitm.exchanges).toEqual([])
  client.send('the second of some messages')
  await client.until(2)
  expect(mitm.exchanges).toHaveLength(1)
  expect(mitm.connections).toHaveLength(1)
  expect(mitm.exchanges[0]?.messages.map((message) => message.text())).toEqual([
    'the second of some messages',
    'the second of some messages',
  ])
})

it('tells ordinary middlewares of messages, and keeps none unless they ask', async () => {
  await using server = await webSocketServer()
  const told: string[] = []
  await using mitm = await startMitm({
    maxBodyBytes: 4,
    middlewares: [
      {
        messageReceived: (_, message) => void told.push(String(message)),
        webSocketChanged: ({ webSocket }) => void told.push(`closed ${webSocket?.closeCode}`),
      },
    ],
  })
  await using client = await webSocketThrough(mitm, `ws://${server.authority}/`)
  await client.opened()
  client.send('hello')
  await client.until(1)
  client.close(1000)
  await client.until('close 1000')
  expect(told.slice(0, 3)).toEqual(['client-to-server text "hell"', 'server-to-client text "hell"', 'closed 1000'])
  expect(mitm.exchanges[0]?.messages[0]).toMatchObject({ isTruncated: true, size: 5 })
  expect(() => mitm.exchanges[0]?.messages[0]?.text()).toThrow('of which 4 of 5 octets were kept')
})

it('waits for messages', async () => {
  await using server = await webSocketServer()
  await using mitm = await startMitm()
  await using client = await webSocketThrough(mitm, `ws://${server.authority}/live`)
  await client.opened()
  const waited = mitm.waitForMessage('**/live', (message) => message.from === 'server' && message.text() === '{"a":1}')
  client.send('{"a":1}')
  expect((await waited).json()).toEqual({ a: 1 })
  await expect(mitm.waitForMessage('**/live', ({ kind }) => kind === 'binary', { timeoutMs: 1 })).rejects.toThrow(
    /^Waited for a message of \*\*\/live .*: none in 1 ms; 2 others came in 1 WebSockets \[MITM_WAIT_TIMEOUT\]$/,
  )
})
