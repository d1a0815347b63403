/** Ends in the states of HTTP/1 exchanges. */
import { describe, expect, it } from 'vitest'

import * as faults from './faults/faults.ts'
import { casesOf, expectedOf, HOWS, until, walk } from './testing/abrupt-ends.ts'
import type { AbruptEnd, Stage, State } from './testing/abrupt-ends.ts'

type Both = { readonly client: AbruptEnd; readonly server: AbruptEnd }

interface Way {
  readonly name: string
  readonly isSecure: boolean
  /** The target of a request. */
  readonly target: string
  enter(stage: Stage): Promise<AbruptEnd>
}

const WAYS: readonly Way[] = [
  {
    name: 'a proxied request',
    isSecure: false,
    target: 'http://origin.test/a',
    enter: (stage) => stage.dial(),
  },
  { name: 'HTTPS', isSecure: true, target: '/a', enter: (stage) => stage.enter('connect-tls') },
]

/** A client that has sent octets, and the server to which they are relayed. */
async function sent(stage: Stage, way: Way, octets: string): Promise<Both> {
  const [client, server] = await Promise.all([saying(stage, way, octets), stage.accept()])
  return { client, server }
}

/** A client that has sent octets. */
async function saying(stage: Stage, way: Way, octets: string): Promise<AbruptEnd> {
  const client = await way.enter(stage)
  client.wire.write(octets)
  return client
}

/** Both, with a whole request. */
async function asked(stage: Stage, way: Way, request = get(way)): Promise<Both> {
  const ends = await sent(stage, way, request)
  await ends.server.wire.until('\r\n\r\n')
  return ends
}

/** The same, with what the server answers, up to a text that the client has got. */
async function answered(stage: Stage, way: Way, response: string, upTo = response.slice(-4)): Promise<Both> {
  const ends = await asked(stage, way)
  ends.server.wire.write(response)
  await ends.client.wire.until(upTo)
  return ends
}

/** A client that has sent the beginning of a request, to a mitm that needs no server for it yet. */
async function begun(stage: Stage, way: Way): Promise<{ client: AbruptEnd }> {
  const client = await saying(stage, way, post(way, 'Content-Length: 100', 'some'))
  await until(() => (stage.mitm.exchanges[0]?.request.bodySize ?? 0) > 0)
  return { client }
}

/** A client that has sent a request, which is held. */
async function held(stage: Stage, way: Way): Promise<{ client: AbruptEnd }> {
  const client = await saying(stage, way, get(way))
  await until(() => stage.mitm.exchanges.length === 1)
  return { client }
}

function get({ target }: Way): string {
  return `GET ${target} HTTP/1.1\r\nHost: origin.test\r\n\r\n`
}

function post({ target }: Way, fields: string, body: string): string {
  return `POST ${target} HTTP/1.1\r\nHost: origin.test\r\n${fields}\r\n\r\n${body}`
}

const OK = 'HTTP/1.1 200 OK\r\n'
const SOME = `${OK}Content-Length: 100\r\n\r\nsome`
const UPGRADE = 'Connection: Upgrade\r\nUpgrade: other\r\n\r\n'

const CLIENT = ['client-closed / client-closed', 'client-reset / client-reset'] as const
const SERVER = ['server-closed / server-closed', 'server-reset / server-reset'] as const
const BOTH: State['comes'] = { client: CLIENT, server: SERVER }
const IDLE = 'MITM_IDLE_TIMEOUT'
/** What is held on purpose, or waits behind what is not over yet, comes to no end by itself. */
const HELD = `idle-timeout ${IDLE} / idle-timeout`
/** A body that is whole when the server ends, which it does behind its client. */
const UNTIL_END: State['comes'] = {
  client: ['client-closed / complete', CLIENT[1]],
  server: ['server-closed / complete', SERVER[1]],
}

