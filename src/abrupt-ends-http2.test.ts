/** Ends in the states of HTTP/2, relayed, and taken apart where the end of the server is that of the connection. */
import { describe, expect, it } from 'vitest'

import { writeData, writeHeaders, writePing, writeSettings } from './protocols/http2/frame-write.ts'
import { ERROR_CODE, PREFACE, SETTING } from './protocols/http2/frame.ts'
import { writeFieldBlock } from './protocols/http2/hpack-encode.ts'
import { writeMessage } from './protocols/websocket/write.ts'
import { casesOf, expectedLine, expectedOf, HOWS, walk } from './testing/abrupt-ends.ts'
import type { AbruptEnd, How, Stage, State } from './testing/abrupt-ends.ts'
import { arrive, beginHeaders, cutHead, secured, session } from './testing/http2-sessions.ts'
import type { Passage, Session } from './testing/http2-sessions.ts'

const PASSAGES: readonly Passage[] = [
  { name: 'relayed', door: 'socks5', mode: 'relay' },
  { name: 'relayed in TLS', door: 'connect-tls', mode: 'relay' },
  { name: 'bridged', door: 'connect', mode: 'bridge' },
  { name: 'bridged in TLS', door: 'socks5-tls', mode: 'bridge' },
]

type Comes = Required<State['comes']>

/**
 * What comes of each end, with what the other side hears of it: the connection ends in the same way.
 *
 * @param exchanges - How they end; `*` is the way of the connection.
 * @param canSay - Whether a frame can be sent, or one is under way.
 */
function comesOf(exchanges = '', canSay: 'frames' | 'nothing' = 'frames'): Comes {
  const of = (who: 'client' | 'server'): [string, string, string, string] => {
    const line = (how: string, heard: string): string => {
      const reason = `${who}-${how}`
      return `${reason}${exchanges && ` / ${exchanges.replaceAll('*', reason)}`} > ${heard}`
    }
    const [fin, reset] = [line('closed', 'fin'), line('reset', 'reset')]
    const goAway = canSay === 'frames' ? line('closed', 'GOAWAY INTERNAL_ERROR oops, fin') : ''
    return [fin, reset, `${fin} or ${reset}`, goAway]
  }
  return { client: of('client'), server: of('server') }
}

/** What either side may begin to say at any time. */
const PART_OF_PING = writePing(Buffer.alloc(8)).subarray(0, 12)

const CONNECTION_ONLY = comesOf('', 'nothing')

/** What comes of a WebSocket (RFC 6455 section 7.1.5: 1006 where nobody closed it). */
const UPGRADED: Comes = {
  client: comesOf('complete, upgraded 1006 by client').client,
  server: comesOf('complete, upgraded 1006 by server').server,
}

const HEAD_OF_3 = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':authority', 'origin.test'],
  [':path', '/'],
] as const

/** A client that has said something before there is a session, and the server that is asked first. */
async function saying(stage: Stage, passage: Passage, octets: Buffer): Promise<Session['ends']> {
  const enter = async (): Promise<AbruptEnd> => {
    const client = await arrive(stage, passage)
    client.wire.write(octets)
    return client
  }
  const [client, server] = await Promise.all([enter(), stage.accept()])
  return { client, server }
}

/** Two streams: one waits for its response, of the other the request is not whole. */
async function waiting(stage: Stage, passage: Passage): Promise<Session> {
  const all = await session(stage, passage)
  all.client.ask(3).ask(5, false)
  await all.server.hear('END 3')
  await all.server.hear('HEADERS 5')
  return all
}

/** A stream whose response has begun. */
async function answered(stage: Stage, passage: Passage): Promise<Session> {
  const all = await session(stage, passage)
  all.client.ask(3)
  await all.server.hear('END 3')
  all.server.respond(3)
  await all.client.hear('HEADERS 3')
  return all
}

/** A WebSocket, open. */
async function webSocket(stage: Stage, passage: Passage): Promise<Session> {
  const all = await session(stage, passage, [[SETTING.enableConnectProtocol, 1]])
  all.client.headers(3, [
    [':method', 'CONNECT'],
    [':protocol', 'websocket'],
    [':scheme', 'http'],
    [':path', '/live'],
    [':authority', 'origin.test'],
    ['sec-websocket-version', '13'],
  ])
  await all.server.hear('HEADERS 3')
  all.server.respond(3)
  await all.client.hear('HEADERS 3')
  return all
}

