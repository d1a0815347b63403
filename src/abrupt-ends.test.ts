/** Ends in the states of tunnels, handshakes and raw connections. */
import { setImmediate as nextTurn } from 'node:timers/promises'

import { describe, expect, it } from 'vitest'

import * as faults from './faults/faults.ts'
import { casesOf, expectedOf, HOWS, until, walk } from './testing/abrupt-ends.ts'
import type { AbruptEnd, Stage, State } from './testing/abrupt-ends.ts'
import { socks5Request } from './testing/clients.ts'
import type { Door } from './testing/doors.ts'
import { helloFor } from './testing/hello.ts'

const CLOSED = 'client-closed'
const RESET = 'client-reset'
const SERVER_CLOSED = 'server-closed'
const SERVER_RESET = 'server-reset'
/** Before there is a relay it is an error, too. */
const RESET_ERROR = 'client-reset MITM_CLIENT_RESET'
const INCOMPLETE = 'failed MITM_INCOMPLETE_HANDSHAKE'
const SERVER_TLS = 'failed MITM_SERVER_TLS_FAILED'
const CLIENT_TLS = 'failed MITM_CLIENT_TLS_FAILED'
const PROXY_FAILED = 'failed MITM_UPSTREAM_PROXY_FAILED'
/** What is held on purpose, or not read, comes to no end by itself. */
const HELD = 'idle-timeout MITM_IDLE_TIMEOUT'

const CONNECT = 'CONNECT origin.test:443 HTTP/1.1\r\nHost: origin.test:443\r\n\r\n'

/** A client that has said something, and nothing more. */
async function saying(stage: Stage, octets: string | Buffer): Promise<AbruptEnd> {
  const client = await stage.dial()
  client.wire.write(octets)
  return client
}

/** A tunnel that stands, with the server dialled. */
async function tunnel(stage: Stage): Promise<{ client: AbruptEnd; server: AbruptEnd }> {
  const client = await stage.enter('connect')
  return { client, server: await stage.accept() }
}

/** A tunnel in which the client has sent its TLS hello, and the server has it from the mitm, or the mitm's own. */
async function helloSent(stage: Stage): Promise<{ client: AbruptEnd; server: AbruptEnd }> {
  const ends = await tunnel(stage)
  ends.client.wire.write(await helloFor('origin.test'))
  await ends.server.wire.take(100)
  return ends
}

/** Octets that are not HTTP have passed both ways. */
async function relayed(stage: Stage, door: Door = 'socks5'): Promise<{ client: AbruptEnd; server: AbruptEnd }> {
  const [client, server] = await Promise.all([stage.enter(door), stage.accept()])
  client.wire.write('\0ping')
  await server.wire.take(5)
  server.wire.write('\0pong')
  await client.wire.take(5)
  return { client, server }
}

