/** `clientData` and `serverData` on what is not HTTP: what they see of each kind of connection, and what they may do. */
import { randomBytes } from 'node:crypto'

import { describe, expect, it } from 'vitest'

import type { Middleware } from './middleware.ts'
import { startMitm } from './test-mitm.ts'
import type { TestMitm } from './test-mitm.ts'
import { secureWire, socks5Request, socksTo, tunnelTo } from './testing/clients.ts'
import { identityFor, originAuthority } from './testing/identity.ts'
import { tlsWireServer, wireServer } from './testing/servers.ts'
import type { WireServer } from './testing/servers.ts'
import { gate } from './testing/waits.ts'
import type { Wire } from './testing/wire.ts'

type Kind = 'raw in CONNECT' | 'raw in SOCKS5' | 'TLS in CONNECT' | 'TLS in SOCKS5'

const KINDS: readonly Kind[] = ['raw in CONNECT', 'raw in SOCKS5', 'TLS in CONNECT', 'TLS in SOCKS5']

/** All that hooks were given, by side. */
class Seen implements Middleware {
  readonly name = 'seen'
  readonly client: Buffer[] = []
  readonly server: Buffer[] = []

  clientData(_: unknown, data: Buffer): Buffer {
    this.client.push(data)
    return data
  }

  serverData(_: unknown, data: Buffer): Buffer {
    this.server.push(data)
    return data
  }

  text(side: 'client' | 'server'): string {
    return Buffer.concat(this[side]).toString('latin1')
  }
}

/** What opens the tunnel, as the hooks see it. */
function preludeOf(kind: Kind): string {
  if (kind.endsWith('CONNECT')) return 'CONNECT talk.test:99 HTTP/1.1\r\nHost: talk.test:99\r\n\r\n'
  return Buffer.concat([Buffer.from([5, 1, 0]), socks5Request('talk.test', 99)]).toString('latin1')
}

async function withBoth(
  kind: Kind,
  middlewares: readonly Middleware[],
  use: (ends: { client: Wire; server: Promise<Wire>; mitm: TestMitm }) => Promise<void>,
): Promise<void> {
  const isSecure = kind.startsWith('TLS')
  await using origin: WireServer = isSecure ? await tlsWireServer(await identityFor('talk.test')) : await wireServer()
  await using mitm = await startMitm({
    hosts: { 'talk.test': origin.authority },
    upstream: { ca: (await originAuthority()).certificate },
    firstBytesWaitMs: 20,
    middlewares,
  })
  const { certificate: ca } = await mitm.certificateAuthority()
  const tunnel = kind.endsWith('CONNECT') ? await tunnelTo(mitm, 'talk.test:99') : await socksTo(mitm, 'talk.test', 99)
  const client = isSecure ? await secureWire(tunnel, { ca, servername: 'talk.test' }) : tunnel
  await use({ client, server: origin.next(), mitm })
}

describe.each(KINDS)('hooks for octets, %s', (kind) => {
  it('see the request for the tunnel and every octet in it, decrypted, and no handshake', async () => {
    const seen = new Seen()
    const said = { client: randomBytes(200_000), server: randomBytes(300_000) }
    await withBoth(kind, [seen], async ({ client, server: accepted, mitm }) => {
      client.write(said.client)
      const server = await accepted
      expect((await server.take(said.client.length)).equals(said.client)).toBe(true)
      server.end(said.server)
      expect((await client.take(said.server.length)).equals(said.server)).toBe(true)
      client.end()
      await expect.poll(() => mitm.connections[0]?.endedAt).toBeDefined()
      expect(seen.text('client')).toBe(preludeOf(kind) + said.client.toString('latin1'))
      expect(seen.text('server')).toBe(said.server.toString('latin1'))
      expect(mitm.connections[0]?.bytesFromClient).toBe(seen.text('client').length)
      expect(mitm.connections[0]?.bytesFromServer).toBe(seen.text('server').length)
    })
  })

  it('see a server that speaks first', async () => {
    const seen = new Seen()
    await withBoth(kind, [seen], async ({ client, server: accepted }) => {
      const server = await accepted
      server.write('220 hello\r\n')
      expect(await client.until('\r\n')).toBe('220 hello\r\n')
      expect(seen.text('server')).toBe('220 hello\r\n')
      expect(seen.text('client')).toBe(preludeOf(kind))
    })
  })

  it('see what comes after the other side has ended', async () => {
    const seen = new Seen()
    await withBoth(kind, [seen], async ({ client, server: accepted, mitm }) => {
      client.end('last words')
      const server = await accepted
      expect(await server.rest()).toBe('last words')
      server.end('long after')
      expect(await client.rest()).toBe('long after')
      await expect.poll(() => mitm.connections[0]?.endedAt).toBeDefined()
      expect(seen.text('client')).toBe(`${preludeOf(kind)}last words`)
      expect(seen.text('server')).toBe('long after')
      expect(mitm.connections[0]).toMatchObject({ endReason: 'client-closed', errors: [] })
    })
  })

  it('change octets both ways, swallow them, and add to them, up to the last before an end', async () => {
    const upper: Middleware = {
      clientData: ({ destination }, data) => (destination ? Buffer.from(String(data).toUpperCase()) : data),
      serverData: (_, data) => Buffer.from(String(data).replaceAll(/\d/g, '').concat('.')),
    }
    await withBoth(kind, [upper], async ({ client, server: accepted }) => {
      client.end('ping')
      const server = await accepted
      expect(await server.rest()).toBe('PING')
      server.end('p0ng')
      expect(await client.rest()).toBe('png.')
    })
  })

  it('hold the octets back until a promise of theirs settles, and the end behind them', async () => {
    const held = gate()
    let count = 0
    const slow: Middleware = {
      async serverData(_, data) {
        count++
        await held.opened
        return data
      },
    }
    await withBoth(kind, [slow], async ({ client, server: accepted }) => {
      const server = await accepted
      server.end('held')
      await expect.poll(() => count).toBe(1)
      expect(client.buffered).toHaveLength(0)
      held.open()
      expect(await client.rest()).toBe('held')
    })
  })

  it('that throw end the connection, with their error', async () => {
    const broken: Middleware = {
      name: 'broken',
      serverData() {
        throw new Error('no idea')
      },
    }
    await withBoth(kind, [broken], async ({ client, server: accepted, mitm }) => {
      const server = await accepted
      server.write('a')
      await Promise.all([client.ended, server.ended])
      await expect.poll(() => mitm.connections[0]?.endedAt).toBeDefined()
      expect(mitm.connections[0]).toMatchObject({
        endReason: 'failed',
        errors: [{ code: 'MITM_MIDDLEWARE_FAILED', message: expect.stringContaining('no idea') }],
      })
    })
  })
})

describe('hooks for octets, where TLS begins in the midst of a raw connection', () => {
  it('see it as the octets that it is', async () => {
    const seen = new Seen()
    await withBoth('raw in SOCKS5', [seen], async ({ client, server: accepted }) => {
      client.write('STARTTLS\r\n')
      const server = await accepted
      await server.until('\r\n')
      server.write('220 go\r\n')
      await client.until('\r\n')
      const hello = Buffer.from([0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0])
      client.write(hello)
      expect(await server.take(hello.length)).toEqual(hello)
      expect(seen.text('client').endsWith(hello.toString('latin1'))).toBe(true)
    })
  })
})
