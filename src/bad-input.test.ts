import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { startMitm } from './test-mitm.ts'
import type { TestMitm } from './test-mitm.ts'
import { connectTo, secureWire, takeResponse, tunnelTo } from './testing/clients.ts'
import { identityFor } from './testing/identity.ts'
import { closedPort, httpServer, wireServer } from './testing/servers.ts'

let mitm: TestMitm

beforeEach(async () => {
  mitm = await startMitm({
    handshakeTimeoutMs: 80,
    connectTimeoutMs: 80,
    idleTimeoutMs: 400,
    firstBytesWaitMs: 10,
    maxHeadBytes: 4096,
  })
})

// Whatever came, the proxy must serve the next one.
afterEach(async () => {
  await using origin = await httpServer()
  const client = await connectTo(mitm)
  client.write(`GET ${origin.origin}/alive HTTP/1.1\r\nHost: a\r\n\r\n`)
  expect(String((await takeResponse(client)).body)).toBe('GET /alive')
  await mitm.close()
})

const codes = (): string[] => mitm.errors.map(({ code }) => code)

/** Waits until the first connection is over, and tells how. */
async function outcome(): Promise<{ endReason: string | undefined; codes: string[] }> {
  await expect.poll(() => mitm.connections[0]?.endedAt, { timeout: 3000 }).toBeDefined()
  const { endReason, errors = [] } = mitm.connections[0] ?? {}
  return { endReason, codes: errors.map(({ code }) => code) }
}

const HELLO_START = Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3])

/** A label longer than DNS allows: known to be no name without asking anybody. */
const NO_NAME = `${'x'.repeat(64)}.test`

