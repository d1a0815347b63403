import { connect } from 'node:net'

import { describe, expect, it } from 'vitest'

import type { ErrorCode } from './errors.ts'
import { Mitm } from './mitm.ts'
import type { MitmOptions } from './options.ts'
import { connectTo, takeResponse, tunnelTo } from './testing/clients.ts'
import { HookLog } from './testing/hooks.ts'
import { httpServer, wireServer } from './testing/servers.ts'

function isRefused(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host })
    socket.once('connect', () => {
      socket.destroy()
      resolve(false)
    })
    socket.once('error', () => resolve(true))
  })
}

const coded = (code: ErrorCode): unknown => expect.objectContaining({ code })

describe('start()', () => {
  it('takes a free port for port 0, and tells it', async () => {
    await using one = new Mitm()
    await using other = new Mitm({ port: 0 })
    await Promise.all([one.start(), other.start()])
    expect(one.port).toBeGreaterThan(0)
    expect(other.port).not.toBe(one.port)
    expect(one.url).toBe(`http://127.0.0.1:${one.port}`)
    expect(one.isRunning).toBe(true)
  })

  it('listens on the address that it was given and on no other', async () => {
    await using mitm = new Mitm({ host: '127.0.0.2' })
    await mitm.start()
    expect(await isRefused(mitm.port, '127.0.0.2')).toBe(false)
    expect(await isRefused(mitm.port, '127.0.0.1')).toBe(true)
  })

  it('puts an IPv6 address in brackets in its url, and serves clients there', async () => {
    await using origin = await httpServer()
    await using mitm = new Mitm({ host: '::1' })
    await mitm.start()
    expect(mitm.url).toBe(`http://[::1]:${mitm.port}`)
    const client = await connectTo(mitm, '::1')
    client.write(`GET ${origin.origin}/six HTTP/1.1\r\nHost: ${origin.authority}\r\n\r\n`)
    expect((await takeResponse(client)).body.toString()).toBe('GET /six')
  })

  it('says which port is taken, and can be called again when it is free', async () => {
    const blocker = await wireServer()
    const { port } = blocker
    await using mitm = new Mitm({ port })
    const failed = mitm.start()
    await expect(failed).rejects.toEqual(coded('MITM_LISTEN_FAILED'))
    await expect(failed).rejects.toThrow(`127.0.0.1:${port}`)
    expect(mitm.isRunning).toBe(false)
    await blocker[Symbol.asyncDispose]()
    await mitm.start()
    expect(mitm.port).toBe(port)
  })

  it('listens once when it is called twice, and waits for mitmStarted', async () => {
    const log = new HookLog()
    await using mitm = new Mitm({ middlewares: [log] })
    await Promise.all([mitm.start(), mitm.start()])
    const { port } = mitm
    await mitm.start()
    expect(mitm.port).toBe(port)
    expect(log.calls).toEqual(['mitmStarted:127.0.0.1:true'])
  })

  it('is refused after close()', async () => {
    const mitm = new Mitm()
    await mitm.start()
    await mitm.close()
    await expect(mitm.start()).rejects.toEqual(coded('MITM_NOT_RUNNING'))
    await expect(mitm.start()).rejects.toThrow('closed')
  })

  it('leaves port and url untold before', () => {
    const mitm = new Mitm()
    expect(() => mitm.port).toThrow(coded('MITM_NOT_RUNNING'))
    expect(() => mitm.url).toThrow(coded('MITM_NOT_RUNNING'))
    expect(mitm.isRunning).toBe(false)
  })
})

