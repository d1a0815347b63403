import type { Socket } from 'node:net'

import { describe, expect, it } from 'vitest'

import type { Connection } from './connection.ts'
import type { Middleware } from './middleware.ts'
import { Mitm } from './mitm.ts'
import { startMitm } from './test-mitm.ts'
import { connectTo, secureWire, tunnelTo } from './testing/clients.ts'
import { HookLog } from './testing/hooks.ts'
import { identityFor, originAuthority } from './testing/identity.ts'
import { tlsWireServer, wireServer } from './testing/servers.ts'
import { settled } from './testing/waits.ts'
import { Wire } from './testing/wire.ts'

type Side = 'client' | 'server'

/** Lets go of hosts in one hook, and keeps the connection for the test. */
function letGo(hook: keyof Middleware, sides: readonly Side[]): Middleware & { connection?: Connection } {
  const middleware: Middleware & { connection?: Connection } = {
    name: 'letGo',
    [hook]: (connection: Connection, data?: Buffer) => {
      middleware.connection = connection
      if (connection.isTunnelled || hook !== 'clientData')
        for (const side of sides) connection[side].mitmManaged = false
      return data
    },
  }
  return middleware
}

/** The host's own end of its socket. */
function own(connection: Connection | undefined, side: Side): Wire {
  // Boundary: the writer of a host is a socket here.
  const socket = connection?.[side].writer as Socket | undefined
  if (!socket) throw new Error(`The ${side} is not connected`)
  const wire = new Wire(socket)
  wire.resume()
  return wire
}