const STATES: readonly State[] = [
  {
    name: 'accepted, with nothing said',
    reach: async (stage) => ({ client: await stage.dial() }),
    comes: { client: [CLOSED, RESET, INCOMPLETE] },
  },
  {
    name: 'in the head of a CONNECT',
    reach: async (stage) => ({ client: await saying(stage, CONNECT.slice(0, 30)) }),
    partial: '.1\r\nHo',
    comes: { client: [INCOMPLETE, RESET_ERROR] },
  },
  {
    name: 'in the greeting of SOCKS5',
    reach: async (stage) => ({ client: await saying(stage, Buffer.from([5, 3, 0])) }),
    comes: { client: [INCOMPLETE, RESET_ERROR] },
  },
  {
    name: 'in the request of SOCKS5',
    async reach(stage) {
      const client = await saying(stage, Buffer.from([5, 1, 0]))
      await client.wire.take(2)
      client.wire.write(socks5Request('origin.test', 443).subarray(0, 9))
      return { client }
    },
    comes: { client: [INCOMPLETE, RESET_ERROR] },
  },
  {
    name: 'in the request of SOCKS4',
    reach: async (stage) => ({ client: await saying(stage, Buffer.from([4, 1, 0, 80, 127])) }),
    comes: { client: [INCOMPLETE, RESET_ERROR] },
  },
  {
    name: 'in a TLS hello without a tunnel',
    reach: async (stage) => ({ client: await saying(stage, (await helloFor('origin.test')).subarray(0, 60)) }),
    comes: { client: [INCOMPLETE, RESET_ERROR] },
  },
  {
    name: 'a CONNECT that the proxy behind does not answer',
    options: (port) => ({ hosts: {}, upstream: { proxy: `http://127.0.0.1:${port}` }, upstreamProxyTimeoutMs: 1000 }),
    async reach(stage) {
      const client = await saying(stage, CONNECT)
      const server = await stage.accept()
      await server.wire.until('\r\n\r\n')
      return { client, server }
    },
    partial: 'HTTP/1.1 20',
    comes: { client: [CLOSED, RESET, 'failed MITM_UPSTREAM_PROXY_TIMEOUT'], server: [PROXY_FAILED, PROXY_FAILED] },
  },
  {
    name: 'a CONNECT that a fault does not answer',
    async reach(stage) {
      stage.mitm.when('**').fault(faults.connectStall())
      const client = await saying(stage, CONNECT)
      await until(() => stage.mitm.connections[0]?.faults.length === 1)
      return { client }
    },
    comes: { client: [CLOSED, RESET] },
  },
  {
    name: 'a CONNECT that a fault answers late',
    async reach(stage) {
      stage.mitm.when('**').fault(faults.dialTimeout({ ms: 1000 }))
      const client = await saying(stage, CONNECT)
      await until(() => stage.mitm.connections[0]?.faults.length === 1)
      return { client }
    },
    comes: { client: [CLOSED, RESET, 'fault'] },
  },
  {
    name: 'a tunnel in which nothing was said',
    reach: tunnel,
    comes: { client: [CLOSED, RESET], server: [SERVER_CLOSED, SERVER_RESET] },
  },
  {
    name: 'a tunnel without a server, as a rule may answer',
    async reach(stage) {
      stage.mitm.when('**').respond(200)
      return { client: await stage.enter('socks5') }
    },
    comes: { client: [CLOSED, RESET] },
  },
  {
    name: 'in a TLS hello in a tunnel',
    async reach(stage) {
      const ends = await tunnel(stage)
      ends.client.wire.write((await helloFor('origin.test')).subarray(0, 60))
      return ends
    },
    comes: { client: [INCOMPLETE, RESET_ERROR], server: [SERVER_CLOSED, SERVER_RESET, INCOMPLETE] },
  },
  {
    name: 'a TLS handshake in which the server says nothing',
    reach: helloSent,
    comes: { client: [CLOSED, RESET, 'failed MITM_SERVER_TLS_TIMEOUT'], server: [SERVER_TLS, SERVER_TLS] },
  },
  {
    name: 'a TLS handshake in which the server has begun its hello',
    async reach(stage) {
      const ends = await helloSent(stage)
      ends.server.wire.write(Buffer.from([0x16, 3, 3, 0, 122, 2, 0, 0]))
      return ends
    },
    comes: { client: [CLOSED, RESET, 'failed MITM_SERVER_TLS_TIMEOUT'], server: [SERVER_TLS, SERVER_TLS] },
  },
  {
    name: 'a TLS handshake in which the client has not finished',
    isSecure: true,
    async reach(stage) {
      const client = await stage.enter('connect')
      client.wire.write(await helloFor('origin.test'))
      const server = await stage.accept()
      await until(() => client.wire.buffered.length > 100)
      return { client, server }
    },
    partial: Buffer.from([0x14, 3, 3, 0, 1, 1, 0x17, 3, 3]),
    comes: { client: [CLIENT_TLS, CLIENT_TLS], server: [INCOMPLETE, SERVER_RESET] },
  },
  {
    name: 'a TLS handshake that a fault does not begin',
    async reach(stage) {
      stage.mitm.when('**').fault(faults.tlsStall())
      const client = await stage.enter('socks5')
      client.wire.write(await helloFor('origin.test'))
      await until(() => stage.mitm.connections[0]?.faults.length === 1)
      return { client }
    },
    comes: { client: [CLOSED, RESET] },
  },
  {
    name: 'TLS in which nothing was said',
    isSecure: true,
    async reach(stage) {
      const [client, server] = await Promise.all([stage.enter('connect-tls'), stage.accept()])
      await until(() => stage.mitm.connections[0]?.clientTls !== undefined)
      return { client, server }
    },
    comes: {
      client: [`${CLOSED} MITM_CLIENT_TLS_FAILED`, `${RESET} MITM_CLIENT_TLS_FAILED`, CLOSED],
      server: [SERVER_CLOSED, SERVER_RESET],
    },
  },
  { name: 'raw octets', reach: relayed, comes: { client: [CLOSED, RESET], server: [SERVER_CLOSED, SERVER_RESET] } },
  {
    name: 'raw octets in TLS',
    isSecure: true,
    reach: (stage) => relayed(stage, 'connect-tls'),
    comes: { client: [CLOSED, RESET], server: [SERVER_CLOSED, SERVER_RESET] },
  },
  {
    name: 'raw octets that are late by a fault',
    async reach(stage) {
      const ends = await relayed(stage)
      stage.mitm.when('**').fault(faults.latency({ ms: 200 }))
      await nextTurn()
      ends.client.wire.write('late')
      ends.server.wire.write('late')
      await until(() => stage.mitm.connections[0]?.faults.length === 1)
      return ends
    },
    comes: { client: [CLOSED, RESET], server: [SERVER_CLOSED, SERVER_RESET] },
  },
  {
    name: 'raw octets that a fault stalls',
    async reach(stage) {
      stage.mitm.when('**').fault(faults.stall({ afterBytes: 2 }))
      const client = await stage.enter('connect')
      client.wire.write('\0ping')
      const server = await stage.accept()
      server.wire.write('stalled')
      await until(() => stage.mitm.connections[0]?.faults.length === 1)
      return { client, server }
    },
    comes: { client: [CLOSED, RESET], server: [HELD, HELD] },
  },
  {
    name: 'raw octets that nobody reads',
    async reach(stage) {
      const ends = await relayed(stage)
      ends.client.wire.pause()
      ends.server.wire.write(Buffer.alloc(20_000_000))
      await until(() => (stage.mitm.connections[0]?.bytesFromServer ?? 0) > 100_000)
      return ends
    },
    comes: {
      client: [`${CLOSED} MITM_IDLE_TIMEOUT`, RESET],
      server: [HELD, SERVER_RESET, `${SERVER_CLOSED} MITM_IDLE_TIMEOUT`],
    },
  },
  {
    name: 'TLS that is passed through, with its hello cut',
    options: () => ({ passthrough: ['origin.test'] }),
    async reach(stage) {
      const ends = await tunnel(stage)
      ends.client.wire.write((await helloFor('origin.test')).subarray(0, 60))
      return ends
    },
    comes: { client: [INCOMPLETE, RESET_ERROR], server: [SERVER_CLOSED, SERVER_RESET, INCOMPLETE] },
  },
  {
    name: 'TLS that is passed through, and not answered',
    options: () => ({ passthrough: ['origin.test'] }),
    reach: helloSent,
    comes: { client: [CLOSED, RESET], server: [SERVER_CLOSED, SERVER_RESET] },
  },
]

describe.each(casesOf(STATES))('$name: the $who ends', (each) => {
  it.each(HOWS)('%s', async (how) => {
    const { text, left, uncaught } = await walk(each, how)
    expect(expectedOf(each, how)).toContain(text)
    expect({ left, uncaught }).toEqual({ left: [], uncaught: [] })
  })
})