describe('a client', () => {
  it.each<[string, Buffer | string, string]>([
    ['garbage', Buffer.from([0x99, 0x88, 0, 1, 2, 3]), 'MITM_NO_PROTOCOL'],
    ['a line of no protocol', 'HELO mail.test\r\n', 'MITM_NO_PROTOCOL'],
    ['an SSH banner', 'SSH-2.0-OpenSSH_9.6\r\n', 'MITM_NO_PROTOCOL'],
    ['an HTTP/0.9 request', 'GET /\r\n', 'MITM_NO_PROTOCOL'],
    ['a TLS record that holds no hello', Buffer.from([0x16, 3, 1, 0, 5, 0x77, 0, 0, 1, 0]), 'MITM_MALFORMED_TLS'],
    ['SOCKS5 with no methods', Buffer.from([5, 0]), 'MITM_MALFORMED_SOCKS'],
  ])('that sends %s is closed with a code', async (_, octets, code) => {
    const client = await connectTo(mitm)
    client.write(octets)
    await client.rest()
    client.end()
    expect(await outcome()).toEqual({ endReason: 'failed', codes: [code] })
  })

  it.each<[string, Buffer | string]>([
    ['a TLS hello', HELLO_START],
    ['a TLS record head', HELLO_START.subarray(0, 3)],
    ['a SOCKS5 greeting', Buffer.from([5, 3, 0])],
    ['a SOCKS4 request', Buffer.from([4, 1, 0])],
    ['a method', 'GE'],
    ['a request head', 'GET http://a.test/ HTTP/1.1\r\nHost: a'],
    ['a CONNECT head', 'CONNECT a.test:443 HTTP/1.1\r\nHost: a.te'],
  ])('that sends half of %s and then nothing, or a FIN, is closed in time', async (_, octets) => {
    const silent = await connectTo(mitm)
    silent.write(octets)
    expect(await silent.ended).toBe('fin')
    silent.end()
    expect(await outcome()).toEqual({ endReason: 'failed', codes: ['MITM_INCOMPLETE_HANDSHAKE'] })
    mitm.reset()
    const leaving = await connectTo(mitm)
    leaving.end(octets)
    await leaving.ended
    expect(await outcome()).toEqual({ endReason: 'failed', codes: ['MITM_INCOMPLETE_HANDSHAKE'] })
  })

  it('that never speaks is closed in time', async () => {
    const client = await connectTo(mitm)
    expect(await client.ended).toBe('fin')
    client.end()
    expect(await outcome()).toEqual({ endReason: 'failed', codes: ['MITM_SILENT_CLIENT'] })
  })

  it('that connects and leaves is no error', async () => {
    const client = await connectTo(mitm)
    client.end()
    expect(await outcome()).toEqual({ endReason: 'client-closed', codes: [] })
    mitm.reset()
    const scanner = await connectTo(mitm)
    scanner.reset()
    expect((await outcome()).endReason).toBe('client-reset')
  })

  it.each([
    ['absolute-form', (head: string) => `GET http://a.test/ HTTP/1.1\r\n${head}`],
    ['CONNECT', (head: string) => `CONNECT a.test:443 HTTP/1.1\r\n${head}`],
  ])('with a head that is too large is answered 431: %s', async (_, make) => {
    const client = await connectTo(mitm)
    client.write(make(`X: ${'x'.repeat(5000)}\r\n\r\n`))
    const response = await takeResponse(client)
    expect([response.status, response.headers['x-playwright-mitm-error']]).toEqual([431, 'MITM_HEAD_TOO_LARGE'])
    client.end()
    expect(await outcome()).toEqual({ endReason: 'failed', codes: ['MITM_HEAD_TOO_LARGE'] })
  })

  it('with a head that never ends is answered 431 as soon as the limit is passed', async () => {
    const client = await connectTo(mitm)
    client.write(`GET http://a.test/ HTTP/1.1\r\nX: ${'x'.repeat(6000)}`)
    expect((await takeResponse(client)).status).toBe(431)
  })

  it.each([
    ['no Host', 'GET /a HTTP/1.1\r\n\r\n'],
    ['an empty Host', 'GET /a HTTP/1.1\r\nHost:\r\n\r\n'],
    ['a Host that is none', 'GET /a HTTP/1.1\r\nHost: a b\r\n\r\n'],
    ['a port that is none', 'GET /a HTTP/1.1\r\nHost: a.test:port\r\n\r\n'],
    ['the asterisk and no Host', 'OPTIONS * HTTP/1.1\r\n\r\n'],
    ['an absolute URL without a host', 'GET http:///a HTTP/1.1\r\n\r\n'],
    ['CONNECT to a path', 'CONNECT /a HTTP/1.1\r\n\r\n'],
  ])('whose request does not say where it goes is answered 400: %s', async (_, request) => {
    const client = await connectTo(mitm)
    client.write(request)
    const response = await takeResponse(client)
    expect([response.status, response.headers['x-playwright-mitm-error']]).toEqual([400, 'MITM_MALFORMED_HTTP'])
    client.end()
    expect((await outcome()).codes).toEqual(['MITM_MALFORMED_HTTP'])
  })

  it('that stops in the midst of a request body is closed when it is idle', async () => {
    await using origin = await wireServer()
    const client = await tunnelTo(mitm, origin.authority)
    client.write('POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf')
    const server = await origin.next()
    await Promise.all([client.ended, server.ended])
    client.end()
    server.end()
    expect(await outcome()).toEqual({ endReason: 'idle-timeout', codes: ['MITM_IDLE_TIMEOUT'] })
    expect(mitm.exchanges[0]).toMatchObject({ endReason: 'idle-timeout', request: { isComplete: false, bodySize: 4 } })
  })
})

