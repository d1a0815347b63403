import { describe, expect, it } from 'vitest'

import type { Connection } from './connection.ts'
import { InvalidProtocol } from './errors.ts'
import { Mitm } from './mitm.ts'
import { Protocol } from './protocol.ts'
import type { Destination } from './protocol.ts'
import { startMitm } from './test-mitm.ts'
import { connectTo, secureWire, socksTo, takeResponse, tunnelTo } from './testing/clients.ts'
import { HookLog } from './testing/hooks.ts'
import { identityFor, originAuthority } from './testing/identity.ts'
import { httpServer, tlsWireServer, wireServer } from './testing/servers.ts'

/** Lines that start with `SHOUT `, which reach the server in upper case; relayed by a `handle` of its own. */
class Shout extends Protocol {
  override bytesNeeded = 6
  readonly target: Destination

  constructor(port: number) {
    super()
    this.target = { host: '127.0.0.1', port, tls: false }
  }

  resolve(connection: Connection, data: Buffer): Destination {
    if (!data.toString('latin1').startsWith('SHOUT ')) throw new InvalidProtocol()
    return connection.destination ?? this.target
  }

  override async connect(connection: Connection, destination: Destination, data: Buffer): Promise<void> {
    await connection.open(destination)
    connection.server.writer?.write(data.toString('latin1').toUpperCase())
  }

  override async handle(connection: Connection): Promise<void> {
    const { client, server } = connection
    const upwards = async (): Promise<void> => {
      for await (const chunk of client.reader ?? []) {
        // Boundary: a stream without an encoding gives Buffers.
        const data = await connection.clientData(chunk as Buffer)
        server.writer?.write(data.toString('latin1').toUpperCase())
      }
      server.writer?.end()
    }
    const downwards = async (): Promise<void> => {
      // Boundary: as above.
      for await (const chunk of server.reader ?? []) client.writer?.write(await connection.serverData(chunk as Buffer))
      client.writer?.end()
    }
    await Promise.all([upwards(), downwards()])
  }
}

/** Notes what it was asked, and says that it is not its own. */
class Passes extends Protocol {
  readonly asked: string[] = []
  readonly where: 'resolve' | 'connect'

  constructor(where: 'resolve' | 'connect') {
    super()
    this.where = where
  }

  resolve(_: Connection, data: Buffer): Destination {
    this.asked.push(data.toString('latin1'))
    if (this.where === 'resolve') throw new InvalidProtocol()
    return { host: 'nowhere.test', port: 1, tls: false }
  }

  override connect(): Promise<void> {
    return Promise.reject(new InvalidProtocol())
  }
}

