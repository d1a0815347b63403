/** Ends in the states of HTTP/2 that is taken apart: with servers that come and go by themselves, with rules, without servers. */
import { describe, expect, it } from 'vitest'

import type { Fault } from './fault.ts'
import * as faults from './faults/faults.ts'
import { writePing } from './protocols/http2/frame-write.ts'
import { ERROR_CODE, SETTING } from './protocols/http2/frame.ts'
import { writeMessage } from './protocols/websocket/write.ts'
import { casesOf, expectedLine, expectedOf, HOWS, until, walk } from './testing/abrupt-ends.ts'
import type { AbruptEnd, Ends, How, Stage, State } from './testing/abrupt-ends.ts'
import { FramePeer } from './testing/frame-peer.ts'
import { beginHeaders, cutHead, greeted, secured, session } from './testing/http2-sessions.ts'
import type { Passage, Session } from './testing/http2-sessions.ts'
import type { Wire } from './testing/wire.ts'

const LATE: Passage = { name: 'with a server of HTTP/2', door: 'connect-tls', mode: 'late bridge' }
const HTTP1: Passage = { ...LATE, name: 'with a server of HTTP/1.1', serverAlpn: ['http/1.1'] }
const ALONE: Passage = { name: 'without a server', door: 'connect', mode: 'late bridge' }
const CLEAR: Passage = { name: 'with a rule', door: 'connect', mode: 'bridge' }

type Row = readonly [fin: string, reset: string, midst?: string, goAway?: string]

/**
 * What comes of an end of the client.
 *
 * @param exchanges - How they end; `*` is the way of the connection.
 * @param seen - What the server sees; `*` is the end of the connection as the client made it.
 */
function ofClient(exchanges: string, seen = '*', goAway = seen): Row {
  const line = (how: 'closed' | 'reset', heard: string): string =>
    `client-${how} / ${exchanges.replaceAll('*', `client-${how}`)} > ${heard.replaceAll('*', how === 'closed' ? 'fin' : 'reset')}`
  const [fin, reset] = [line('closed', seen), line('reset', seen)]
  return [fin, reset, `${fin} or ${reset}`, line('closed', goAway)]
}

/**
 * What comes of an end of the server, which is that of its exchanges only: the client leaves when it has heard of them.
 *
 * @param exchanges - How they end, with what the client hears.
 * @param count - How many exchanges have an error by it.
 * @param isKnown - Whether all octets before a reset have been read, so that it is known for what it is.
 */
function ofServer(exchanges: string, { count = 1, isKnown = true, goAway = true } = {}): Row {
  const line = (code: string): string => `client-closed${` ${code}`.repeat(count)} / ${exchanges}`
  const [closed, reset] = [line('MITM_SERVER_CLOSED'), line('MITM_SERVER_RESET')]
  return [closed, isKnown ? reset : `${reset} or ${closed}`, `${closed} or ${reset}`, goAway ? closed : '']
}

/** A server that was asked first takes the connection with it. */
function ofOnlyServer(): Row {
  const [fin, reset] = ['server-closed / server-closed > fin', 'server-reset / server-reset > reset']
  return [fin, reset, `${fin} or ${reset}`, 'server-closed / server-closed > GOAWAY INTERNAL_ERROR oops, fin']
}

const NOT_CONNECTED: Row = [
  'client-closed MITM_SERVER_TLS_FAILED / complete > HEADERS 1, END 1, fin',
  'client-closed MITM_SERVER_TLS_FAILED / complete > HEADERS 1, END 1, fin',
]

const WITHOUT_GOAWAY = { goAway: false, isKnown: false }
const ANSWERED = 'complete, complete > HEADERS 3, END 3, fin'
const BROKEN = 'complete, failed > RST_STREAM 3 INTERNAL_ERROR, fin'
/** The error is sent at once; that nothing more is wanted of the request, the client may find out by itself. */
const UPLOADING = 'complete, client-closed > HEADERS 3, END 3, fin'

/** What either side may begin to say at any time. */
const PART_OF_PING = writePing(Buffer.alloc(8)).subarray(0, 12)

const HEAD = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':authority', 'origin.test'],
  [':path', '/'],
] as const
const OK = 'HTTP/1.1 200 OK\r\n'

/** One stream that waits for its response. */
async function waiting(stage: Stage): Promise<Session> {
  const all = await session(stage, LATE)
  all.client.ask(3)
  await all.server.hear('END 3')
  return { ...all, ends: { ...all.ends, isOver: () => all.client.hear(/^(?:END|RST_STREAM) 3/) } }
}

/** The same with the beginning of the response. */
async function answered(stage: Stage): Promise<Session> {
  const all = await waiting(stage)
  all.server.respond(3).data(3, 'some')
  await all.client.hear('DATA 3 4')
  return all
}

