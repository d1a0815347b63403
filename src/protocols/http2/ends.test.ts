import { describe, expect, it } from 'vitest'

import { startMitm } from '../../test-mitm.ts'
import { socksTo, tunnelTo } from '../../testing/clients.ts'
import { FramePeer } from '../../testing/frame-peer.ts'
import { wireServer } from '../../testing/servers.ts'
import { ERROR_CODE } from './frame.ts'

/** In which mode HTTP/2 passes, and by which door. */
const ROWS = [
  { mode: 'relayed', door: 'CONNECT' },
  { mode: 'bridged', door: 'SOCKS5' },
] as const

/** Lines by what they are of: a stream, the session, or the connection. What they say across those has no order. */
function grouped(lines: readonly string[]): Readonly<Record<string, readonly string[]>> {
  const groups: Record<string, string[]> = {}
  for (const line of lines) {
    const of = /^(?:HEADERS|DATA|END|RST_STREAM) (\d+)/.exec(line)?.[1] ?? line.split(' ')[0] ?? ''
    const group = (groups[of] ??= [])
    // Nor has how octets are cut into frames.
    const before = /^DATA \d+ (\d+)$/.exec(group.at(-1) ?? '')
    const size = /^DATA \d+ (\d+)$/.exec(line)
    if (before && size) group[group.length - 1] = `DATA ${of} ${Number(before[1]) + Number(size[1])}`
    else group.push(line)
  }
  return groups
}

/** What is played, behind one exchange that has passed. */
interface Scenario {
  readonly act: (client: FramePeer, server: FramePeer) => Promise<void> | void
  /** What the client hears. */
  readonly atClient: readonly string[]
  /** What the server hears. */
  readonly atServer: readonly string[]
  /** How the exchanges end; undefined: it is told in other words by either mode. */
  readonly reasons: readonly string[] | undefined
}

const END = /^(?:fin|reset|closed)$/

/** Two requests, which the server has. */
const askTwice = async (client: FramePeer, server: FramePeer): Promise<void> => {
  client.ask(3).ask(5)
  await server.hear('END 5')
}
const asked = ['HEADERS 3', 'END 3', 'HEADERS 5', 'END 5']

/** The same, of which the first one is being answered. */
const begin = async (client: FramePeer, server: FramePeer): Promise<void> => {
  await askTwice(client, server)
  server.respond(3).data(3, 'some')
  await client.hear('DATA 3 4')
}
const begun = ['HEADERS 3', 'DATA 3 4']

