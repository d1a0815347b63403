import { describe, expect, it } from 'vitest'

import type { Fault } from '../fault.ts'
import { startMitm } from '../test-mitm.ts'
import type { TestMitm } from '../test-mitm.ts'
import { tunnelTo } from '../testing/clients.ts'
import { webSocketServer, webSocketThrough } from '../testing/web-sockets.ts'
import type { SocketServer, TestWebSocket } from '../testing/web-sockets.ts'
import * as faults from './faults.ts'

/** What both ends see, when the server says `one`, `two` and `three` and then echoes. */
interface Scene extends AsyncDisposable {
  readonly mitm: TestMitm
  readonly server: SocketServer
  readonly client: TestWebSocket
}

/** A handshake for raw wires. */
function handshake(): string {
  return [
    'GET /live HTTP/1.1',
    'Host: chat.test',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${Buffer.alloc(16).toString('base64')}`,
    '\r\n',
  ].join('\r\n')
}

const DEFLATE = { threshold: 0 }

async function startScene(fault: Fault, { isLate = false, isDeflated = false } = {}): Promise<Scene> {
  const perMessageDeflate = isDeflated && DEFLATE
  const server = await webSocketServer({ perMessageDeflate }, (socket) => {
    socket.on('message', (data, isBinary) => {
      socket.send(data, { binary: isBinary })
    })
  })
  const mitm = await startMitm({ seed: 1 })
  if (!isLate) mitm.when({ host: '127.0.0.1' }).fault(fault)
  const client = await webSocketThrough(mitm, `ws://${server.authority}/`, { perMessageDeflate })
  if (isLate) {
    await client.opened()
    mitm.when({ host: '127.0.0.1' }).fault(fault)
    await new Promise((resolve) => setImmediate(resolve))
  }
  return {
    mitm,
    server,
    client,
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]()
      await mitm.close()
      await server[Symbol.asyncDispose]()
    },
  }
}

function actedOn(mitm: TestMitm): readonly (readonly string[])[] {
  return [
    mitm.exchanges[0]?.faults.map(({ name }) => name) ?? [],
    mitm.connections[0]?.faults.map(({ name }) => name) ?? [],
  ]
}

const ENDS: readonly [fault: Fault, client: string, serverSees: string][] = [
  [faults.webSocketClose(1000), 'close 1000', 'close 1000'],
  [faults.webSocketClose(1011, { reason: 'broken' }), 'close 1011 broken', 'close 1011 broken'],
  [faults.webSocketClose(), 'close 1005', 'close 1005'],
  [faults.webSocketClose(4999), 'close 4999', 'close 4999'],
  [faults.webSocketClose(1001, { side: 'server' }), 'close 1001', 'close 1001'],
  [faults.webSocketDrop(), 'close 1006', 'close 1006'],
  [faults.webSocketDrop({ within: 'message' }), 'close 1006', 'close 1006'],
  [faults.webSocketDrop({ within: 'frame' }), 'close 1006', 'close 1006'],
  [faults.webSocketDrop({ within: 'frame', side: 'server' }), 'close 1006', 'close 1006'],
  [faults.webSocketDrop({ reset: true }), 'close 1006', 'close 1006'],
]

describe.each(ENDS)('$text', (fault, clientSees, serverSees) => {
  it.each([
    ['before the first message', false, false],
    ['added late', true, false],
    ['compressed', false, true],
  ])('ends the socket (%s)', async (_, isLate, isDeflated) => {
    await using scene = await startScene(fault, { isLate, isDeflated })
    await scene.client.until(clientSees)
    await expect.poll(() => scene.server.seen[0]).toContain(serverSees)
    expect(actedOn(scene.mitm)).toEqual([[fault.name], [fault.name]])
    await expect.poll(() => scene.mitm.exchanges[0]?.endReason).toBeDefined()
    expect(scene.mitm.exchanges[0]?.webSocket?.closedBy).toBe('rule')
    expect(scene.mitm.exchanges[0]?.endReason).toBe(fault.name === 'webSocketDrop' ? 'fault' : 'upgraded')
    await expect.poll(() => scene.mitm.connections[0]?.endReason).toBeDefined()
    expect(scene.mitm.errors).toEqual([])
  })

  it('waits for so many messages', async () => {
    const [part] = fault.parts
    if (part?.stage !== 'webSocket') throw new TypeError('not a fault of sockets')
    const later: Fault = { ...fault, parts: [{ ...part, afterMessages: 2 }] }
    await using scene = await startScene(later)
    await scene.client.opened()
    scene.client.send('one')
    await scene.client.until('one')
    scene.client.send('two')
    const seen = await scene.client.until(clientSees)
    expect(seen.filter((event) => !event.startsWith('error'))).toEqual(
      fault.name === 'webSocketDrop' && part.side === 'server' ? ['one', clientSees] : ['one', 'two', clientSees],
    )
  })
})