const WITH_HTTP2: readonly State[] = [
  {
    name: 'while it is being connected',
    async reach(stage) {
      const { end, client } = await greeted(stage, LATE)
      client.ask(1)
      // It accepts, and does not answer the TLS hello.
      const server = await stage.acceptRaw()
      await until(() => server.wire.buffered.length > 0)
      return { client: end, server, heard: { client: client.heard }, isOver: () => client.hear('END 1') }
    },
    comes: { client: ofClient('*'), server: NOT_CONNECTED },
  },
  {
    name: 'between exchanges',
    async reach(stage) {
      const { ends, client } = await session(stage, LATE)
      // A client that hears nothing of the end of its server asks for something else.
      const isOver = async (): Promise<unknown> => {
        await until(() => ends.server.wire.socket.destroyed)
        client.wire.end()
        return undefined
      }
      return { ...ends, isOver }
    },
    partial: PART_OF_PING,
    comes: { client: ofClient('complete'), server: ofServer('complete > fin', { count: 0 }) },
  },
  {
    name: 'waiting for a response',
    reach: async (stage) => (await waiting(stage)).ends,
    comes: { client: ofClient('complete, *'), server: ofServer(ANSWERED) },
  },
  {
    name: 'in HEADERS of the server',
    async reach(stage) {
      const { ends, server } = await waiting(stage)
      server.send(cutHead(3))
      return ends
    },
    comes: { client: ofClient('complete, *'), server: ofServer(ANSWERED, WITHOUT_GOAWAY) },
  },
  {
    name: 'between HEADERS and CONTINUATION of the server',
    async reach(stage) {
      const { ends, server } = await waiting(stage)
      server.send(beginHeaders(3, [[':status', '200']]))
      return ends
    },
    comes: { client: ofClient('complete, *'), server: ofServer(ANSWERED, WITHOUT_GOAWAY) },
  },
  {
    name: 'in a response',
    reach: async (stage) => (await answered(stage)).ends,
    partial: PART_OF_PING,
    comes: { client: ofClient('complete, *'), server: ofServer(BROKEN) },
  },
  {
    name: 'in a response that a rule waits for, to change it',
    async reach(stage) {
      stage.mitm
        .get('**/')
        .rewriteResponse(() => ({}))
        .after(1)
      const { ends, server } = await waiting(stage)
      server.respond(3).data(3, 'some')
      await until(() => stage.mitm.exchanges[1]?.serverResponse?.bodySize === 4)
      return ends
    },
    comes: { client: ofClient('complete, *'), server: ofServer(ANSWERED) },
  },
  {
    name: 'in an upload',
    async reach(stage) {
      const { ends, client, server } = await session(stage, LATE)
      client.ask(3, false).data(3, 'some')
      await server.hear('DATA 3 4')
      return { ...ends, isOver: () => client.hear(/^(?:END|RST_STREAM) 3/) }
    },
    partial: PART_OF_PING,
    comes: { client: ofClient('complete, *'), server: ofServer(UPLOADING) },
  },
  {
    name: 'with several streams',
    async reach(stage) {
      const { ends, client, server } = await session(stage, LATE)
      client.ask(3).ask(5, false).ask(7)
      await server.hear('END 7')
      server.respond(7).data(7, 'some')
      await client.hear('DATA 7 4')
      const isOver = async (): Promise<unknown> =>
        await Promise.all([3, 5, 7].map((id) => client.hear(new RegExp(`^(?:END|RST_STREAM) ${id}`))))
      return { ...ends, isOver }
    },
    comes: {
      client: ofClient('complete, *, *, *'),
      server: ofServer(
        'complete, complete, client-closed, failed > HEADERS 3, HEADERS 5, RST_STREAM 7 INTERNAL_ERROR, END 3, END 5, fin',
        { count: 3 },
      ),
    },
  },
]

/** A client of HTTP/2, and the server of HTTP/1.1 that has its request. */
async function http1(
  stage: Stage,
  isWhole = true,
): Promise<{ readonly ends: Ends; readonly client: FramePeer; readonly server: Wire }> {
  const { end, client } = await greeted(stage, HTTP1)
  client.ask(1, isWhole)
  const server = await stage.accept()
  await server.wire.until('\r\n\r\n')
  const ends = {
    client: end,
    server,
    heard: { client: client.heard },
    isOver: () => client.hear(/^(?:END|RST_STREAM) 1/),
  }
  return { ends, client, server: server.wire }
}