describe('a protocol of the user', () => {
  it('recognises, connects and relays by its own methods, with middlewares around', async () => {
    await using origin = await wireServer()
    const log = new HookLog()
    await using mitm = new Mitm({ protocols: [new Shout(origin.port)], middlewares: [log] })
    await mitm.start()
    const client = await connectTo(mitm)
    client.write('SHOUT hello\n')
    const server = await origin.next()
    expect(await server.until('\n')).toBe('SHOUT HELLO\n')
    client.write('again\n')
    expect(await server.until('\n')).toBe('AGAIN\n')
    server.write('heard\n')
    expect(await client.until('\n')).toBe('heard\n')
    client.end()
    server.end()
    await log.until('connectionEnded')
    expect(log.calls.slice(1)).toEqual(
      expect.arrayContaining([
        'clientData:SHOUT hello\n',
        'serverConnected',
        'clientData:again\n',
        'serverData:heard\n',
      ]),
    )
  })

  it('is named in the record', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm({ protocols: [new Shout(origin.port)] })
    const client = await connectTo(mitm)
    client.write('SHOUT hello\n')
    await (await origin.next()).until('\n')
    expect(mitm.connections[0]).toMatchObject({ protocol: 'shout', server: { port: origin.port } })
  })

  it.each(['CONNECT', 'SOCKS5'])('is asked inside %s too', async (door) => {
    await using origin = await wireServer()
    await using mitm = new Mitm({ protocols: [new Shout(1)] })
    await mitm.start()
    const client =
      door === 'CONNECT' ? await tunnelTo(mitm, origin.authority) : await socksTo(mitm, '127.0.0.1', origin.port)
    client.write('SHOUT inside\n')
    expect(await (await origin.next()).until('\n')).toBe('SHOUT INSIDE\n')
  })

  it('is asked inside TLS too, and its server is spoken to in TLS', async () => {
    await using origin = await tlsWireServer(await identityFor('pay.test'))
    await using mitm = new Mitm({
      protocols: [new Shout(1)],
      hosts: { 'pay.test': origin.authority },
      upstream: { ca: (await originAuthority()).certificate },
    })
    await mitm.start()
    const { certificate } = await mitm.certificateAuthority()
    const client = await secureWire(await tunnelTo(mitm, 'pay.test:443'), { servername: 'pay.test', ca: certificate })
    client.write('SHOUT sealed\n')
    expect(await (await origin.next()).until('\n')).toBe('SHOUT SEALED\n')
  })

  it('comes before the built-in ones, and what it does not take goes to them', async () => {
    await using origin = await wireServer()
    await using web = await httpServer()
    await using mitm = new Mitm({ protocols: [new Shout(origin.port)] })
    await mitm.start()
    const client = await connectTo(mitm)
    client.write(`GET ${web.origin}/a HTTP/1.1\r\nHost: ${web.authority}\r\n\r\n`)
    expect((await takeResponse(client)).body.toString()).toBe('GET /a')
    const loud = await connectTo(mitm)
    loud.write('SHOUT /a HTTP/1.1\r\n')
    expect(await (await origin.next()).until('\n')).toBe('SHOUT /A HTTP/1.1\r\n')
  })

  it('can be the only one: without the built-in ones nothing else is understood', async () => {
    await using origin = await wireServer()
    const errors: string[] = []
    await using mitm = new Mitm({
      protocols: [new Shout(origin.port)],
      builtinProtocols: false,
      onError: ({ code }) => errors.push(code),
    })
    await mitm.start()
    const client = await connectTo(mitm)
    client.write('GET http://a.test/ HTTP/1.1\r\n\r\n')
    await client.ended
    expect(errors).toEqual(['MITM_NO_PROTOCOL'])
  })
})

describe('InvalidProtocol', () => {
  it('goes on with the next one, and the first that fits wins', async () => {
    await using origin = await wireServer()
    const passing = [new Passes('resolve'), new Passes('connect')]
    const late = new Passes('resolve')
    await using mitm = new Mitm({ protocols: [...passing, new Shout(origin.port), late] })
    await mitm.start()
    const client = await connectTo(mitm)
    client.write('SHOUT first\n')
    expect(await (await origin.next()).until('\n')).toBe('SHOUT FIRST\n')
    expect(passing.map(({ asked }) => asked)).toEqual([['SHOUT first\n'], ['SHOUT first\n']])
    expect(late.asked).toEqual([])
  })

  it.each(['resolve', 'connect'] as const)(
    'in %s() loses nothing, inside a tunnel, for whoever comes next',
    async (where) => {
      await using origin = await wireServer()
      const passing = new Passes(where)
      const log = new HookLog()
      await using mitm = new Mitm({ protocols: [passing], middlewares: [log] })
      await mitm.start()
      const client = await tunnelTo(mitm, origin.authority)
      client.write('\0raw')
      const server = await origin.next()
      expect(String(await server.take(4))).toBe('\0raw')
      expect(passing.asked.at(-1)).toBe('\0raw')
      expect(log.calls.filter((call) => call === 'clientData:\0raw')).toHaveLength(1)
    },
  )

  it('with incomplete is asked again with more, up to the end', async () => {
    await using origin = await wireServer()
    const asked: string[] = []
    class Lines extends Protocol {
      resolve(_: Connection, data: Buffer): Destination {
        asked.push(data.toString('latin1'))
        if (!data.includes('\n')) throw new InvalidProtocol('no line yet', { incomplete: true })
        return { host: '127.0.0.1', port: origin.port, tls: false }
      }
    }
    await using mitm = await startMitm({ protocols: [new Lines()] })
    const client = await connectTo(mitm)
    client.write('\0on')
    await expect.poll(() => asked).toEqual(['\0on'])
    client.write('e\n')
    expect(await (await origin.next()).until('\n')).toBe('\0one\n')
    expect(asked).toEqual(['\0on', '\0one\n'])

    const short = await connectTo(mitm)
    short.end('\0two')
    await short.ended
    await expect.poll(() => mitm.errors.map(({ code }) => code)).toEqual(['MITM_INCOMPLETE_HANDSHAKE'])
  })

  it('is not what other errors are: those end the connection, coded', async () => {
    class Broken extends Protocol {
      resolve(): never {
        throw new Error('ouch')
      }
    }
    await using mitm = await startMitm({ protocols: [new Broken()] })
    const client = await connectTo(mitm)
    client.write('\0x')
    await client.ended
    expect(mitm.errors.map(({ code }) => code)).toEqual(['MITM_PROTOCOL_FAILED'])
    expect(mitm.errors[0]?.message).toContain('ouch')
  })
})

