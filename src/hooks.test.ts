import { describe, expect, it } from 'vitest'

import type { MitmError } from './errors.ts'
import type { Middleware } from './middleware.ts'
import { Mitm } from './mitm.ts'
import { connectTo, secureAtOnce, secureWire, takeResponse, tunnelTo } from './testing/clients.ts'
import { HookLog } from './testing/hooks.ts'
import { identityFor, originAuthority } from './testing/identity.ts'
import { gate, settled } from './testing/waits.ts'
import { closedPort, httpServer, tlsWireServer, wireServer } from './testing/servers.ts'

/** Appends a letter to every chunk. */
function appends(letter: string, isAsync = false): Middleware {
  const append = (data: Buffer): Buffer => Buffer.concat([data, Buffer.from(letter)])
  return {
    clientData: (_, data) => (isAsync ? Promise.resolve().then(() => append(data)) : append(data)),
    serverData: (_, data) => (isAsync ? Promise.resolve().then(() => append(data)) : append(data)),
  }
}

describe('data hooks', () => {
  it.each([
    ['synchronous ones', [false, false, false]],
    ['asynchronous ones', [true, true, true]],
    ['both kinds mixed', [true, false, true]],
  ])('are given what the one before returned, in the order they were added: %s', async (_, kinds) => {
    await using origin = await wireServer()
    const [a = false, b = false, c = false] = kinds
    await using mitm = new Mitm({ middlewares: [appends('a', a), appends('b', b)] })
    mitm.use(appends('c', c))
    await mitm.start()
    const client = await connectTo(mitm)
    // A CONNECT passes them too, and what they append is then no part of its head.
    mitm.use({ clientData: (connection, data) => (connection.destination ? data : data.subarray(0, -3)) })
    client.write(`CONNECT ${origin.authority} HTTP/1.1\r\n\r\n`)
    await client.until('\r\n\r\n')
    client.write('1\n')
    const server = await origin.next()
    expect(String(await server.take(5))).toBe('1\nabc')
    server.write('2\n')
    expect(String(await client.take(5))).toBe('2\nabc')
  })

  it('may swallow octets, and send others in their place', async () => {
    await using origin = await wireServer()
    let swallowed = 0
    await using mitm = new Mitm()
    await mitm.start()
    const client = await tunnelTo(mitm, origin.authority)
    mitm.use({
      clientData(_, data) {
        swallowed += data.length
        return data.includes('!') ? new Uint8Array([1, 2, 3]) : Buffer.alloc(0)
      },
    })
    client.write('\0silence')
    const server = await origin.next()
    await expect.poll(() => swallowed).toBe(8)
    client.write('!')
    expect([...(await server.take(3))]).toEqual([1, 2, 3])
    expect(server.buffered).toHaveLength(0)
  })

  it('sees each octet once, the CONNECT included', async () => {
    await using origin = await wireServer()
    const log = new HookLog()
    await using mitm = new Mitm({ middlewares: [log] })
    await mitm.start()
    const client = await connectTo(mitm)
    const head = `CONNECT ${origin.authority} HTTP/1.1\r\nHost: x\r\n\r\n`
    client.write(`${head}\0raw`)
    await client.until('\r\n\r\n')
    const server = await origin.next()
    await server.take(4)
    server.end('\0bye')
    await client.rest()
    expect(log.calls.filter((call) => call.includes('Data'))).toEqual([
      `clientData:${head}`,
      'clientData:\0raw',
      'serverData:\0bye',
    ])
  })

  it('may rewrite the CONNECT itself', async () => {
    await using origin = await wireServer()
    await using mitm = new Mitm({
      middlewares: [
        {
          clientData: (_, data) =>
            Buffer.from(data.toString('latin1').replace('far.test:1', origin.authority), 'latin1'),
        },
      ],
    })
    await mitm.start()
    await tunnelTo(mitm, 'far.test:1')
    await origin.next()
  })

  it.each(['in a packet of its own', 'in the packet of the CONNECT'])(
    'never see a TLS handshake: the ClientHello %s',
    async (where) => {
      await using origin = await tlsWireServer(await identityFor('pay.test'))
      const log = new HookLog()
      await using mitm = new Mitm({
        middlewares: [log],
        hosts: { 'pay.test': origin.authority },
        upstream: { ca: (await originAuthority()).certificate },
      })
      await mitm.start()
      const options = { servername: 'pay.test', ca: (await mitm.certificateAuthority()).certificate }
      const head = 'CONNECT pay.test:443 HTTP/1.1\r\nHost: pay.test:443\r\n\r\n'
      const client = where.includes('CONNECT')
        ? await secureAtOnce(await connectTo(mitm), head, (wire) => wire.until('\r\n\r\n'), options)
        : await secureWire(await tunnelTo(mitm, 'pay.test:443'), options)
      client.write('\0clear')
      const server = await origin.next()
      expect(String(await server.take(6))).toBe('\0clear')
      server.write('\0answer')
      await client.take(7)
      expect(log.calls.filter((call) => call.includes('Data'))).toEqual([
        `clientData:${head}`,
        'clientData:\0clear',
        'serverData:\0answer',
      ])
    },
  )

  it('hold the sender while their promise is pending', async () => {
    await using origin = await wireServer()
    await using mitm = new Mitm()
    await mitm.start()
    const client = await tunnelTo(mitm, origin.authority)
    let seen = 0
    const door = gate()
    mitm.use({
      async clientData(_, data) {
        seen += data.length
        await door.opened
        return data
      },
    })
    const total = 64 * 1024 * 1024
    expect(client.socket.write(Buffer.alloc(total))).toBe(false)
    await expect.poll(() => seen).toBeGreaterThan(0)
    // What the sender could get rid of stops growing while one chunk is held.
    let isFlushed = false
    client.socket.once('drain', () => (isFlushed = true))
    expect(await settled(() => seen)).toBeLessThanOrEqual(65_536)
    expect(isFlushed).toBe(false)
    door.open()
    const server = await origin.next()
    expect(await server.take(total)).toHaveLength(total)
  })

  it('hold the sender while the other side does not read', async () => {
    await using origin = await wireServer()
    await using mitm = new Mitm()
    await mitm.start()
    const client = await tunnelTo(mitm, origin.authority)
    let seen = 0
    mitm.use({
      serverData(_, data) {
        seen += data.length
        return data
      },
    })
    client.write('\0')
    const server = await origin.next()
    await server.take(1)
    client.pause()
    const total = 64 * 1024 * 1024
    server.write(Buffer.alloc(total))
    await expect.poll(() => seen).toBeGreaterThan(0)
    expect(await settled(() => seen)).toBeLessThan(total / 2)
    client.resume()
    expect(await client.take(total)).toHaveLength(total)
  })

  it.each<[string, unknown]>([
    ['undefined', undefined],
    ['null', null],
    ['"text"', 'text'],
    ['an object of Object', {}],
    ['undefined', Promise.resolve()],
  ])('must return octets: %s is said to be what they returned', async (text, value) => {
    await using origin = await wireServer()
    const errors: MitmError[] = []
    await using mitm = new Mitm({ onError: (error) => errors.push(error) })
    await mitm.start()
    const client = await tunnelTo(mitm, origin.authority)
    // Boundary: what a hook without types may return.
    const registration = mitm.use({ name: 'forgetful', clientData: () => value as Buffer })
    client.write('\0x')
    await client.ended
    expect(errors).toHaveLength(1)
    expect(errors[0]).toMatchObject({ code: 'MITM_MIDDLEWARE_FAILED' })
    expect(errors[0]?.message).toContain(`"forgetful" failed in clientData(): it returned ${text}, expected octets`)
    registration.dispose()
    const next = await tunnelTo(mitm, origin.authority)
    next.write('\0y')
    expect(String(await (await origin.next().then(() => origin.next())).take(2))).toBe('\0y')
  })
})