const ANSWERED_1 = 'complete > HEADERS 1, END 1, fin'
const BROKEN_1 = 'failed > RST_STREAM 1 INTERNAL_ERROR, fin'
const WITH_HTTP1: readonly State[] = [
  {
    name: 'waiting for a response',
    reach: async (stage) => (await http1(stage)).ends,
    partial: 'H',
    comes: { client: ofClient('*'), server: ofServer(ANSWERED_1, WITHOUT_GOAWAY) },
  },
  {
    name: 'in the head of a response',
    async reach(stage) {
      const { ends, server } = await http1(stage)
      server.write(`${OK}Content-Le`)
      return ends
    },
    partial: 'ngth',
    comes: { client: ofClient('*'), server: ofServer(ANSWERED_1, WITHOUT_GOAWAY) },
  },
  ...['Content-Length: 100\r\n\r\nsome', 'Transfer-Encoding: chunked\r\n\r\n64\r\nsome'].map((rest): State => ({
    name: `in a body, ${rest.slice(0, rest.indexOf('\r'))}`,
    async reach(stage) {
      const { ends, client, server } = await http1(stage)
      server.write(`${OK}${rest}`)
      await client.hear('DATA 1 4')
      return ends
    },
    comes: { client: ofClient('*'), server: ofServer(BROKEN_1, { goAway: false }) },
  })),
  {
    name: 'in the size of a chunk',
    async reach(stage) {
      const { ends, client, server } = await http1(stage)
      server.write(`${OK}Transfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n6`)
      await client.hear('DATA 1 4')
      return ends
    },
    partial: '4',
    comes: { client: ofClient('*'), server: ofServer(BROKEN_1, WITHOUT_GOAWAY) },
  },
  {
    name: 'in a body that goes on until the end',
    async reach(stage) {
      const { ends, client, server } = await http1(stage)
      server.write(`${OK}\r\nsome`)
      await client.hear('DATA 1 4')
      return ends
    },
    comes: {
      client: ofClient('*'),
      server: ['client-closed / complete > END 1, fin', `client-closed MITM_SERVER_RESET / ${BROKEN_1}`],
    },
  },
  {
    name: 'in an upload',
    async reach(stage) {
      const { ends, client, server } = await http1(stage, false)
      client.data(1, 'some')
      await server.until('some\r\n')
      return ends
    },
    partial: 'H',
    comes: { client: ofClient('*'), server: ofServer('client-closed > HEADERS 1, END 1, fin', { goAway: false }) },
  },
  {
    name: 'with several streams, each on a connection',
    async reach(stage) {
      const { ends, client } = await http1(stage)
      client.ask(3)
      const other = await stage.accept()
      await other.wire.until('\r\n\r\n')
      other.wire.write(`${OK}Content-Length: 100\r\n\r\nsome`)
      await client.hear('DATA 3 4')
      const isOver = async (): Promise<unknown> => {
        await client.hear('END 1')
        return undefined
      }
      return { ...ends, isOver }
    },
    partial: 'H',
    // The other stream knows nothing of it.
    comes: {
      client: ofClient('*, *'),
      server: ofServer('complete, client-closed > HEADERS 1, END 1, fin', { goAway: false }),
    },
  },
  {
    name: 'behind RST_STREAM of the client',
    async reach(stage) {
      const { ends, client } = await http1(stage)
      client.reset(1, ERROR_CODE.cancel)
      await ends.server?.wire.ended
      return ends
    },
    comes: { client: ofClient('client-reset', 'reset') },
  },
]

const WITHOUT_SERVER: readonly State[] = [
  {
    name: 'held by a rule',
    async reach(stage) {
      stage.mitm.when('**').delay(60_000).respond(200)
      const { end, client } = await greeted(stage, ALONE)
      client.ask(1).ask(3)
      await until(() => stage.mitm.exchanges.length === 2)
      return { client: end }
    },
    comes: { client: ofClient('*, *', 'nothing') },
  },
  {
    name: 'held by a function of a rule',
    async reach(stage) {
      let isAsked = false
      stage.mitm.when('**').respond(() => {
        isAsked = true
        return new Promise<{ status: number }>(() => undefined)
      })
      const { end, client } = await greeted(stage, ALONE)
      client.ask(1)
      await until(() => isAsked)
      return { client: end }
    },
    comes: { client: ofClient('*', 'nothing') },
  },
  {
    name: 'in the body of a request that a rule waits for',
    async reach(stage) {
      stage.mitm.when('**').respond(200)
      const { end, client } = await greeted(stage, ALONE)
      client.ask(1, false).data(1, 'some')
      await until(() => (stage.mitm.exchanges[0]?.request.bodySize ?? 0) > 0)
      return { client: end }
    },
    partial: PART_OF_PING,
    comes: { client: ofClient('*', 'nothing') },
  },
  {
    name: 'answered by a rule with a stream that does not end',
    async reach(stage) {
      stage.mitm.when('**').respond(200, endless())
      const { end, client } = await greeted(stage, ALONE)
      client.ask(1)
      await client.hear(/^DATA 1/)
      return { client: end }
    },
    comes: { client: ofClient('*', 'nothing') },
  },
  {
    name: 'answered by a rule with events that go on',
    async reach(stage) {
      stage.mitm.when('**').sse(['one'], { keepOpen: true })
      const { end, client } = await greeted(stage, ALONE)
      client.ask(1)
      await client.hear(/^DATA 1/)
      return { client: end }
    },
    comes: { client: ofClient('*', 'nothing') },
  },
]