describe('close()', () => {
  it('resolves for every caller, before start() too, and frees the port', async () => {
    const idle = new Mitm()
    await idle.close()
    const mitm = new Mitm()
    await mitm.start()
    const { port } = mitm
    await Promise.all([mitm.close(), mitm.close()])
    await mitm.close()
    expect(mitm.isRunning).toBe(false)
    expect(await isRefused(port)).toBe(true)
  })

  it('ends a start() that is under way', async () => {
    const mitm = new Mitm()
    const started = mitm.start()
    await mitm.close()
    await started
    expect(mitm.isRunning).toBe(false)
    expect(await isRefused(mitm.port)).toBe(true)
  })

  it('happens at the end of a scope', async () => {
    let port: number
    {
      await using mitm = new Mitm()
      await mitm.start()
      port = mitm.port
    }
    expect(await isRefused(port)).toBe(true)
  })

  it('resolves when both sockets of each connection are gone and all hooks were called', async () => {
    await using origin = await wireServer()
    const log = new HookLog()
    const mitm = new Mitm({ middlewares: [log] })
    await mitm.start()
    const client = await tunnelTo(mitm, origin.authority)
    client.write('hey!\n')
    const server = await origin.next()
    await server.take(5)
    await mitm.close()
    expect(log.events.slice(1)).toEqual([
      'clientConnected',
      'serverConnected',
      'serverDisconnected',
      'clientDisconnected',
      'connectionEnded',
    ])
    expect(await client.ended).toMatch(/fin|reset/)
    expect(await server.ended).toMatch(/fin|reset/)
  })

  it('closes clients that have not said anything, or only half of what they want', async () => {
    const mitm = new Mitm()
    await mitm.start()
    const silent = await connectTo(mitm)
    const halting = await connectTo(mitm)
    halting.write('GET http://a.te')
    const greeting = await connectTo(mitm)
    greeting.write(Buffer.from([5, 1, 0]))
    await greeting.take(2)
    await mitm.close()
    await Promise.all([silent.ended, halting.ended, greeting.ended])
  })

  it('does not wait for sides that linger: a client that was answered, a server that was left for another', async () => {
    await using lingering = await wireServer()
    await using origin = await httpServer()
    const mitm = new Mitm()
    await mitm.start()
    const refused = await connectTo(mitm)
    refused.write('GET / HTTP/1.1\r\n\r\n')
    expect((await takeResponse(refused)).status).toBe(400)
    const client = await connectTo(mitm)
    client.write(`GET http://${lingering.authority}/ HTTP/1.1\r\nHost: a\r\n\r\n`)
    const server = await lingering.next()
    await server.until('\r\n\r\n')
    server.write('HTTP/1.1 204 No Content\r\n\r\n')
    await takeResponse(client)
    client.write(`GET ${origin.origin}/ HTTP/1.1\r\nHost: a\r\n\r\n`)
    await takeResponse(client)
    const begun = performance.now()
    await mitm.close()
    expect(performance.now() - begun).toBeLessThan(300)
  })

  it('does not wait for a server that is still being connected to', async () => {
    await using proxy = await wireServer()
    const mitm = new Mitm({ upstream: { proxy: `http://${proxy.authority}` } })
    await mitm.start()
    const client = await connectTo(mitm)
    client.write('CONNECT far.test:443 HTTP/1.1\r\n\r\n')
    const asked = await proxy.next()
    await asked.until('\r\n\r\n')
    await mitm.close()
    await Promise.all([client.ended, asked.ended])
  })
})

describe('options', () => {
  it.each<[string, unknown]>([
    ['host', '0.0.0.0'],
    ['host', 'example.com'],
    ['port', -1],
    ['port', 65_536],
    ['port', 1.5],
    ['port', '8080'],
    ['protocols', [{}]],
    ['builtinProtocols', 1],
    ['certificateAuthority', {}],
    ['hosts', { a: 'ftp://b' }],
    ['hosts', 'a'],
    ['hosts', { 'http://shop.test': '127.0.0.1:1' }],
    ['maxBodyBytes', Number.NaN],
    ['maxHeadBytes', 1],
    ['idleTimeoutMs', 0],
    ['connectTimeoutMs', 2 ** 31],
    ['handshakeTimeoutMs', -5],
    ['onError', 'log'],
    ['colour', 'red'],
  ])('refuses %s: %j by name', (name, value) => {
    // Boundary: what a caller without types may do.
    const options = { [name]: value } as MitmOptions
    expect(() => new Mitm(options as never)).toThrow(coded('MITM_INVALID_OPTION'))
    expect(() => new Mitm(options as never)).toThrow(JSON.stringify(name))
  })

  it('refuses what is not a middleware, in options and in use(), and then adds none', () => {
    expect(() => new Mitm({ middlewares: [{}] })).toThrow(coded('MITM_INVALID_MIDDLEWARE'))
    const mitm = new Mitm()
    const log = new HookLog()
    expect(() => mitm.use(log, { name: 'nothing' })).toThrow(coded('MITM_INVALID_MIDDLEWARE'))
  })
})

describe('two mitms', () => {
  it('can be chained: the second one sees what the first one sends on', async () => {
    await using origin = await httpServer()
    await using second = new Mitm()
    await second.start()
    await using first = new Mitm({ upstream: { proxy: second.url } })
    await first.start()
    const client = await connectTo(first)
    client.write(`GET ${origin.origin}/chain HTTP/1.1\r\nHost: ${origin.authority}\r\n\r\n`)
    expect((await takeResponse(client)).body.toString()).toBe('GET /chain')
  })
})