function statesOf(way: Way): readonly State[] {
  const states: readonly State[] = [
    {
      name: 'in the head of the first request',
      async reach(stage) {
        const part = get(way).slice(0, -10)
        return way.isSecure ? sent(stage, way, part) : { client: await saying(stage, way, part) }
      },
      comes: way.isSecure
        ? { client: ['client-closed', 'client-reset or client-closed'], server: ['server-closed', 'server-reset'] }
        : { client: ['failed MITM_INCOMPLETE_HANDSHAKE', 'client-reset MITM_CLIENT_RESET'] },
    },
    {
      name: 'in the body of a request, by its length',
      reach: (stage) => asked(stage, way, post(way, 'Content-Length: 100', 'some')),
      comes: { client: CLIENT, server: [...SERVER, 'server-closed / opaque'] },
    },
    {
      name: 'in a chunk of a request',
      reach: (stage) => asked(stage, way, post(way, 'Transfer-Encoding: chunked', '64\r\nsome')),
      comes: { client: CLIENT, server: [...SERVER, 'server-closed / opaque'] },
    },
    {
      name: 'waiting for a response',
      reach: (stage) => asked(stage, way),
      partial: 'HTTP/1',
      comes: BOTH,
    },
    {
      name: 'waiting for a response, with another request behind it',
      reach: (stage) => asked(stage, way, get(way).repeat(2)),
      partial: 'HTTP/1',
      comes: {
        client: ['client-closed / client-closed, client-closed', 'client-reset / client-reset, client-reset'],
        server: ['server-closed / server-closed, server-closed', 'server-reset / server-reset, server-reset'],
      },
    },
    {
      name: 'in the head of a response',
      async reach(stage) {
        const ends = await asked(stage, way)
        ends.server.wire.write(`${OK}Content-Le`)
        return ends
      },
      partial: 'ngth',
      comes: BOTH,
    },
    {
      name: 'in the body of a response, by its length',
      reach: (stage) => answered(stage, way, SOME),
      comes: BOTH,
    },
    {
      name: 'in a chunk of a response',
      reach: (stage) => answered(stage, way, `${OK}Transfer-Encoding: chunked\r\n\r\n64\r\nsome`),
      comes: BOTH,
    },
    {
      name: 'in a body that goes on until the end',
      reach: (stage) => answered(stage, way, `${OK}Connection: close\r\n\r\nsome`),
      comes: UNTIL_END,
    },
    {
      name: 'in an event stream',
      reach: (stage) => answered(stage, way, `${OK}Content-Type: text/event-stream\r\n\r\ndata: a\n\n`),
      comes: UNTIL_END,
    },
    {
      name: 'in a response that the client does not read',
      async reach(stage) {
        const ends = await asked(stage, way)
        ends.client.wire.pause()
        ends.server.wire.write(`${OK}Content-Length: 30000000\r\n\r\n`)
        ends.server.wire.write(Buffer.alloc(20_000_000))
        await until(() => (stage.mitm.connections[0]?.bytesFromServer ?? 0) > 100_000)
        return ends
      },
      comes: {
        client: [`client-closed ${IDLE} / idle-timeout`, CLIENT[1]],
        server: [HELD, SERVER[1], `server-closed ${IDLE} / server-closed`],
      },
    },
    {
      name: 'between exchanges',
      async reach(stage) {
        const ends = await answered(stage, way, `${OK}Content-Length: 4\r\n\r\nsome`)
        await until(() => stage.mitm.exchanges[0]?.endReason !== undefined)
        return ends
      },
      partial: 'G',
      comes: {
        client: ['client-closed / complete', 'client-reset / complete'],
        // A proxy client may go on to other servers.
        server: [
          way.isSecure ? 'server-closed / complete' : `idle-timeout ${IDLE} / complete`,
          'server-reset / complete',
          'server-closed / complete',
        ],
      },
    },
    {
      name: 'held by a rule, before a server is asked',
      reach(stage) {
        stage.mitm.when('**').delay(60_000).respond(200)
        return held(stage, way)
      },
      comes: { client: CLIENT },
    },
    {
      name: 'held by a function of a rule',
      reach(stage) {
        stage.mitm.when('**').respond(() => new Promise<{ status: number }>(() => undefined))
        return held(stage, way)
      },
      comes: { client: CLIENT },
    },
    {
      name: 'answered by a rule with a stream that does not end',
      async reach(stage) {
        stage.mitm.when('**').respond(200, endless())
        const client = await saying(stage, way, get(way))
        await client.wire.until('tick')
        return { client }
      },
      comes: { client: CLIENT },
    },
    {
      name: 'a response that a rule waits for, to change it',
      async reach(stage) {
        stage.mitm.when('**').rewriteResponse(() => ({}))
        const ends = await asked(stage, way)
        ends.server.wire.write(SOME)
        await until(() => stage.mitm.exchanges[0]?.serverResponse !== undefined)
        return ends
      },
      comes: { client: [...CLIENT, HELD], server: SERVER },
    },
    {
      name: 'a response that a rule changes while it streams',
      reach(stage) {
        stage.mitm.when('**').transformResponse(() => new TransformStream())
        return answered(stage, way, SOME)
      },
      comes: { client: [...CLIENT, HELD], server: SERVER },
    },
    {
      name: 'a request that a rule waits for, to change it',
      reach(stage) {
        stage.mitm
          .when('**')
          .rewriteRequest({ replace: ['a', 'b'] })
          .forwardTo('http://origin.test')
        return begun(stage, way)
      },
      comes: { client: CLIENT },
    },
    {
      name: 'a request that a rule answers when it is whole',
      reach(stage) {
        stage.mitm.when('**').respond(200)
        return begun(stage, way)
      },
      comes: { client: CLIENT },
    },
    {
      name: 'a request that a fault resets when it is whole',
      reach(stage) {
        stage.mitm.when('**').fault(faults.resetPeer()).forwardTo('http://origin.test')
        return begun(stage, way)
      },
      comes: { client: CLIENT },
    },
    {
      name: 'a response that a fault stalls',
      reach(stage) {
        stage.mitm.when('**').fault(faults.stall({ afterBytes: 2 }))
        return answered(stage, way, SOME, 'so')
      },
      comes: { client: CLIENT, server: [HELD, HELD] },
    },
    {
      name: 'a response that is late by a fault',
      async reach(stage) {
        stage.mitm.when('**').fault(faults.latency({ ms: 300 }))
        const ends = await asked(stage, way)
        ends.server.wire.write(SOME)
        await until(() => stage.mitm.exchanges[0]?.response !== undefined)
        return ends
      },
      comes: { client: [...CLIENT, HELD], server: SERVER },
    },
    {
      name: 'upgraded to another protocol',
      async reach(stage) {
        const ends = await asked(stage, way, `GET ${way.target} HTTP/1.1\r\nHost: origin.test\r\n${UPGRADE}`)
        ends.server.wire.write(`HTTP/1.1 101 Switching\r\n${UPGRADE}hello`)
        await ends.client.wire.until('hello')
        return ends
      },
      comes: {
        client: ['client-closed / upgraded', 'client-reset / upgraded'],
        server: ['server-closed / upgraded', 'server-reset / upgraded'],
      },
    },
    {
      name: 'opaque, as its length is said in two ways',
      async reach(stage) {
        const ends = await sent(stage, way, post(way, 'Content-Length: 4\r\nContent-Length: 5', 'some'))
        await ends.server.wire.until('some')
        return ends
      },
      comes: {
        client: ['client-closed / opaque', 'client-reset / opaque'],
        server: ['server-closed / opaque', 'server-reset / opaque'],
      },
    },
  ]
  return states.map((state) => ({ ...state, name: `${way.name}, ${state.name}`, isSecure: way.isSecure }))
}

async function* endless(): AsyncGenerator<string> {
  for (;;) {
    yield 'tick'
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

describe.each(casesOf(WAYS.flatMap(statesOf)))('$name: the $who ends', (each) => {
  it.each(HOWS)('%s', async (how) => {
    const { text, left, uncaught } = await walk(each, how)
    expect(expectedOf(each, how)).toContain(text)
    expect({ left, uncaught }).toEqual({ left: [], uncaught: [] })
  })
})