/** What a server that was asked first hears of GOAWAY. */
const SAID = 'GOAWAY INTERNAL_ERROR oops, fin'

const WITH_RULES: readonly State[] = [
  {
    name: 'that stalls a response by a fault',
    async reach(stage) {
      const { ends, server } = await faulty(stage, faults.stall({ afterBytes: 2 }))
      server.respond(1).data(1, 'some')
      await until(() => stage.mitm.exchanges[0]?.isStalled === true)
      return ends
    },
    comes: { client: ofClient('*', '*', SAID), server: ofOnlyServer() },
  },
  {
    name: 'that makes a response late by a fault',
    async reach(stage) {
      const { ends, client, server } = await faulty(stage, faults.latency({ ms: 300 }))
      server.respond(1)
      await client.hear('HEADERS 1')
      server.data(1, 'some')
      return ends
    },
    comes: { client: ofClient('*', '*', SAID), server: ofOnlyServer() },
  },
  {
    name: 'that mocks a WebSocket',
    async reach(stage) {
      const { ends, client } = await session(stage, CLEAR, [[SETTING.enableConnectProtocol, 1]])
      stage.mitm.webSocket('**').mock(() => undefined)
      client.headers(3, [[':method', 'CONNECT'], [':protocol', 'websocket'], ...HEAD.slice(1)])
      await client.hear('HEADERS 3')
      return ends
    },
    comes: { client: ofClient('complete, upgraded 1006 by client', '*', SAID) },
  },
  {
    name: 'that does not give a message of a WebSocket back',
    async reach(stage) {
      let isHeld = false
      stage.mitm.webSocket('**').onMessage(() => {
        isHeld = true
        return new Promise(() => undefined)
      })
      const { ends, client, server } = await session(stage, CLEAR, [[SETTING.enableConnectProtocol, 1]])
      client.headers(3, [[':method', 'CONNECT'], [':protocol', 'websocket'], ...HEAD.slice(1)])
      await server.hear('HEADERS 3')
      server.respond(3)
      await client.hear('HEADERS 3')
      client.data(3, writeMessage('client', 'text', Buffer.from('hello')))
      await until(() => isHeld)
      return ends
    },
    comes: { client: ofClient('complete, upgraded 1006 by client', '*', SAID) },
  },
]

/** The first exchange, with a fault. */
async function faulty(stage: Stage, fault: Fault): Promise<Session> {
  stage.mitm.when('**').fault(fault)
  const [{ end, client }, serverEnd] = await Promise.all([asking(stage), stage.accept()])
  const server = new FramePeer(serverEnd.wire, 'server').greet()
  await server.hear('END 1')
  const heard = { client: client.heard, server: server.heard }
  return { ends: { client: end, server: serverEnd, heard }, client, server }
}

async function asking(stage: Stage): Promise<{ readonly end: AbruptEnd; readonly client: FramePeer }> {
  const one = await greeted(stage, CLEAR)
  one.client.ask(1)
  return one
}

async function* endless(): AsyncGenerator<string> {
  for (;;) {
    yield 'tick'
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

function named(passage: Passage, states: readonly State[]): readonly State[] {
  return states.map((state) => ({ ...secured(passage), ...state, name: `${passage.name}, ${state.name}` }))
}

/** What is heard, without what is left to either end: how octets are cut into frames, and which stream is the last. */
function plain(seen: string): string {
  return seen.replaceAll(/DATA \d+ \d+(?:, |$)/g, '').replaceAll(/GOAWAY \d+/g, 'GOAWAY')
}

const ALL: readonly How[] = [...HOWS, 'by GOAWAY and a FIN']
const STATES = [
  ...named(LATE, WITH_HTTP2),
  ...named(HTTP1, WITH_HTTP1),
  ...named(ALONE, WITHOUT_SERVER),
  ...named(CLEAR, WITH_RULES),
]

describe.each(casesOf(STATES).map((each) => [each.name, each.who, each] as const))('%s: the %s ends', (_, __, each) => {
  it.each(ALL.filter((how) => expectedOf(each, how).join('') !== ''))('%s', async (how) => {
    const { text, seen, left, uncaught } = await walk(each, how)
    const line = `${text} > ${plain(seen)}`
    expect(line).toBe(expectedLine(each, how, line))
    expect({ left, uncaught }).toEqual({ left: [], uncaught: [] })
  })
})