describe('a host with mitmManaged = false', () => {
  it.each<[keyof Middleware, Side]>([
    ['clientConnected', 'client'],
    ['clientConnected', 'server'],
    ['serverConnected', 'client'],
    ['serverConnected', 'server'],
    ['clientData', 'client'],
    ['clientData', 'server'],
    ['serverData', 'client'],
    ['serverData', 'server'],
  ])(
    'is left open, set in %s for the %s: it can be read and written when the other side has ended',
    async (hook, side) => {
      await using origin = await wireServer()
      const log = new HookLog()
      const keeper = letGo(hook, [side])
      await using mitm = new Mitm({ middlewares: [keeper, log] })
      await mitm.start()
      const client = await tunnelTo(mitm, origin.authority)
      client.write('\0up')
      const server = await origin.next()
      expect(String(await server.take(3))).toBe('\0up')
      server.write('\0down')
      expect(String(await client.take(5))).toBe('\0down')

      const [kept, ending] = side === 'client' ? [client, server] : [server, client]
      ending.end('\0last')
      expect(String(await kept.take(5))).toBe('\0last')
      await log.until('connectionEnded')
      kept.write('\0after the end')
      const handle = own(keeper.connection, side)
      expect(String(await handle.take(14))).toBe('\0after the end')
      handle.write('\0mine')
      expect(String(await kept.take(5))).toBe('\0mine')
      handle.end()
      expect(await kept.ended).toBe('fin')
    },
  )

  it('loses nothing that it sent while the relay ended', async () => {
    await using origin = await wireServer()
    const log = new HookLog()
    const keeper = letGo('serverConnected', ['client'])
    await using mitm = new Mitm({ middlewares: [keeper, log] })
    await mitm.start()
    const client = await tunnelTo(mitm, origin.authority)
    client.write('\0')
    const server = await origin.next()
    server.end()
    const sent = Buffer.alloc(1024 * 1024, 'x')
    client.write(sent)
    await log.until('connectionEnded')
    // What the relay read before its end went to the server; the rest is the developer's.
    const relayed = await settled(() => server.buffered.length)
    const handle = own(keeper.connection, 'client')
    const left = await handle.take(sent.length + 1 - relayed)
    expect(left.length + relayed).toBe(sent.length + 1)
  })

  it('is not read after the end', async () => {
    await using origin = await wireServer()
    const log = new HookLog()
    const keeper = letGo('clientConnected', ['client'])
    await using mitm = new Mitm({ middlewares: [keeper, log] })
    await mitm.start()
    const client = await tunnelTo(mitm, origin.authority)
    const server = await origin.next()
    server.end()
    await log.until('connectionEnded')
    const before = log.count('clientData')
    client.write(Buffer.alloc(8 * 1024 * 1024))
    expect(await settled(() => client.socket.writableLength)).toBeGreaterThan(0)
    expect(log.count('clientData')).toBe(before)
    client.socket.destroy()
  })

  it.each<readonly Side[]>([['client'], ['server'], ['client', 'server']])(
    'is not touched by close(): %s %s',
    async (...sides) => {
      await using origin = await wireServer()
      const keeper = letGo('serverConnected', sides)
      const mitm = new Mitm({ middlewares: [keeper] })
      await mitm.start()
      const client = await tunnelTo(mitm, origin.authority)
      client.write('\0')
      const server = await origin.next()
      await server.take(1)
      await mitm.close()
      const ends = { client, server }
      for (const side of ['client', 'server'] as const) {
        const end = ends[side]
        if (!sides.includes(side)) {
          expect(await end.ended).toMatch(/fin|reset/)
          continue
        }
        const handle = own(keeper.connection, side)
        end.write('\0ping')
        expect(String(await handle.take(5))).toBe('\0ping')
        handle.write('\0pong')
        expect(String(await end.take(5))).toBe('\0pong')
        handle.socket.destroy()
      }
    },
  )

  it('stays open when a hook fails and when the relay is idle for too long', async () => {
    await using origin = await wireServer()
    const log = new HookLog()
    const keeper = letGo('serverConnected', ['client', 'server'])
    await using mitm = new Mitm({ middlewares: [keeper, log], idleTimeoutMs: 50 })
    await mitm.start()
    const client = await tunnelTo(mitm, origin.authority)
    client.write('\0')
    const server = await origin.next()
    await log.until('connectionEnded')
    const handles = { client: own(keeper.connection, 'client'), server: own(keeper.connection, 'server') }
    handles.client.write('\0a')
    handles.server.write('\0b')
    expect(String(await client.take(2))).toBe('\0a')
    await server.take(1)
    expect(String(await server.take(2))).toBe('\0b')
    handles.client.socket.destroy()
    handles.server.socket.destroy()
  })

  it('is decrypted still, where TLS was intercepted', async () => {
    await using origin = await tlsWireServer(await identityFor('pay.test'))
    const log = new HookLog()
    const keeper = letGo('serverConnected', ['client'])
    await using mitm = new Mitm({
      middlewares: [keeper, log],
      hosts: { 'pay.test': origin.authority },
      upstream: { ca: (await originAuthority()).certificate },
    })
    await mitm.start()
    const { certificate } = await mitm.certificateAuthority()
    const client = await secureWire(await tunnelTo(mitm, 'pay.test:443'), { servername: 'pay.test', ca: certificate })
    client.write('\0secret')
    const server = await origin.next()
    await server.take(7)
    server.end()
    await log.until('connectionEnded')
    client.write('\0to you')
    const handle = own(keeper.connection, 'client')
    expect(String(await handle.take(7))).toBe('\0to you')
    handle.write('\0to me')
    expect(String(await client.take(6))).toBe('\0to me')
    handle.end()
    await client.ended
  })

  it('is recorded as handed over', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    const keeper = letGo('clientConnected', ['client'])
    const log = new HookLog()
    mitm.use(keeper, log)
    const client = await tunnelTo(mitm, origin.authority)
    client.write('\0')
    await (await origin.next()).take(1)
    const closing = mitm.close()
    await closing
    expect(mitm.connections[0]?.endReason).toMatch(/handed-over|mitm-closed/)
    own(keeper.connection, 'client').socket.destroy()
  })

  it('is left open half-way through an HTTP response, with what comes after', async () => {
    await using origin = await wireServer()
    const log = new HookLog()
    const keeper: Middleware & { connection?: Connection } = {
      serverConnected(connection) {
        keeper.connection = connection
      },
    }
    await using mitm = new Mitm({ middlewares: [keeper, log] })
    await mitm.start()
    const client = await connectTo(mitm)
    client.write(`GET http://${origin.authority}/ HTTP/1.1\r\nHost: ${origin.authority}\r\n\r\n`)
    const server = await origin.next()
    await server.until('\r\n\r\n')
    server.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nfirst')
    await client.until('first')
    const { connection } = keeper
    if (!connection) throw new Error('no connection')
    connection.server.mitmManaged = false
    client.end()
    client.socket.destroy()
    await log.until('connectionEnded')
    server.write('second')
    const handle = own(connection, 'server')
    expect(String(await handle.take(6))).toBe('second')
    handle.write('thanks')
    expect(String(await server.take(6))).toBe('thanks')
    handle.socket.destroy()
  })
})