describe('a server', () => {
  it.each(['never answers', 'closes', 'resets', 'answers with garbage'])(
    'that %s in the TLS handshake',
    async (how) => {
      await using origin = await wireServer()
      const wire = await tunnelTo(mitm, origin.authority)
      const server = await origin.next()
      const failed = secureWire(wire, { servername: 'a.test', rejectUnauthorized: false }).catch(
        (error: unknown) => error,
      )
      await server.take(1)
      if (how === 'closes') server.end()
      if (how === 'resets') server.reset()
      if (how === 'answers with garbage') server.write('HTTP/1.1 400 Bad Request\r\n\r\n')
      expect(await failed).toBeInstanceOf(Error)
      const result = await outcome()
      expect(result.codes).toEqual([how === 'never answers' ? 'MITM_SERVER_TLS_TIMEOUT' : 'MITM_SERVER_TLS_FAILED'])
      expect(mitm.errors[0]).toMatchObject({ side: 'server', authority: origin.authority })
    },
  )

  it('that never answers HTTP is given up when the connection is idle', async () => {
    await using origin = await wireServer()
    const client = await tunnelTo(mitm, origin.authority)
    client.write('GET /a HTTP/1.1\r\nHost: a\r\n\r\n')
    const server = await origin.next()
    await Promise.all([client.ended, server.ended])
    client.end()
    server.end()
    expect(await outcome()).toEqual({ endReason: 'idle-timeout', codes: ['MITM_IDLE_TIMEOUT'] })
    expect(mitm.exchanges[0]?.endReason).toBe('idle-timeout')
  })

  it.each([
    ['refuses', async () => `127.0.0.1:${await closedPort()}`, 502, 'MITM_DIAL_FAILED'],
    ['has no address', () => Promise.resolve(`${NO_NAME}:80`), 502, 'MITM_DNS_FAILED'],
  ])('that %s is answered to CONNECT and to a request, never with a bare FIN', async (_, find, status, code) => {
    const authority = await find()
    for (const request of [
      `CONNECT ${authority} HTTP/1.1\r\n\r\n`,
      `GET http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\n\r\n`,
    ]) {
      const client = await connectTo(mitm)
      client.write(request)
      const response = await takeResponse(client)
      expect([response.status, response.headers['x-playwright-mitm-error']]).toEqual([status, code])
      expect(String(response.body)).toContain(authority)
      client.end()
    }
    expect(codes()).toEqual([code, code])
  })

  it('that is the proxy itself is not dialled: 508', async () => {
    for (const host of ['127.0.0.1', 'localhost']) {
      const authority = `${host}:${mitm.port}`
      for (const request of [
        `CONNECT ${authority} HTTP/1.1\r\n\r\n`,
        `GET http://${authority}/ HTTP/1.1\r\nHost: ${authority}\r\n\r\n`,
        `GET / HTTP/1.1\r\nHost: ${authority}\r\n\r\n`,
      ]) {
        const client = await connectTo(mitm)
        client.write(request)
        expect((await takeResponse(client)).status).toBe(508)
        client.end()
      }
    }
    expect(new Set(codes())).toEqual(new Set(['MITM_LOOP']))
    expect(mitm.connections).toHaveLength(6)
  })

  it.each([
    ['two lengths that differ', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd'],
    [
      'length and chunks',
      'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['an obfuscated coding', 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n'],
    [
      'a coding with a space before the colon',
      'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n',
    ],
    ['a negative length', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n'],
    ['a signed length', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc'],
    ['a chunk size that is none', 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nabc'],
  ])('gets requests that cannot be framed as they are: %s', async (_, request) => {
    await using origin = await wireServer()
    const client = await tunnelTo(mitm, origin.authority)
    const smuggled = `${request}GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n`
    client.write(smuggled)
    const server = await origin.next()
    expect(String(await server.take(smuggled.length))).toBe(smuggled)
    server.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
    expect(await client.rest()).toContain('400 Bad Request')
    client.end()
    await outcome()
    expect(mitm.exchanges.map(({ endReason }) => endReason)).toEqual(['opaque'])
    expect(mitm.connections[0]?.layers).toContain('opaque')
  })

  it.each([
    ['garbage', '\0\x01\x02 nonsense\r\n\r\n'],
    ['a status that is none', 'HTTP/1.1 twohundred OK\r\n\r\n'],
    ['two lengths that differ', 'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd'],
    ['a head that is too large', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(5000)}\r\n\r\n`],
  ])('whose response cannot be framed is shown as it is: %s', async (_, response) => {
    await using origin = await wireServer()
    const client = await tunnelTo(mitm, origin.authority)
    client.write('GET /a HTTP/1.1\r\nHost: a\r\n\r\n')
    const server = await origin.next()
    await server.until('\r\n\r\n')
    server.end(response)
    expect(await client.rest()).toBe(response)
    client.end()
    await outcome()
    expect(mitm.exchanges[0]?.endReason).toBe('opaque')
  })

  it('that speaks before it was asked is shown as it is', async () => {
    await using origin = await wireServer()
    const client = await tunnelTo(mitm, origin.authority)
    const server = await origin.next()
    server.write('HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n')
    expect(await client.until('\r\n\r\n')).toContain('408')
  })

  it('with a certificate for another port than was asked is none of our business: TLS goes where the client said', async () => {
    await using origin = await httpServer(undefined, await identityFor('localhost'))
    const wire = await tunnelTo(mitm, origin.authority)
    await expect(secureWire(wire, { servername: 'localhost' })).rejects.toThrow()
  })
})
