import { setTimeout as delay } from 'node:timers/promises'

import { describe, expect, it } from 'vitest'

import { startMitm } from '../../test-mitm.ts'
import { connectTo, takeResponse } from '../../testing/clients.ts'
import { wireServer } from '../../testing/servers.ts'

const GET = 'GET /slow HTTP/1.1\r\nHost: a.test\r\n\r\n'

describe('responseTimeoutMs', () => {
  it('answers 504 when no response has begun, and closes both ends', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm({ responseTimeoutMs: 30, hosts: { 'a.test': origin.authority } })
    const client = await connectTo(mitm)
    client.write(GET)
    const server = await origin.next()
    const begun = performance.now()
    const { status, head, headers, body } = await takeResponse(client)
    expect(performance.now() - begun).toBeGreaterThan(20)
    expect([status, headers['connection']]).toEqual([504, 'close'])
    expect(head).toContain('MITM_RESPONSE_TIMEOUT')
    expect(String(body)).toContain(
      `No response to GET http://a.test/slow: ${origin.authority} has had the request for 30 ms`,
    )
    expect(await client.ended).toBe('fin')
    client.end()
    await server.ended
    expect(mitm.errors).toMatchObject([{ code: 'MITM_RESPONSE_TIMEOUT', side: 'server', authority: 'a.test:80' }])
    expect(mitm.exchanges[0]).toMatchObject({ answeredBy: 'mitm', error: { code: 'MITM_RESPONSE_TIMEOUT' } })
    await expect.poll(() => mitm.connections[0]?.endReason).toBe('failed')
  })

  it('begins when the request has gone out whole', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm({ responseTimeoutMs: 60, hosts: { 'a.test': origin.authority } })
    const client = await connectTo(mitm)
    client.write('POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\n01234')
    const server = await origin.next()
    await server.until('01234')
    await delay(120)
    client.write('56789')
    await server.until('56789')
    server.write('HTTP/1.1 204 No Content\r\n\r\n')
    expect((await takeResponse(client)).status).toBe(204)
    client.end()
  })

  it('begins anew with an interim response, and ends with the head', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm({ responseTimeoutMs: 300, hosts: { 'a.test': origin.authority } })
    const client = await connectTo(mitm)
    client.write(GET)
    const server = await origin.next()
    await server.until('\r\n\r\n')
    for (let at = 0; at < 3; at++) {
      await delay(180)
      server.write('HTTP/1.1 102 Processing\r\n\r\n')
      expect((await takeResponse(client)).status).toBe(102)
    }
    server.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n')
    await delay(400)
    server.write('slow')
    expect(String((await takeResponse(client)).body)).toBe('slow')
    client.end()
  })

  it('counts for each of several that are pipelined, when it is due', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm({ responseTimeoutMs: 300, hosts: { 'a.test': origin.authority } })
    const client = await connectTo(mitm)
    client.write(GET + GET)
    const server = await origin.next()
    await server.until('\r\n\r\n')
    await delay(180)
    server.write('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n')
    expect((await takeResponse(client)).status).toBe(200)
    await delay(180)
    server.write('HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n')
    expect((await takeResponse(client)).status).toBe(201)
    client.write(GET)
    expect((await takeResponse(client)).status).toBe(504)
    client.end()
  })

  it('tells the client of a rewritten response, too', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm({ responseTimeoutMs: 30, hosts: { 'a.test': origin.authority } })
    mitm.get('**').rewriteResponse((response) => ({ headers: { 'x-length': String(response.text().length) } }))
    const client = await connectTo(mitm)
    client.write(GET)
    expect((await takeResponse(client)).status).toBe(504)
    client.end()
  })

  it('leaves alone what a rule answers, and what has become another protocol', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm({ responseTimeoutMs: 20, hosts: { 'a.test': origin.authority } })
    mitm.get('**/slow').delay(60).respond(200, 'late')
    const client = await connectTo(mitm)
    client.write(GET)
    expect((await takeResponse(client)).status).toBe(200)
    client.write('GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n')
    const server = await origin.next()
    await server.until('\r\n\r\n')
    server.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n')
    expect((await takeResponse(client)).status).toBe(101)
    await delay(60)
    client.write('hello')
    expect(String(await server.take(5))).toBe('hello')
    client.end()
    server.end()
  })
})