// What `ws` says of it, as a client and as a server.
const ILLEGAL: readonly [kind: faults.WebSocketFrameFlaw, client: string, server: string][] = [
  ['mask', 'WS_ERR_UNEXPECTED_MASK', 'WS_ERR_EXPECTED_MASK'],
  ['rsv1', 'WS_ERR_UNEXPECTED_RSV_1', 'WS_ERR_UNEXPECTED_RSV_1'],
  ['rsv2', 'WS_ERR_UNEXPECTED_RSV_2_3', 'WS_ERR_UNEXPECTED_RSV_2_3'],
  ['rsv3', 'WS_ERR_UNEXPECTED_RSV_2_3', 'WS_ERR_UNEXPECTED_RSV_2_3'],
  ['opcode3', 'WS_ERR_INVALID_OPCODE', 'WS_ERR_INVALID_OPCODE'],
  ['opcode11', 'WS_ERR_INVALID_OPCODE', 'WS_ERR_INVALID_OPCODE'],
  ['badUtf8', 'WS_ERR_INVALID_UTF8', 'WS_ERR_INVALID_UTF8'],
  ['longPing', 'WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH', 'WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH'],
  ['fragmentedPing', 'WS_ERR_EXPECTED_FIN', 'WS_ERR_EXPECTED_FIN'],
  ['strayContinuation', 'WS_ERR_INVALID_OPCODE', 'WS_ERR_INVALID_OPCODE'],
  ['interleavedText', 'WS_ERR_INVALID_OPCODE', 'WS_ERR_INVALID_OPCODE'],
  ['hugeLength', 'WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH', 'WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH'],
  ['close1005', 'WS_ERR_INVALID_CLOSE_CODE', 'WS_ERR_INVALID_CLOSE_CODE'],
  ['close1006', 'WS_ERR_INVALID_CLOSE_CODE', 'WS_ERR_INVALID_CLOSE_CODE'],
  ['close1015', 'WS_ERR_INVALID_CLOSE_CODE', 'WS_ERR_INVALID_CLOSE_CODE'],
  ['close2999', 'WS_ERR_INVALID_CLOSE_CODE', 'WS_ERR_INVALID_CLOSE_CODE'],
  ['closeOneByte', 'WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH', 'WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH'],
  ['closeBadUtf8', 'WS_ERR_INVALID_UTF8', 'WS_ERR_INVALID_UTF8'],
]

describe.each(ILLEGAL)('webSocketIllegalFrame(%j)', (kind, clientCode, serverCode) => {
  it('fails the connection at the client', async () => {
    await using scene = await startScene(faults.webSocketIllegalFrame(kind, { afterMessages: 1 }))
    await scene.client.opened()
    scene.client.send('one')
    await scene.client.until('close 1006')
    expect(scene.client.seen).toEqual(['one', `error ${clientCode}`, 'close 1006'])
    await expect.poll(() => scene.mitm.exchanges[0]?.endReason).toBe('upgraded')
    expect(actedOn(scene.mitm)).toEqual([['webSocketIllegalFrame'], ['webSocketIllegalFrame']])
    expect(scene.mitm.errors).toEqual([])
  })

  it('fails the connection at the server', async () => {
    await using scene = await startScene(faults.webSocketIllegalFrame(kind, { side: 'server' }), { isLate: true })
    await expect.poll(() => scene.server.seen[0]).toContain(`error ${serverCode}`)
    await scene.client.until(1)
    await expect.poll(() => scene.mitm.exchanges[0]?.endReason).toBe('upgraded')
  })
})

const HANDSHAKES: readonly [how: number | faults.WebSocketHandshakeFlaw, error: string][] = [
  [403, 'Unexpected server response: 403'],
  [200, 'Unexpected server response: 200'],
  ['badAccept', 'Invalid Sec-WebSocket-Accept header'],
  ['missingAccept', 'Invalid Sec-WebSocket-Accept header'],
  ['subprotocol', 'Server sent a subprotocol but none was requested'],
  ['extension', 'Server sent a Sec-WebSocket-Extensions header but no extension was requested'],
  ['upgrade', 'Invalid Upgrade header'],
  ['close', 'ECONNRESET'],
  ['reset', 'ECONNRESET'],
]

