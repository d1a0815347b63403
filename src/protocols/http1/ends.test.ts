import { describe, expect, it } from 'vitest'

import { startMitm } from '../../test-mitm.ts'
import { connectTo, takeResponse, tunnelTo } from '../../testing/clients.ts'
import { wireServer } from '../../testing/servers.ts'

const GET = 'GET /a HTTP/1.1\r\nHost: a\r\n\r\n'
const MEGABYTES = 8 * 1024 * 1024

describe('a client that half-closes', () => {
  it('gets the long response that it still waits for, in a tunnel', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    const client = await tunnelTo(mitm, origin.authority)
    client.end(GET)
    const server = await origin.next()
    await server.until('\r\n\r\n')
    expect(await server.ended).toBe('fin')
    server.write(`HTTP/1.1 200 OK\r\nContent-Length: ${MEGABYTES}\r\n\r\n`)
    server.end(Buffer.alloc(MEGABYTES, 'x'))
    expect((await takeResponse(client)).body).toHaveLength(MEGABYTES)
    await client.ended
    await expect.poll(() => mitm.exchanges[0]?.endReason).toBe('complete')
    await expect.poll(() => mitm.connections[0]?.endReason).toBe('client-closed')
  })

  it('gets it as a proxy client too', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    const client = await connectTo(mitm)
    client.end(`GET http://${origin.authority}/a HTTP/1.1\r\nHost: a\r\n\r\n`)
    const server = await origin.next()
    await server.until('\r\n\r\n')
    server.end('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate')
    expect(String((await takeResponse(client)).body)).toBe('late')
    await client.ended
  })

  it('gets the answer of a rule', async () => {
    await using mitm = await startMitm()
    mitm.when('**').respond(200, 'mock')
    const client = await connectTo(mitm)
    client.end('POST http://mock.test/a HTTP/1.1\r\nHost: mock.test\r\nContent-Length: 2\r\n\r\nok')
    expect(String((await takeResponse(client)).body)).toBe('mock')
    await client.ended
  })

  it('before the end of its request leaves it recorded as cut', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    const client = await tunnelTo(mitm, origin.authority)
    client.end('POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf')
    const server = await origin.next()
    expect(await server.rest()).toContain('half')
    server.end()
    await client.ended
    await expect.poll(() => mitm.exchanges[0]?.endReason).toBe('client-closed')
    expect(mitm.exchanges[0]?.request.isComplete).toBe(false)
  })

  it('while it waits, as one that leaves does, is who closed it, though the server closes as well', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    const client = await tunnelTo(mitm, origin.authority)
    client.write(`${GET}${GET}`)
    const server = await origin.next()
    await server.until('\r\n\r\nGET')
    server.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')
    await client.until('half')
    client.end()
    expect(await server.ended).toBe('fin')
    server.end()
    await client.ended
    await expect
      .poll(() => mitm.exchanges.map(({ endReason }) => endReason))
      .toEqual(['client-closed', 'client-closed'])
  })

  it('in a raw tunnel gets all that the server still says', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    const client = await tunnelTo(mitm, origin.authority)
    client.end('\0question')
    const server = await origin.next()
    expect(await server.rest()).toBe('\0question')
    server.end(Buffer.alloc(MEGABYTES, 'y'))
    expect(await client.rest()).toHaveLength(MEGABYTES)
  })
})

describe('a server that half-closes', () => {
  it('in a raw tunnel gets all that the client still says', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    const client = await tunnelTo(mitm, origin.authority)
    client.write('\0')
    const server = await origin.next()
    await server.take(1)
    server.end('\0done')
    expect(await client.rest()).toBe('\0done')
    client.end(Buffer.alloc(MEGABYTES, 'z'))
    expect(await server.rest()).toHaveLength(MEGABYTES)
  })

  it('after a response reaches the client as a FIN at once, in a tunnel', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    const client = await tunnelTo(mitm, origin.authority)
    client.write(GET)
    const server = await origin.next()
    await server.until('\r\n\r\n')
    const begun = performance.now()
    server.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
    expect((await takeResponse(client)).status).toBe(200)
    expect(await client.ended).toBe('fin')
    expect(performance.now() - begun).toBeLessThan(500)
  })

  it('after a response that says close ends the connection of a proxy client too', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    const client = await connectTo(mitm)
    client.write(`GET http://${origin.authority}/a HTTP/1.1\r\nHost: a\r\n\r\n`)
    const server = await origin.next()
    await server.until('\r\n\r\n')
    server.end('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nto the end')
    expect(String((await takeResponse(client)).body)).toBe('to the end')
    expect(await client.ended).toBe('fin')
  })
})

describe('a reset', () => {
  it('of the server in the midst of a response reaches the client as a reset', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    const client = await tunnelTo(mitm, origin.authority)
    client.write(GET)
    const server = await origin.next()
    await server.until('\r\n\r\n')
    server.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')
    await client.until('half')
    server.reset()
    expect(await client.ended).toBe('reset')
    await expect.poll(() => mitm.connections[0]?.endReason).toBe('server-reset')
    expect(mitm.exchanges[0]).toMatchObject({ endReason: 'server-reset', response: { isComplete: false, bodySize: 4 } })
  })

  it('of the client reaches the server as a reset', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    const client = await tunnelTo(mitm, origin.authority)
    client.write('POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf')
    const server = await origin.next()
    await server.until('half')
    client.reset()
    expect(await server.ended).toBe('reset')
    await expect.poll(() => mitm.connections[0]?.endReason).toBe('client-reset')
    expect(mitm.exchanges[0]).toMatchObject({ endReason: 'client-reset', request: { isComplete: false } })
  })

  it('of the server before its response reaches a proxy client as one', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    const client = await connectTo(mitm)
    client.write(`GET http://${origin.authority}/a HTTP/1.1\r\nHost: a\r\n\r\n`)
    const server = await origin.next()
    await server.until('\r\n\r\n')
    server.reset()
    expect(await client.ended).toBe('reset')
    await expect.poll(() => mitm.exchanges[0]?.endReason).toBe('server-reset')
  })
})
