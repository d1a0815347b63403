/** Ends in the states of WebSockets. */
import { describe, expect, it } from 'vitest'

import * as faults from './faults/faults.ts'
import { acceptKey } from './protocols/websocket/handshake.ts'
import { writeClose, writeMessage } from './protocols/websocket/write.ts'
import { casesOf, expectedOf, HOWS, until, walk } from './testing/abrupt-ends.ts'
import type { AbruptEnd, Stage, State } from './testing/abrupt-ends.ts'
import type { Door } from './testing/doors.ts'

type Both = { readonly client: AbruptEnd; readonly server: AbruptEnd }

const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
const HANDSHAKE = [
  'GET /live HTTP/1.1',
  'Host: origin.test',
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  `Sec-WebSocket-Key: ${KEY}`,
  '\r\n',
].join('\r\n')
const SWITCHED = `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${acceptKey(KEY)}\r\n\r\n`

async function asking(stage: Stage, door: Door): Promise<Both> {
  const enter = async (): Promise<AbruptEnd> => {
    const client = await stage.enter(door)
    client.wire.write(HANDSHAKE)
    return client
  }
  const [client, server] = await Promise.all([enter(), stage.accept()])
  await server.wire.until('\r\n\r\n')
  return { client, server }
}

async function open(stage: Stage, door: Door): Promise<Both> {
  const ends = await asking(stage, door)
  ends.server.wire.write(SWITCHED)
  await ends.client.wire.until('\r\n\r\n')
  return ends
}

function message(from: 'client' | 'server', text = 'hello'): Buffer {
  return writeMessage(from, 'text', Buffer.from(text))
}

/** The same, after a message has passed each way. */
async function talking(stage: Stage, door: Door): Promise<Both> {
  const ends = await open(stage, door)
  ends.client.wire.write(message('client'))
  await ends.server.wire.take(11)
  ends.server.wire.write(message('server'))
  await ends.client.wire.take(7)
  return ends
}

/** A client that a rule has answered in place of a server. */
async function mocked(stage: Stage, door: Door): Promise<{ client: AbruptEnd }> {
  const client = await stage.enter(door)
  client.wire.write(HANDSHAKE)
  await client.wire.until('\r\n\r\n')
  return { client }
}

const PARTS = {
  client: message('client', 'cut in the middle').subarray(0, 9),
  server: message('server', 'cut in the middle').subarray(0, 9),
}

/** What comes of each end, with the close code and who closed (RFC 6455 section 7.1.5: 1006 where nobody did). */
function comesOf(closed: string): Required<State['comes']> {
  return {
    client: [`client-closed / upgraded ${closed}`, `client-reset / upgraded ${closed}`],
    server: [`server-closed / upgraded ${closed}`, `server-reset / upgraded ${closed}`],
  }
}

const { client: CLIENT } = comesOf('1006 by client')
const { server: SERVER } = comesOf('1006 by server')
const BOTH: State['comes'] = { client: CLIENT, server: SERVER }
const BY_MITM = 'MITM_IDLE_TIMEOUT / upgraded 1006 by mitm'
/** What is held on purpose comes to no end by itself. */
const HELD = `idle-timeout ${BY_MITM}`

function statesOf(door: Door): readonly State[] {
  const states: readonly State[] = [
    {
      name: 'in the handshake',
      reach: (stage) => asking(stage, door),
      partial: 'HTTP/1.1 1',
      comes: {
        client: ['client-closed / client-closed', 'client-reset / client-reset'],
        server: ['server-closed / server-closed', 'server-reset / server-reset'],
      },
    },
    { name: 'open', reach: (stage) => talking(stage, door), partial: PARTS.server, comes: BOTH },
    {
      name: 'in a frame of the client',
      async reach(stage) {
        const ends = await talking(stage, door)
        ends.client.wire.write(PARTS.client)
        await ends.server.wire.take(9)
        return ends
      },
      comes: BOTH,
    },
    {
      name: 'in a frame of the server',
      async reach(stage) {
        const ends = await talking(stage, door)
        ends.server.wire.write(PARTS.server)
        await ends.client.wire.take(9)
        return ends
      },
      comes: BOTH,
    },
    {
      name: 'closing, by the client',
      async reach(stage) {
        const ends = await talking(stage, door)
        const close = writeClose('client', 1000, '')
        ends.client.wire.write(close)
        await ends.server.wire.take(close.length)
        return ends
      },
      comes: comesOf('1000 by client'),
    },
    {
      name: 'closing, by the server',
      async reach(stage) {
        const ends = await talking(stage, door)
        const close = writeClose('server', 1001, '')
        ends.server.wire.write(close)
        await ends.client.wire.take(close.length)
        return ends
      },
      comes: comesOf('1001 by server'),
    },
    {
      name: 'with messages that a rule reads',
      reach(stage) {
        stage.mitm.webSocket('**').onMessage((each) => each)
        return talking(stage, door)
      },
      comes: BOTH,
    },
    {
      name: 'in a frame that a rule waits for',
      async reach(stage) {
        stage.mitm.webSocket('**').onMessage((each) => each)
        const ends = await talking(stage, door)
        ends.client.wire.write(PARTS.client)
        ends.server.wire.write(PARTS.server)
        return ends
      },
      comes: BOTH,
    },
    {
      name: 'with a message that a rule does not give back',
      async reach(stage) {
        let isHeld = false
        stage.mitm.webSocket('**').onMessage(() => {
          isHeld = true
          return new Promise(() => undefined)
        })
        const ends = await open(stage, door)
        ends.client.wire.write(message('client'))
        await until(() => isHeld)
        return ends
      },
      comes: BOTH,
    },
    {
      name: 'with messages that are late by a fault',
      async reach(stage) {
        stage.mitm.webSocket('**').fault(faults.delayMessage({ ms: 200 }))
        const ends = await open(stage, door)
        ends.server.wire.write(message('server'))
        await until(() => (stage.mitm.exchanges[0]?.faults.length ?? 0) > 0)
        return ends
      },
      comes: BOTH,
    },
    {
      name: 'stalled by a fault',
      async reach(stage) {
        stage.mitm.webSocket('**').fault(faults.webSocketStall())
        const ends = await open(stage, door)
        ends.server.wire.write(message('server'))
        await until(() => (stage.mitm.exchanges[0]?.faults.length ?? 0) > 0)
        return ends
      },
      comes: { client: CLIENT, server: [HELD, HELD] },
    },
    {
      name: 'mocked',
      async reach(stage) {
        stage.mitm.webSocket('**').mock(() => undefined)
        return mocked(stage, door)
      },
      partial: PARTS.client,
      comes: { client: CLIENT },
    },
  ]
  const isSecure = door.endsWith('tls')
  return states.map((state) => ({ ...state, name: `${isSecure ? 'wss' : 'ws'}, ${state.name}`, isSecure }))
}

describe.each(casesOf([...statesOf('socks5'), ...statesOf('connect-tls')]))('$name: the $who ends', (each) => {
  it.each(HOWS)('%s', async (how) => {
    const { text, left, uncaught } = await walk(each, how)
    expect(expectedOf(each, how)).toContain(text)
    expect({ left, uncaught }).toEqual({ left: [], uncaught: [] })
  })
})
