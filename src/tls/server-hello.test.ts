import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectTcp, createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { connect, createServer as createTlsServer } from 'node:tls'
import type { ConnectionOptions, TlsOptions } from 'node:tls'

import { describe, expect, it } from 'vitest'

import { identityFor } from '../testing/identity.ts'
import { ServerHelloReader } from './server-hello.ts'
import type { ServerChoice } from './server-hello.ts'

/** All that a server sends in one handshake or two, each with what was agreed. */
async function handshake(
  options: ConnectionOptions,
  tls: TlsOptions = {},
): Promise<{ octets: Buffer; cipher: string; alpn: string | false; isReused: boolean; session: Buffer }> {
  const server = createTlsServer({ ...(await identityFor('pay.test')), ticketKeys: Buffer.alloc(48, 1), ...tls })
  server.on('secureConnection', (socket) => socket.on('error', () => undefined).end('.'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const chunks: Buffer[] = []
  const relay = createServer((client) => {
    const up = connectTcp((server.address() as AddressInfo).port, '127.0.0.1')
    up.on('data', (chunk: Buffer) => chunks.push(chunk))
    client.pipe(up).pipe(client)
  })
  relay.listen(0, '127.0.0.1')
  await once(relay, 'listening')
  const client = connect({
    port: (relay.address() as AddressInfo).port,
    host: '127.0.0.1',
    servername: 'pay.test',
    rejectUnauthorized: false,
    ...options,
  })
  let session: Buffer = Buffer.alloc(0)
  client.on('session', (given: Buffer) => (session = given))
  await once(client, 'secureConnect')
  const agreed = {
    cipher: client.getCipher().standardName,
    alpn: client.alpnProtocol ?? false,
    isReused: client.isSessionReused(),
  }
  client.resume().end()
  await once(client, 'close')
  relay.close()
  server.close()
  return { octets: Buffer.concat(chunks), session, ...agreed }
}

/** What is found when all comes at once, and in two parts, wherever it is cut. */
function found(octets: Buffer): ServerChoice | undefined {
  const whole = new ServerHelloReader().add(octets)
  for (let at = 1; at < Math.min(octets.length, 1500); at++) {
    const reader = new ServerHelloReader()
    expect(reader.add(octets.subarray(0, at)) ?? reader.add(octets.subarray(at))).toEqual(whole)
    expect(reader.isOver).toBe(true)
    expect(reader.add(octets)).toBeUndefined()
  }
  return whole
}

describe('ServerHelloReader', () => {
  it.each(['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'])(
    'reads version and cipher of TLS 1.3, and no more than is in the clear: %s',
    async (ciphers) => {
      const { octets } = await handshake({ ALPNProtocols: ['h2'] }, { ciphers, ALPNProtocols: ['h2'] })
      expect(found(octets)).toEqual({ version: 'TLSv1.3', cipher: ciphers, alpn: undefined, certificates: [] })
    },
  )

  it('reads them of a server that asks the client to try again', async () => {
    const { octets } = await handshake({ ecdhCurve: 'X25519:P-384' }, { ecdhCurve: 'P-384' })
    expect(found(octets)).toMatchObject({ version: 'TLSv1.3', cipher: expect.stringMatching(/^TLS_/) })
  })

  it.each(['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-AES256-SHA', 'ECDHE-ECDSA-CHACHA20-POLY1305'])(
    'reads all of TLS 1.2: %s',
    async (ciphers) => {
      const tls: TlsOptions = {
        ...(await identityFor('pay.test')),
        maxVersion: 'TLSv1.2',
        ciphers,
        ALPNProtocols: ['x', 'h2'],
      }
      const { octets, cipher } = await handshake({ ALPNProtocols: ['h2'], ciphers }, tls)
      const choice = found(octets)
      expect(choice).toMatchObject({ version: 'TLSv1.2', cipher, alpn: 'h2' })
      const [certificate] = choice?.certificates ?? []
      expect(certificate).toEqual(new X509Certificate(String(tls.cert)).raw)
    },
  )

  it('knows that a session of TLS 1.2 that is resumed has no certificate', async () => {
    const tls: TlsOptions = { maxVersion: 'TLSv1.2' }
    const { session } = await handshake({}, tls)
    const { octets, cipher, isReused } = await handshake({ session }, tls)
    expect(isReused).toBe(true)
    expect(found(octets)).toEqual({ version: 'TLSv1.2', cipher, alpn: undefined, certificates: [] })
  })

  it.each<[string, string]>([
    ['an alert', '15 0303 0002 02 28'],
    ['HTTP', '48545450 2f312e31 20343030'],
    ['a handshake message that is no hello', '16 0303 0004 0b 000000'],
    ['a version that there is not', `16 0303 002a 02 000026 0909 ${'00'.repeat(32)} 00 1301 00`],
    ['a length that points past the end', `16 0303 002c 02 000028 0303 ${'00'.repeat(32)} 00 1301 00 00ff`],
  ])('finds nothing in %s, and wants no more of it', (_, text) => {
    const reader = new ServerHelloReader()
    expect(reader.add(Buffer.from(text.replaceAll(' ', ''), 'hex'))).toBeUndefined()
    expect(reader.isOver).toBe(true)
  })

  it('names a suite that it does not know by its number, and a hello without extensions', () => {
    const hello = Buffer.from(
      `16 0303 002a 02 000026 0303 ${'00'.repeat(32)} 00 1399 00 14 0303 0001 01`.replaceAll(' ', ''),
      'hex',
    )
    expect(new ServerHelloReader().add(hello)).toEqual({
      version: 'TLSv1.2',
      cipher: '0x1399',
      alpn: undefined,
      certificates: [],
    })
  })

  it('gives up on a server that never comes to an end', () => {
    const reader = new ServerHelloReader()
    const record = Buffer.concat([Buffer.from('160303400002ffffff', 'hex'), Buffer.alloc(0x4000 - 4)])
    for (let count = 0; count < 20; count++) expect(reader.add(record)).toBeUndefined()
    expect(reader.isOver).toBe(true)
  })
})