describe('settings of a protocol', () => {
  class Echo extends Protocol {
    readonly sizes: number[] = []
    readonly #port: number

    constructor(port: number) {
      super()
      this.#port = port
    }

    resolve(_: Connection, data: Buffer): Destination {
      if (data[0] !== 0) throw new InvalidProtocol()
      this.sizes.push(data.length)
      return { host: '127.0.0.1', port: this.#port, tls: false }
    }
  }

  it('bytesNeeded: waits for so many octets, but not longer than firstBytesWaitMs', async () => {
    await using origin = await wireServer()
    const protocol = new Echo(origin.port)
    protocol.bytesNeeded = 4
    await using mitm = new Mitm({ protocols: [protocol], firstBytesWaitMs: 2000 })
    await mitm.start()
    const client = await connectTo(mitm)
    for (const octet of '\0abc') client.write(octet)
    await (await origin.next()).take(4)
    expect(protocol.sizes).toEqual([4])

    await using hasty = new Mitm({ protocols: [protocol], firstBytesWaitMs: 20 })
    await hasty.start()
    const slow = await connectTo(hasty)
    slow.write('\0a')
    await (await origin.next()).take(2)
    expect(protocol.sizes).toEqual([4, 2])
    const short = await connectTo(mitm)
    short.end('\0b')
    await (await origin.next()).take(2)
    expect(protocol.sizes).toEqual([4, 2, 2])
  })

  it('bufferSize: hands the hooks no more than that at once', async () => {
    await using origin = await wireServer()
    const protocol = new Echo(origin.port)
    protocol.bufferSize = 1000
    const sizes: number[] = []
    await using mitm = new Mitm({
      protocols: [protocol],
      middlewares: [
        {
          clientData(connection, data) {
            if (connection.server.isConnected) sizes.push(data.length)
            return data
          },
        },
      ],
    })
    await mitm.start()
    const client = await connectTo(mitm)
    client.write('\0')
    const server = await origin.next()
    await server.take(1)
    client.write(Buffer.alloc(100_000))
    await server.take(100_000)
    expect(Math.max(...sizes)).toBe(1000)
  })

  it('timeout with keepAlive = false: ends an idle relay', async () => {
    await using origin = await wireServer()
    const protocol = new Echo(origin.port)
    protocol.timeout = 30
    protocol.keepAlive = false
    await using mitm = await startMitm({ protocols: [protocol] })
    const client = await connectTo(mitm)
    client.write('\0')
    const server = await origin.next()
    await Promise.all([client.ended, server.ended])
    client.end()
    server.end()
    await expect.poll(() => mitm.connections[0]?.endReason).toBe('idle-timeout')
    expect(mitm.errors.map(({ code }) => code)).toEqual(['MITM_IDLE_TIMEOUT'])
  })

  it('timeout with keepAlive: the relay goes on until idleTimeoutMs', async () => {
    await using origin = await wireServer()
    const protocol = new Echo(origin.port)
    protocol.timeout = 1
    await using mitm = await startMitm({ protocols: [protocol], idleTimeoutMs: 150 })
    const client = await connectTo(mitm)
    const begun = performance.now()
    client.write('\0')
    await client.ended
    expect(performance.now() - begun).toBeGreaterThan(100)
    expect(mitm.errors[0]?.message).toContain('150 ms')
  })
})