describe('connection hooks', () => {
  const origin = (): ReturnType<typeof wireServer> => wireServer()

  it.each(['the client closes', 'the server closes', 'the client resets', 'the server resets', 'the mitm closes'])(
    'are called once for each host when %s',
    async (how) => {
      await using server = await origin()
      const log = new HookLog()
      await using mitm = new Mitm({ middlewares: [log] })
      await mitm.start()
      const client = await tunnelTo(mitm, server.authority)
      client.write('\0x')
      const end = await server.next()
      await end.take(2)
      if (how === 'the mitm closes') await mitm.close()
      else {
        const [first, second] = how.includes('client') ? [client, end] : [end, client]
        if (how.includes('resets')) first.reset()
        else first.end()
        expect(await second.ended).toBe(how.includes('resets') ? 'reset' : 'fin')
        second.end()
      }
      await log.until('connectionEnded')
      expect(log.events.slice(1).toSorted()).toEqual([
        'clientConnected',
        'clientDisconnected',
        'connectionEnded',
        'serverConnected',
        'serverDisconnected',
      ])
      expect(log.events.at(-1)).toBe('connectionEnded')
    },
  )

  it('tell of no server where the dial failed', async () => {
    const log = new HookLog()
    await using mitm = new Mitm({ middlewares: [log] })
    await mitm.start()
    const client = await connectTo(mitm)
    client.write(`CONNECT 127.0.0.1:${await closedPort()} HTTP/1.1\r\n\r\n`)
    expect((await takeResponse(client)).status).toBe(502)
    client.end()
    await log.until('connectionEnded')
    expect(log.events).toEqual(['mitmStarted', 'clientConnected', 'clientDisconnected', 'connectionEnded'])
  })

  it('tell of a client that never said anything', async () => {
    const log = new HookLog()
    await using mitm = new Mitm({ middlewares: [log] })
    await mitm.start()
    const client = await connectTo(mitm)
    client.end()
    await log.until('connectionEnded')
    expect(log.events).toEqual(['mitmStarted', 'clientConnected', 'clientDisconnected', 'connectionEnded'])
  })

  it('tell of each server when a proxy client goes on to another', async () => {
    await using one = await httpServer()
    await using other = await httpServer()
    const log = new HookLog()
    await using mitm = new Mitm({ middlewares: [log] })
    await mitm.start()
    const client = await connectTo(mitm)
    for (const { origin: url, authority } of [one, other]) {
      client.write(`GET ${url}/ HTTP/1.1\r\nHost: ${authority}\r\n\r\n`)
      await takeResponse(client)
    }
    client.end()
    await log.until('connectionEnded')
    expect(log.events.filter((event) => event.startsWith('server'))).toEqual([
      'serverConnected',
      'serverDisconnected',
      'serverConnected',
      'serverDisconnected',
    ])
  })

  it('clientConnected is awaited before anything is read, serverConnected before anything is sent', async () => {
    await using server = await origin()
    const gates = { client: gate(), server: gate() }
    const log = new HookLog()
    await using mitm = new Mitm({
      middlewares: [log, { clientConnected: () => gates.client.opened, serverConnected: () => gates.server.opened }],
    })
    await mitm.start()
    const client = await connectTo(mitm)
    client.write(`CONNECT ${server.authority} HTTP/1.1\r\n\r\n`)
    await log.until('clientConnected')
    expect(await settled(() => log.count('clientData'))).toBe(0)
    gates.client.open()
    await client.until('\r\n\r\n')
    client.write('\0x')
    const end = await server.next()
    await log.until('serverConnected')
    expect(await settled(() => end.buffered.length)).toBe(0)
    gates.server.open()
    await end.take(2)
  })

  it('are told in the order of the middlewares, one after the other', async () => {
    const order: string[] = []
    const noting = (name: string): Middleware => ({
      async clientConnected() {
        order.push(`${name} begins`)
        await Promise.resolve()
        order.push(`${name} ends`)
      },
    })
    await using mitm = new Mitm({ middlewares: [noting('a'), noting('b')] })
    await mitm.start()
    const client = await connectTo(mitm)
    await expect.poll(() => order).toEqual(['a begins', 'a ends', 'b begins', 'b ends'])
    client.end()
  })
})