describe('webSocketHandshake()', () => {
  it.each(HANDSHAKES)('%j never opens, and leaves other requests alone', async (how, error) => {
    await using scene = await startScene(faults.webSocketHandshake(how))
    expect(await scene.client.until(2)).toEqual([`error ${error}`, 'close 1006'])
    expect((await scene.mitm.fetch(`http://${scene.server.authority}/`)).status).toBe(200)
    expect(scene.mitm.exchanges.map((exchange) => exchange.faults.length)).toEqual([1, 0])
    expect(scene.mitm.rules[0]?.calls).toBe(1)
    expect(scene.mitm.errors).toEqual([])
  })

  it('"stall" keeps it connecting until it is removed', async () => {
    await using scene = await startScene(faults.webSocketHandshake('stall'))
    await expect.poll(() => scene.mitm.exchanges[0]?.isStalled).toBe(true)
    expect(scene.client.readyState).toBe(scene.client.CONNECTING)
    scene.mitm.rules[0]?.remove()
    await scene.client.opened()
    expect(scene.client.seen).toEqual([])
  })
})

describe('webSocketStall()', () => {
  it.each([false, true])('holds what comes until it is removed (compressed: %s)', async (isDeflated) => {
    await using scene = await startScene(faults.webSocketStall({ afterMessages: 1 }), { isDeflated })
    await scene.client.opened()
    scene.client.send('one')
    await scene.client.until('one')
    scene.client.send('two')
    scene.client.ping('ping')
    await expect.poll(() => scene.server.seen[0]).toEqual(['one', 'two', 'ping ping'])
    expect(scene.client.seen).toEqual(['one'])
    expect(actedOn(scene.mitm)).toEqual([['webSocketStall'], ['webSocketStall']])
    scene.mitm.rules[0]?.remove()
    expect(await scene.client.until(3)).toEqual(['one', 'two', 'pong ping'])
  })

  it('added late, holds at once, and ends with a client that leaves', async () => {
    await using scene = await startScene(faults.webSocketStall({ side: 'server' }), { isLate: true })
    scene.client.send('never')
    scene.client.close(1000)
    await expect.poll(() => scene.mitm.exchanges[0]?.connection.bytes.fromClient).toBeGreaterThan(200)
    expect(scene.server.seen[0]).toEqual([])
    scene.client.terminate()
    await expect.poll(() => scene.mitm.connections[0]?.endReason).toBe('client-closed')
    await expect.poll(() => scene.server.seen[0]).toContain('close 1006')
  })

  it('with a close frame leaves the connection open behind it', async () => {
    await using server = await webSocketServer()
    await using mitm = await startMitm()
    mitm.webSocket('**').fault(faults.webSocketStall({ close: 1001 }))
    const client = await tunnelTo(mitm, server.authority)
    client.write(handshake())
    await client.until('\r\n\r\n')
    expect(await client.take(4)).toEqual(Buffer.from([0x88, 2, 0x03, 0xe9]))
    client.write(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9]))
    await expect.poll(() => mitm.exchanges[0]?.webSocket?.wasClean).toBe(true)
    server.sockets[0]?.send('nobody hears this')
    await mitm.waitForMessage('**', ({ outcome }) => outcome === 'dropped')
    expect(server.seen).toEqual([[]])
    expect(client.buffered.length).toBe(0)
    expect(mitm.exchanges[0]?.endReason).toBeUndefined()
    client.end()
    await expect.poll(() => server.seen[0]).toEqual(['close 1006'])
  })
})

const MESSAGES: readonly [fault: Fault, seen: readonly string[]][] = [
  [faults.dropMessage({ afterMessages: 1, count: 1 }), ['one', 'three', 'four']],
  [faults.duplicateMessage({ count: 1 }), ['one', 'one', 'two', 'three', 'four']],
  [faults.reorderMessages(), ['two', 'one', 'four', 'three']],
  [faults.reorderMessages({ afterMessages: 1, count: 1 }), ['one', 'three', 'two', 'four']],
  [faults.corruptMessage({ count: 1 }), ['o', 'two', 'three', 'four']],
  [faults.corruptMessage({ flaw: 'garble' }), ['eno', 'owt', 'eerht', 'ruof']],
  [faults.corruptMessage({ flaw: 'empty', afterMessages: 3 }), ['one', 'two', 'three', '']],
  [faults.injectMessage({ data: 'zero' }), ['zero', 'one', 'two', 'three', 'four']],
  [faults.injectMessage({ data: Buffer.from([9]), afterMessages: 2 }), ['one', 'two', '<09>', 'three', 'four']],
  [faults.delayMessage({ ms: 20 }), ['one', 'two', 'three', 'four']],
  [faults.dropMessage({ side: 'server', count: 2 }), ['three', 'four']],
  [faults.duplicateMessage({ side: 'server', afterMessages: 3 }), ['one', 'two', 'three', 'four', 'four']],
]