function statesOf(passage: Passage): readonly State[] {
  const secure = passage.door.endsWith('tls')
  const states: readonly State[] = [
    {
      name: 'in the preface',
      reach: (stage) => saying(stage, passage, PREFACE.subarray(0, 10)),
      partial: 'P/2.0',
      comes: secure
        ? // Octets and a reset that come together look like an end.
          { ...CONNECTION_ONLY, client: ['client-closed > fin', 'client-reset > reset or client-closed > fin'] }
        : {
            // Before there is a session it is an error, too.
            client: ['client-closed > fin', 'client-reset MITM_CLIENT_RESET > reset'],
            server: ['server-closed > fin', 'server-reset MITM_SERVER_RESET > reset'],
          },
    },
    {
      name: 'behind the preface',
      async reach(stage) {
        const ends = await saying(stage, passage, PREFACE)
        ends.server.wire.write(writeSettings())
        await ends.server.wire.take(PREFACE.length)
        return ends
      },
      partial: writeSettings([[1, 2]]).subarray(0, 5),
      comes: CONNECTION_ONLY,
    },
    {
      name: 'with SETTINGS of the client, and none of the server',
      async reach(stage) {
        const ends = await saying(stage, passage, Buffer.concat([PREFACE, writeSettings()]))
        await ends.server.wire.take(PREFACE.length)
        return ends
      },
      partial: writeSettings([[1, 2]]).subarray(0, 11),
      comes: CONNECTION_ONLY,
    },
    {
      name: 'between exchanges',
      reach: async (stage) => (await session(stage, passage)).ends,
      partial: PART_OF_PING,
      comes: comesOf('complete'),
    },
    {
      name: 'in the head of a frame of the client',
      async reach(stage) {
        const { ends, client } = await waiting(stage, passage)
        client.send(writeData(5, Buffer.alloc(20)).subarray(0, 5))
        return ends
      },
      partial: Buffer.alloc(2),
      comes: comesOf('complete, *, *', 'nothing'),
    },
    {
      name: 'in HEADERS of the client',
      async reach(stage) {
        const { ends, client } = await session(stage, passage)
        client.send(writeHeaders(3, writeFieldBlock(HEAD_OF_3)).subarray(0, 20))
        return ends
      },
      comes: comesOf('complete', 'nothing'),
    },
    {
      name: 'between HEADERS and CONTINUATION of the client',
      async reach(stage) {
        const { ends, client, server } = await session(stage, passage)
        client.send(beginHeaders(3, HEAD_OF_3))
        // A bridge waits for the rest.
        if (passage.mode === 'relay') await server.hear('HEADERS 3')
        return ends
      },
      partial: Buffer.from([0, 0, 1, 9, 4]),
      comes: comesOf('complete', 'nothing'),
    },
    {
      name: 'in DATA of the client',
      async reach(stage) {
        const { ends, client, server } = await waiting(stage, passage)
        client.data(5, 'some')
        await server.hear('DATA 5 4')
        client.send(writeData(5, Buffer.alloc(20)).subarray(0, 15))
        return ends
      },
      comes: comesOf('complete, *, *', 'nothing'),
    },
    {
      name: 'with requests that wait for responses',
      reach: async (stage) => (await waiting(stage, passage)).ends,
      partial: PART_OF_PING,
      comes: comesOf('complete, *, *'),
    },
    {
      name: 'in HEADERS of the server',
      async reach(stage) {
        const { ends, server } = await waiting(stage, passage)
        server.send(cutHead(3))
        return ends
      },
      comes: comesOf('complete, *, *', 'nothing'),
    },
    {
      name: 'between HEADERS and CONTINUATION of the server',
      async reach(stage) {
        const { ends, client, server } = await waiting(stage, passage)
        server.send(beginHeaders(3, [[':status', '200']]))
        if (passage.mode === 'relay') await client.hear('HEADERS 3')
        return ends
      },
      comes: comesOf('complete, *, *', 'nothing'),
    },
    {
      name: 'in a response',
      async reach(stage) {
        const { ends, client, server } = await answered(stage, passage)
        server.data(3, 'some')
        await client.hear('DATA 3 4')
        return ends
      },
      partial: PART_OF_PING,
      comes: comesOf('complete, *'),
    },
    {
      name: 'in DATA of the server',
      async reach(stage) {
        const { ends, server } = await answered(stage, passage)
        server.send(writeData(3, Buffer.alloc(20)).subarray(0, 15))
        return ends
      },
      comes: comesOf('complete, *', 'nothing'),
    },
    {
      name: 'with several responses under way',
      async reach(stage) {
        const { ends, client, server } = await session(stage, passage)
        for (const id of [3, 5, 7, 9, 11]) client.ask(id)
        await server.hear('END 11')
        for (const id of [11, 3, 7]) server.respond(id).data(id, 'some')
        for (const id of [11, 3, 7]) await client.hear(`DATA ${id} 4`)
        return ends
      },
      comes: comesOf('complete, *, *, *, *, *'),
    },
    {
      name: 'behind a whole response to a request that is not whole',
      async reach(stage) {
        const { ends, client, server } = await session(stage, passage)
        client.ask(3, false)
        await server.hear('HEADERS 3')
        server.respond(3, 204, true)
        await client.hear('END 3')
        return ends
      },
      comes: comesOf('complete, *'),
    },
    {
      name: 'behind RST_STREAM of the client, with another stream open',
      async reach(stage) {
        const { ends, client, server } = await waiting(stage, passage)
        client.reset(3, ERROR_CODE.cancel)
        await server.hear('RST_STREAM 3 CANCEL')
        return ends
      },
      comes: comesOf('complete, client-reset, *'),
    },
    {
      name: 'behind RST_STREAM of the server, with another stream open',
      async reach(stage) {
        const { ends, client, server } = await waiting(stage, passage)
        server.reset(5, ERROR_CODE.internalError)
        await client.hear('RST_STREAM 5 INTERNAL_ERROR')
        return ends
      },
      comes: comesOf('complete, *, server-reset'),
    },
    {
      name: 'behind GOAWAY of the server, with a stream open',
      async reach(stage) {
        const { ends, client, server } = await session(stage, passage)
        client.ask(3)
        await server.hear('END 3')
        server.goAway(3).respond(3)
        await client.hear('GOAWAY 3 NO_ERROR')
        await client.hear('HEADERS 3')
        return ends
      },
      comes: comesOf('complete, *', 'nothing'),
    },
    {
      name: 'behind GOAWAY of the client, with a stream open',
      async reach(stage) {
        const { ends, client, server } = await session(stage, passage)
        client.ask(3)
        await server.hear('END 3')
        client.goAway(0)
        await server.hear('GOAWAY 0 NO_ERROR')
        server.respond(3)
        await client.hear('HEADERS 3')
        return ends
      },
      comes: comesOf('complete, *', 'nothing'),
    },
    {
      name: 'in a WebSocket',
      async reach(stage) {
        const { ends, client, server } = await webSocket(stage, passage)
        client.data(3, writeMessage('client', 'text', Buffer.from('hello')))
        await server.hear('DATA 3 11')
        return ends
      },
      comes: UPGRADED,
    },
    {
      name: 'in a message of a WebSocket',
      async reach(stage) {
        const { ends, client, server } = await webSocket(stage, passage)
        const part = writeMessage('server', 'text', Buffer.from('cut in the middle')).subarray(0, 9)
        server.data(3, part)
        await client.hear('DATA 3 9')
        return ends
      },
      comes: UPGRADED,
    },
    {
      name: 'in the handshake of a WebSocket',
      async reach(stage) {
        const { ends, client, server } = await session(stage, passage, [[SETTING.enableConnectProtocol, 1]])
        client.headers(3, [[':method', 'CONNECT'], [':protocol', 'websocket'], ...HEAD_OF_3.slice(1)])
        await server.hear('HEADERS 3')
        return ends
      },
      comes: comesOf('complete, *'),
    },
  ]
  return states.map((state) => ({ ...state, ...secured(passage), name: `${passage.name}, ${state.name}` }))
}

/** What is heard, without what is left to either end: how octets are cut into frames, and which stream is the last. */
function plain(seen: string): string {
  return seen.replaceAll(/DATA \d+ \d+, /g, '').replaceAll(/GOAWAY \d+/g, 'GOAWAY')
}

const ALL: readonly How[] = [...HOWS, 'by GOAWAY and a FIN']

describe.each(casesOf(PASSAGES.flatMap(statesOf)).map((each) => [each.name, each.who, each] as const))(
  '%s: the %s ends',
  (_, __, each) => {
    it.each(ALL.filter((how) => expectedOf(each, how).join('') !== ''))('%s', async (how) => {
      const { text, seen, left, uncaught } = await walk(each, how)
      const line = `${text} > ${plain(seen)}`
      expect(line).toBe(expectedLine(each, how, line))
      expect({ left, uncaught }).toEqual({ left: [], uncaught: [] })
    })
  },
)