describe('a hook that throws', () => {
  it.each([
    'clientConnected',
    'serverConnected',
    'clientDisconnected',
    'serverDisconnected',
    'connectionEnded',
  ] as const)('is reported and changes nothing: %s', async (hook) => {
    await using server = await wireServer()
    const errors: MitmError[] = []
    const log = new HookLog()
    const broken: Middleware = {
      name: 'broken',
      [hook]: () => {
        throw new Error('ouch')
      },
    }
    await using mitm = new Mitm({ middlewares: [broken, log], onError: (error) => errors.push(error) })
    await mitm.start()
    const client = await tunnelTo(mitm, server.authority)
    client.end('\0x')
    const end = await server.next()
    await end.take(2)
    end.end('\0y')
    expect(await client.rest()).toBe('\0y')
    await log.until('connectionEnded')
    await expect.poll(() => errors.map(({ code }) => code)).toEqual(['MITM_MIDDLEWARE_FAILED'])
    expect(errors[0]?.message).toContain(`"broken" failed in ${hook}(): ouch`)
    expect(errors[0]?.cause).toEqual(new Error('ouch'))
    expect(log.count(hook)).toBe(1)
  })

  it('does not keep the proxy from starting: mitmStarted', async () => {
    const errors: string[] = []
    const broken: Middleware = { mitmStarted: () => Promise.reject(new Error('ouch')) }
    await using mitm = new Mitm({ middlewares: [broken], onError: ({ code }) => errors.push(code) })
    await mitm.start()
    expect(errors).toEqual(['MITM_MIDDLEWARE_FAILED'])
    expect(mitm.isRunning).toBe(true)
  })

  it.each(['clientData', 'serverData'] as const)('ends that connection and no other: %s', async (hook) => {
    await using server = await wireServer()
    const errors: MitmError[] = []
    const log = new HookLog()
    await using mitm = new Mitm({ middlewares: [log], onError: (error) => errors.push(error) })
    await mitm.start()
    const [victim, bystander] = [await tunnelTo(mitm, server.authority), await tunnelTo(mitm, server.authority)]
    mitm.use({
      [hook]: (_: unknown, data: Buffer) => {
        if (data.includes('boom')) throw new Error('ouch')
        return data
      },
    })
    const ends = [await server.next(), await server.next()]
    victim.write('\0boom')
    if (hook === 'serverData') for (const end of ends) end.write('\0')
    if (hook === 'serverData') ends[0]?.write('boom')
    await Promise.race([victim.ended, bystander.ended])
    const alive = victim.socket.readableEnded || victim.socket.destroyed ? bystander : victim
    alive.write('\0still')
    await expect.poll(() => ends.some((end) => end.buffered.includes('\0still'))).toBe(true)
    expect(errors.map(({ code }) => code)).toEqual(['MITM_MIDDLEWARE_FAILED'])
  })

  it('does not break exchanges: requestStarted, requestEnded, responseStarted, exchangeEnded, mayAnswer', async () => {
    await using server = await httpServer()
    const errors: string[] = []
    const fail = (): never => {
      throw new Error('ouch')
    }
    const hooks = { requestStarted: fail, requestEnded: fail, responseStarted: fail, exchangeEnded: fail }
    await using mitm = new Mitm({
      middlewares: [{ ...hooks, mayAnswer: fail }],
      onError: ({ message }) => errors.push(/in (\w+)\(/.exec(message)?.[1] ?? message),
    })
    await mitm.start()
    const client = await tunnelTo(mitm, server.authority)
    client.write('GET /a HTTP/1.1\r\nHost: x\r\n\r\n')
    expect((await takeResponse(client)).body.toString()).toBe('GET /a')
    await expect.poll(() => new Set(errors)).toEqual(new Set([...Object.keys(hooks), 'mayAnswer']))
  })

  it('answers the request with 500: intercept', async () => {
    await using server = await httpServer()
    const errors: string[] = []
    const broken: Middleware = { intercept: () => Promise.reject(new Error('ouch')) }
    await using mitm = new Mitm({ middlewares: [broken], onError: ({ code }) => errors.push(code) })
    await mitm.start()
    const client = await tunnelTo(mitm, server.authority)
    client.write('GET /a HTTP/1.1\r\nHost: x\r\n\r\n')
    const response = await takeResponse(client)
    expect([response.status, response.headers['x-playwright-mitm-error']]).toEqual([500, 'MITM_MIDDLEWARE_FAILED'])
    expect(errors).toEqual(['MITM_MIDDLEWARE_FAILED'])
    expect(server.requests).toEqual([])
  })

  it('does no harm in onError either', async () => {
    await using mitm = new Mitm({
      middlewares: [{ clientConnected: () => Promise.reject(new Error('ouch')) }],
      onError: () => {
        throw new Error('even here')
      },
    })
    await mitm.start()
    await using server = await httpServer()
    const client = await tunnelTo(mitm, server.authority)
    client.write('GET /a HTTP/1.1\r\nHost: x\r\n\r\n')
    expect((await takeResponse(client)).status).toBe(200)
  })
})

describe('use()', () => {
  it('adds to connections that are open, calls mitmStarted, and takes out again once', async () => {
    await using server = await wireServer()
    await using mitm = new Mitm()
    await mitm.start()
    const client = await tunnelTo(mitm, server.authority)
    client.write('\x001')
    const end = await server.next()
    await end.take(2)
    const log = new HookLog()
    const first = mitm.use(log)
    const second = mitm.use(appends('!'))
    client.write('\x002')
    expect(String(await end.take(3))).toBe('\x002!')
    first.dispose()
    first.dispose()
    client.write('\x003')
    expect(String(await end.take(3))).toBe('\x003!')
    second[Symbol.dispose]()
    client.write('\x004')
    expect(String(await end.take(2))).toBe('\x004')
    expect(log.calls).toEqual(['mitmStarted:127.0.0.1:true', 'clientData:\x002'])
  })

  it('takes the same middleware twice, and out once each', async () => {
    await using server = await wireServer()
    const twice = appends('!')
    await using mitm = new Mitm()
    await mitm.start()
    const client = await tunnelTo(mitm, server.authority)
    const registrations = [mitm.use(twice), mitm.use(twice)]
    const end = await server.next()
    client.write('\0')
    expect(String(await end.take(3))).toBe('\0!!')
    registrations[0]?.dispose()
    client.write('\0')
    expect(String(await end.take(2))).toBe('\0!')
  })
})