describe.each(MESSAGES)('$text', (fault, expected) => {
  it.each([
    ['from the beginning', false, false],
    ['added late', true, false],
    ['compressed', false, true],
    ['compressed, added late', true, true],
  ])('changes messages (%s)', async (_, isLate, isDeflated) => {
    await using scene = await startScene(fault, { isLate, isDeflated })
    await scene.client.opened()
    for (const text of ['one', 'two', 'three', 'four']) scene.client.send(text)
    await scene.client.until(expected.length)
    scene.client.close(1000)
    await scene.client.until('close 1000')
    expect(scene.client.seen.slice(0, -1)).toEqual(expected)
    expect(actedOn(scene.mitm)).toEqual([[fault.name], [fault.name]])
    const delivered = scene.mitm.exchanges[0]?.webSocket?.fromServer.filter(({ outcome }) => outcome !== 'dropped')
    expect(
      delivered
        ?.map(({ kind, octets }) => (kind === 'text' ? String(octets) : `<${octets.toString('hex')}>`))
        .toSorted(),
    ).toEqual(expected.toSorted())
    expect(scene.mitm.errors).toEqual([])
  })
})

describe('faults of messages', () => {
  it('are drawn from the seed', async () => {
    const seen: string[][] = []
    for (let run = 0; run < 2; run++) {
      await using scene = await startScene(faults.dropMessage({ probability: 0.5 }))
      await scene.client.opened()
      for (let at = 0; at < 40; at++) scene.client.send(String(at))
      scene.client.close(1000)
      await scene.client.until('close 1000')
      seen.push([...scene.client.seen])
    }
    expect(seen[0]).toEqual(seen[1])
    expect(seen[0]?.length).toBeGreaterThan(8)
    expect(seen[0]?.length).toBeLessThan(33)
  })

  it('delay from when a message came, and all goes on when they are removed', async () => {
    await using scene = await startScene(faults.delayMessage({ ms: 60_000 }))
    await scene.client.opened()
    scene.client.send('one')
    scene.client.send('two')
    await expect.poll(() => scene.mitm.exchanges[0]?.webSocket?.fromServer.length).toBe(1)
    expect(scene.client.seen).toEqual([])
    scene.mitm.rules[0]?.remove()
    expect(await scene.client.until(2)).toEqual(['one', 'two'])
  })

  it('give back what they hold when they are removed', async () => {
    await using scene = await startScene(faults.reorderMessages())
    await scene.client.opened()
    scene.client.send('one')
    await expect.poll(() => scene.mitm.exchanges[0]?.webSocket?.fromServer[0]?.outcome).toBe('held')
    scene.mitm.rules[0]?.remove()
    expect(await scene.client.until(1)).toEqual(['one'])
    await expect.poll(() => scene.mitm.exchanges[0]?.webSocket?.fromServer[0]?.outcome).toBe('passed')
  })

  it('act on a mock, too', async () => {
    await using mitm = await startMitm()
    mitm
      .webSocket('ws://nowhere.test/')
      .mock((socket) => {
        for (const text of ['one', 'two', 'three']) socket.send(text)
      })
      .fault(faults.webSocketClose(1013, { afterMessages: 2 }))
    await using client = await webSocketThrough(mitm, 'ws://nowhere.test/')
    expect(await client.until('close 1013')).toEqual(['one', 'two', 'close 1013'])
    await expect.poll(() => mitm.exchanges[0]?.endReason).toBe('upgraded')
    expect(mitm.exchanges[0]?.messages.map(({ outcome }) => outcome)).toEqual(['sent', 'sent', 'dropped'])
  })
})

it.each([
  ['latency', faults.latency({ ms: 30 })],
  ['slicer', faults.slicer({ averageSize: 2 })],
  ['bandwidth', faults.bandwidth({ kbps: 1000 })],
])('%s acts on the octets of a socket', async (name, fault) => {
  await using scene = await startScene(fault)
  await scene.client.opened()
  scene.client.send('hello')
  expect(await scene.client.until(1)).toEqual(['hello'])
  expect(actedOn(scene.mitm)[0]).toEqual([name])
})

it('resetPeer() behind so many octets cuts a frame', async () => {
  await using scene = await startScene(faults.resetPeer({ afterBytes: 4 }))
  await scene.client.opened()
  scene.client.send('hello')
  await scene.client.until('close 1006')
  await expect.poll(() => scene.mitm.exchanges[0]?.endReason).toBe('fault')
})
