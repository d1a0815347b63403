/** How WebSockets end, in every state that they can be in: nothing is left of them, and the record says what happened. */
import { describe, expect, it } from 'vitest'

import type { Fault } from '../../fault.ts'
import * as faults from '../../faults/faults.ts'
import { startMitm } from '../../test-mitm.ts'
import type { TestMitm } from '../../test-mitm.ts'
import { tunnelTo } from '../../testing/clients.ts'
import { wireServer } from '../../testing/servers.ts'
import type { WireServer } from '../../testing/servers.ts'
import type { Wire } from '../../testing/wire.ts'
import { writeClose, writeFrame, writeMessage } from './write.ts'

const UPGRADE =
  'GET /live HTTP/1.1\r\nHost: chat.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
const SWITCHED = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n'

function never(): Promise<undefined> {
  return new Promise(() => undefined)
}

function faulty(fault: Fault): (mitm: TestMitm) => void {
  return (mitm) => void mitm.webSocket('**').fault(fault)
}

/** What touches the socket. */
const TOUCHES: readonly [touch: string, setUp: (mitm: TestMitm) => void][] = [
  ['nothing', () => undefined],
  ['a handler', (mitm) => void mitm.webSocket('**').onMessage(() => undefined)],
  ['a handler that never settles', (mitm) => void mitm.webSocket('**').onMessage(never)],
  ['a mock', (mitm) => void mitm.webSocket('**').mock((socket) => socket.onMessage(() => 'answer'))],
  ['a mock that never settles', (mitm) => void mitm.webSocket('**').mock(never)],
  [
    'a mock whose listener never settles',
    (mitm) => void mitm.webSocket('**').mock((socket) => socket.onMessage(never)),
  ],
  ['a delay', faulty(faults.delayMessage({ ms: 60_000 }))],
  ['a stall', faulty(faults.webSocketStall())],
  ['a stall towards the server', faulty(faults.webSocketStall({ side: 'server' }))],
  ['a message that is held', faulty(faults.reorderMessages({ side: 'server' }))],
]

/** What has passed before the end. */
const STATES: readonly [state: string, octets: (from: 'client' | 'server') => Buffer][] = [
  ['before anything', () => Buffer.alloc(0)],
  ['behind a message', (from) => writeMessage(from, 'text', Buffer.from('hello'))],
  ['within the head of a frame', (from) => writeMessage(from, 'binary', Buffer.alloc(300)).subarray(0, 3)],
  ['within a frame', (from) => writeMessage(from, 'text', Buffer.alloc(300, 'x')).subarray(0, 100)],
  [
    'within a message',
    (from) => writeFrame({ opcode: 1, payload: Buffer.from('x'), isFinal: false, isMasked: from === 'client' }),
  ],
  ['behind a close frame', (from) => writeClose(from, 1000, '')],
  ['behind an invalid frame', () => Buffer.from([0xff, 0xff, 1, 2, 3])],
]

interface Open extends AsyncDisposable {
  readonly mitm: TestMitm
  readonly client: Wire
  /** Undefined with a mock. */
  readonly server: Wire | undefined
}

async function open(setUp: (mitm: TestMitm) => void): Promise<Open> {
  const origin: WireServer = await wireServer()
  const mitm = await startMitm()
  setUp(mitm)
  const isMocked = mitm.rules.some(({ decides }) => decides)
  const client = await tunnelTo(mitm, origin.authority)
  client.write(UPGRADE)
  const server = isMocked ? undefined : await origin.next()
  await server?.until('\r\n\r\n')
  server?.write(SWITCHED)
  await client.until('\r\n\r\n')
  return {
    mitm,
    client,
    server,
    async [Symbol.asyncDispose]() {
      await mitm.close()
      await origin[Symbol.asyncDispose]()
    },
  }
}

async function expectOver({ mitm }: Open): Promise<void> {
  await expect.poll(() => mitm.connections[0]?.endedAt, { timeout: 5000 }).toBeDefined()
  const [exchange] = mitm.exchanges
  expect(exchange?.endReason).toBe('upgraded')
  expect(exchange?.webSocket?.closeCode).toBeDefined()
  expect(exchange?.webSocket?.closedBy).toBeDefined()
  expect(mitm.errors).toEqual([])
}

describe.each(TOUCHES)('with %s', (_, setUp) => {
  it.each(STATES)('a client that resets %s leaves nothing', async (_state, octets) => {
    await using socket = await open(setUp)
    socket.client.write(octets('client'))
    socket.client.reset()
    if (socket.server) expect(await socket.server.ended).toBe('reset')
    await expectOver(socket)
  })

  it.each(STATES)('a client that ends %s leaves nothing', async (_state, octets) => {
    await using socket = await open(setUp)
    socket.client.end(octets('client'))
    if (socket.server) {
      expect(await socket.server.ended).toBe('fin')
      socket.server.end()
    }
    await expectOver(socket)
  })

  it.each(STATES)('a mitm that is closed %s leaves nothing', async (_state, octets) => {
    await using socket = await open(setUp)
    socket.client.write(octets('client'))
    socket.server?.write(octets('server'))
    await socket.mitm.close()
    expect(socket.mitm.exchanges[0]?.endReason).toBeDefined()
    expect(socket.mitm.connections[0]?.endedAt).toBeDefined()
    expect(socket.mitm.rules[0] ?? []).not.toMatchObject({ sockets: [{}] })
  })
})

describe.each(TOUCHES.filter(([touch]) => !touch.includes('mock')))('with %s', (touch, setUp) => {
  it.each(STATES)('a server that resets %s leaves nothing', async (_state, octets) => {
    await using socket = await open(setUp)
    socket.server?.write(octets('server'))
    socket.server?.reset()
    // What holds its messages back holds its end back as well.
    if (touch === 'a stall' || touch === 'a delay') socket.client.reset()
    else expect(await socket.client.ended).toBe('reset')
    await expectOver(socket)
  })
})
