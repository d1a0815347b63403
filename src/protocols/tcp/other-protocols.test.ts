/** Protocols that are not HTTP, as they are spoken: by who speaks first, in octets of any kind, to their ends. */
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { TLSSocket } from 'node:tls'

import { describe, expect, it } from 'vitest'

import { startMitm } from '../../test-mitm.ts'
import type { TestMitm } from '../../test-mitm.ts'
import { secureWire, socksTo, tunnelTo } from '../../testing/clients.ts'
import { identityFor, originAuthority } from '../../testing/identity.ts'
import type { Identity } from '../../testing/identity.ts'
import { wireServer } from '../../testing/servers.ts'
import { Wire } from '../../testing/wire.ts'

type Door = 'CONNECT' | 'SOCKS5'

const DOORS: readonly Door[] = ['CONNECT', 'SOCKS5']

function enter(mitm: TestMitm, door: Door, port: number): Promise<Wire> {
  return door === 'CONNECT' ? tunnelTo(mitm, `127.0.0.1:${port}`) : socksTo(mitm, '127.0.0.1', port)
}

/** Takes a TCP connection that was talked on over to TLS, as a server. */
async function secureAsServer(wire: Wire, { key, cert }: Identity): Promise<Wire> {
  wire.socket.removeAllListeners('data')
  const socket = new TLSSocket(wire.socket, { isServer: true, key, cert })
  socket.on('error', () => undefined)
  await once(socket, 'secure')
  return new Wire(socket)
}

describe.each(DOORS)('through %s', (door) => {
  it('mail, with a greeting by the server, commands, and TLS from STARTTLS on, which is between the two ends', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm({ firstBytesWaitMs: 20 })
    const client = await enter(mitm, door, origin.port)
    const server = await origin.next()
    server.write('220 mail.test ESMTP\r\n')
    expect(await client.until('\r\n')).toBe('220 mail.test ESMTP\r\n')
    client.write('EHLO me.test\r\n')
    expect(await server.until('\r\n')).toBe('EHLO me.test\r\n')
    server.write('250-mail.test\r\n250 STARTTLS\r\n')
    await client.until('250 STARTTLS\r\n')
    client.write('STARTTLS\r\n')
    await server.until('STARTTLS\r\n')
    server.write('220 Go ahead\r\n')
    await client.until('220 Go ahead\r\n')

    const identity = await identityFor('mail.test')
    const { certificate: ca } = await originAuthority()
    const [secured, secureServer] = await Promise.all([
      secureWire(client, { ca, servername: 'mail.test' }),
      secureAsServer(server, identity),
    ])
    secured.write('MAIL FROM:<a@me.test>\r\n')
    expect(await secureServer.until('\r\n')).toBe('MAIL FROM:<a@me.test>\r\n')
    secureServer.end('221 Bye\r\n')
    expect(await secured.rest()).toBe('221 Bye\r\n')
    secured.end()
    await expect.poll(() => mitm.connections[0]?.endedAt).toBeDefined()
    expect(mitm.connections[0]).toMatchObject({
      layers: [door === 'CONNECT' ? 'connect' : 'socks5', 'tcp'],
      clientTls: undefined,
      endReason: 'server-closed',
      errors: [],
    })
  })

  it('a greeting that comes with the very first packet, and one that comes late', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm({ firstBytesWaitMs: 50 })
    for (const isLate of [false, true]) {
      const opening = enter(mitm, door, origin.port)
      const server = await origin.next()
      if (!isLate) server.write('hello\r\n')
      const client = await opening
      if (isLate) {
        await new Promise((resolve) => setTimeout(resolve, 200))
        server.write('hello\r\n')
      }
      expect(await client.until('\r\n')).toBe('hello\r\n')
      client.write('and you\r\n')
      expect(await server.until('\r\n')).toBe('and you\r\n')
    }
  })

  it('both speaking at once', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    const opening = enter(mitm, door, origin.port)
    const server = await origin.next()
    server.write('SSH-2.0-server\r\n')
    const client = await opening
    client.write('SSH-2.0-client\r\n')
    expect(await client.until('\r\n')).toBe('SSH-2.0-server\r\n')
    expect(await server.until('\r\n')).toBe('SSH-2.0-client\r\n')
  })

  it.each([0x00, 0x04, 0x05, 0x15, 0x17, 0x80, 0xff])(
    'frames of octets, the client first, that begin with %s',
    async (first) => {
      await using origin = await wireServer()
      await using mitm = await startMitm()
      const client = await enter(mitm, door, origin.port)
      const frames = Array.from({ length: 50 }, (_, at) => {
        const body = randomBytes(1 + at * 997)
        const head = Buffer.from([first, 0, 0, 0, 0])
        head.writeUInt32BE(body.length, 1)
        return Buffer.concat([head, body])
      })
      client.write(frames[0] ?? '')
      const server = await origin.next()
      for (const frame of frames.slice(1)) client.write(frame)
      // Answers each frame by its digest.
      for (const frame of frames) {
        const got = await server.take(frame.length)
        expect(got.equals(frame)).toBe(true)
        server.write(createHash('sha256').update(got).digest())
      }
      for (const frame of frames) {
        expect(await client.take(32)).toEqual(createHash('sha256').update(frame).digest())
      }
      expect(mitm.connections[0]?.layers.at(-1)).toBe('tcp')
      expect(mitm.exchanges).toEqual([])
    },
  )

  it('a client that says all, ends, and is answered at length', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm()
    const client = await enter(mitm, door, origin.port)
    const question = randomBytes(300_000)
    client.end(question)
    const server = await origin.next()
    expect(await server.ended).toBe('fin')
    expect((await server.take(question.length)).equals(question)).toBe(true)
    const answer = randomBytes(3_000_000)
    server.end(answer)
    expect((await client.take(answer.length)).equals(answer)).toBe(true)
    expect(await client.ended).toBe('fin')
    await expect.poll(() => mitm.connections[0]?.endedAt).toBeDefined()
    expect(mitm.connections[0]).toMatchObject({
      endReason: 'client-closed',
      errors: [],
      bytesFromServer: answer.length,
    })
  })

  it('a client that ends at once, and a server that ends while the client goes on', async () => {
    await using origin = await wireServer()
    await using mitm = await startMitm({ firstBytesWaitMs: 20 })
    const silent = await enter(mitm, door, origin.port)
    silent.end()
    const first = await origin.next()
    expect(await first.ended).toBe('fin')
    first.end('all the same')
    expect(await silent.rest()).toBe('all the same')

    const talking = await enter(mitm, door, origin.port)
    const second = await origin.next()
    second.end('bye')
    expect(await talking.rest()).toBe('bye')
    talking.end('still here')
    expect(await second.rest()).toBe('still here')
    await expect
      .poll(() => mitm.connections.map(({ endReason, endedAt }) => endedAt && endReason))
      .toEqual(['client-closed', 'server-closed'])
  })
})