const scenarios: Readonly<Record<string, Scenario>> = {
  'GOAWAY of the server, then the rest of its responses': {
    act: async (client, server) => {
      await askTwice(client, server)
      server.goAway(5, ERROR_CODE.noError, 'soon').respond(3).respond(5)
      server.data(3, 'one', true).data(5, 'two', true)
      await client.hear('END 3')
      await client.hear('END 5')
      server.wire.end()
    },
    atClient: ['GOAWAY 5 NO_ERROR soon', 'HEADERS 3', 'HEADERS 5', 'DATA 3 3', 'END 3', 'DATA 5 3', 'END 5', 'fin'],
    atServer: [...asked, 'fin'],
    reasons: ['complete', 'complete'],
  },
  'GOAWAY of the server with an error, then the rest of its responses': {
    act: async (client, server) => {
      await begin(client, server)
      server.goAway(5, ERROR_CODE.enhanceYourCalm, 'calm').data(3, ' more', true).respond(5, 204, true)
      await client.hear('END 3')
      await client.hear('END 5')
      server.wire.end()
    },
    atClient: ['GOAWAY 5 ENHANCE_YOUR_CALM calm', 'HEADERS 3', 'DATA 3 9', 'END 3', 'HEADERS 5', 'END 5', 'fin'],
    atServer: [...asked, 'fin'],
    reasons: ['complete', 'complete'],
  },
  'GOAWAY of the server with an error, and its end': {
    act: async (client, server) => {
      await begin(client, server)
      server.goAway(5, ERROR_CODE.internalError, 'oops').wire.end()
    },
    atClient: [...begun, 'GOAWAY 5 INTERNAL_ERROR oops', 'fin'],
    atServer: [...asked, 'fin'],
    reasons: ['server-closed', 'server-closed'],
  },
  'GOAWAY of the server before the end of a graceful shutdown': {
    act: async (client, server) => {
      await askTwice(client, server)
      server.goAway(2 ** 31 - 1)
      await client.hear('GOAWAY 2147483647 NO_ERROR')
      client.ask(7)
      await server.hear('END 7')
      server.goAway(7).respond(3, 204, true).respond(5, 204, true).respond(7, 204, true)
      for (const id of [3, 5, 7]) await client.hear(`END ${id}`)
      server.wire.end()
    },
    atClient: [
      'GOAWAY 2147483647 NO_ERROR',
      'GOAWAY 7 NO_ERROR',
      ...[3, 5, 7].flatMap((id) => [`HEADERS ${id}`, `END ${id}`]),
      'fin',
    ],
    atServer: [...asked, 'HEADERS 7', 'END 7', 'fin'],
    reasons: ['complete', 'complete', 'complete'],
  },
  'an end of the server right behind a whole response': {
    act: async (client, server) => {
      await begin(client, server)
      server.data(3, Buffer.alloc(10_000), true).respond(5).data(5, 'two', true).wire.end()
    },
    atClient: ['HEADERS 3', 'DATA 3 10004', 'END 3', 'HEADERS 5', 'DATA 5 3', 'END 5', 'fin'],
    atServer: [...asked, 'fin'],
    reasons: ['complete', 'complete'],
  },
  'an end of the server while idle': {
    act: (_, server) => server.wire.end(),
    atClient: ['fin'],
    atServer: ['fin'],
    reasons: [],
  },
  'an end of the server in a response': {
    act: async (client, server) => {
      await begin(client, server)
      server.wire.end()
    },
    atClient: [...begun, 'fin'],
    atServer: [...asked, 'fin'],
    reasons: ['server-closed', 'server-closed'],
  },
  'a reset of the server while idle': {
    act: (_, server) => server.wire.reset(),
    atClient: ['reset'],
    atServer: ['closed'],
    reasons: [],
  },
  'a reset of the server in a response': {
    act: async (client, server) => {
      await begin(client, server)
      server.wire.reset()
    },
    atClient: [...begun, 'reset'],
    atServer: [...asked, 'closed'],
    reasons: ['server-reset', 'server-reset'],
  },
  'an end of the client while idle': {
    act: async (client, server) => {
      client.wire.end()
      await server.hear('fin')
      server.wire.end()
    },
    atClient: ['fin'],
    atServer: ['fin'],
    reasons: [],
  },
  'a reset of the client in a response': {
    act: async (client, server) => {
      await begin(client, server)
      client.wire.reset()
    },
    atClient: [...begun, 'closed'],
    atServer: [...asked, 'reset'],
    reasons: ['client-reset', 'client-reset'],
  },
  'a reset of the client in an upload': {
    act: async (client, server) => {
      client.ask(3, false).data(3, 'some')
      await server.hear('DATA 3 4')
      client.wire.reset()
    },
    atClient: ['closed'],
    atServer: ['HEADERS 3', 'DATA 3 4', 'reset'],
    reasons: ['client-reset'],
  },
  'GOAWAY of the client, then the rest of the responses': {
    act: async (client, server) => {
      await begin(client, server)
      client.goAway(0, ERROR_CODE.noError, 'bye')
      await server.hear('GOAWAY 0 NO_ERROR bye')
      server.data(3, ' more', true).respond(5, 204, true)
      await client.hear('END 3')
      await client.hear('END 5')
      client.wire.end()
      await server.hear('fin')
      server.wire.end()
    },
    atClient: ['HEADERS 3', 'DATA 3 9', 'END 3', 'HEADERS 5', 'END 5', 'fin'],
    atServer: [...asked, 'GOAWAY 0 NO_ERROR bye', 'fin'],
    reasons: ['complete', 'complete'],
  },
  'GOAWAY of the client with an error, and its end': {
    act: async (client, server) => {
      await begin(client, server)
      client.goAway(0, ERROR_CODE.protocolError, 'oops')
      await server.hear('GOAWAY 0 PROTOCOL_ERROR oops')
      client.wire.reset()
    },
    atClient: [...begun, 'closed'],
    atServer: [...asked, 'GOAWAY 0 PROTOCOL_ERROR oops', 'reset'],
    reasons: ['client-reset', 'client-reset'],
  },
  'a response, and then that nothing more is wanted of the request': {
    act: async (client, server) => {
      client.ask(3, false).data(3, 'some')
      await server.hear('DATA 3 4')
      server.respond(3, 413).data(3, 'too large', true).reset(3, ERROR_CODE.noError)
      await client.hear('RST_STREAM 3 NO_ERROR')
      server.wire.end()
    },
    atClient: ['HEADERS 3', 'DATA 3 9', 'END 3', 'RST_STREAM 3 NO_ERROR', 'fin'],
    atServer: ['HEADERS 3', 'DATA 3 4', 'fin'],
    reasons: ['complete'],
  },
  'a part of a response, and a reset behind it': {
    act: async (client, server) => {
      await askTwice(client, server)
      server.respond(3).data(3, Buffer.alloc(16_000)).data(3, Buffer.alloc(16_000)).reset(3, ERROR_CODE.internalError)
      server.respond(5).data(5, Buffer.alloc(16_000)).reset(5, ERROR_CODE.noError)
      await client.hear('RST_STREAM 3 INTERNAL_ERROR')
      await client.hear('RST_STREAM 5 NO_ERROR')
      server.wire.end()
    },
    atClient: [
      ...['HEADERS 3', 'DATA 3 32000', 'RST_STREAM 3 INTERNAL_ERROR'],
      ...['HEADERS 5', 'DATA 5 16000', 'RST_STREAM 5 NO_ERROR', 'fin'],
    ],
    atServer: [...asked, 'fin'],
    reasons: ['server-reset', 'server-reset'],
  },
}

describe('what ends', () => {
  describe.each(ROWS)('$mode, by $door', ({ mode, door }) => {
    it.each(Object.keys(scenarios))('%s', async (name) => {
      const scenario = scenarios[name]
      if (!scenario) throw new Error(name)
      await using origin = await wireServer()
      await using mitm = await startMitm({ hosts: { 'api.test': origin.authority } })
      if (mode === 'bridged') mitm.get('http://api.test/for-nobody').rewriteRequest({ headers: { a: 'b' } })
      const wire = door === 'CONNECT' ? await tunnelTo(mitm, 'api.test:80') : await socksTo(mitm, 'api.test', 80)
      const client = new FramePeer(wire, 'client').greet().ask(1)
      const server = new FramePeer(await origin.next(), 'server').greet()
      await server.hear('END 1')
      server.respond(1, 204, true)
      await client.hear('END 1')
      client.heard.length = 0
      server.heard.length = 0
      await scenario.act(client, server)
      await client.hear(END)
      client.wire.end()
      await server.hear(END)
      expect(grouped(client.heard)).toEqual(grouped(scenario.atClient))
      expect(client.heard.at(-1)).toBe(scenario.atClient.at(-1))
      expect(grouped(server.heard)).toEqual(grouped(scenario.atServer))
      const reasons = mitm.exchanges.slice(1).map(({ endReason }) => endReason)
      expect(reasons).toEqual(scenario.reasons ?? reasons)
      expect(mitm.errors).toEqual([])
    })
  })
})

it('a GOAWAY to the client of a bridge covers what was served before the first stream that it does not cover', async () => {
  await using origin = await wireServer()
  await using mitm = await startMitm({ hosts: { 'api.test': origin.authority } })
  mitm.get('http://api.test/for-nobody').rewriteRequest({ headers: { a: 'b' } })
  const client = new FramePeer(await tunnelTo(mitm, 'api.test:80'), 'client').greet().ask(1).ask(3)
  const server = new FramePeer(await origin.next(), 'server').greet()
  await server.hear('END 3')
  server.respond(1, 204, true)
  await client.hear('END 1')
  server.goAway(1)
  await client.hear('RST_STREAM 3 REFUSED_STREAM')
  await client.hear('GOAWAY 1 NO_ERROR')
  client.wire.end()
  server.wire.end()
})
