import { X509Certificate } from 'node:crypto'

import { describe, expect, it } from 'vitest'

import { faults, startMitm } from '../index.ts'
import type { CertificateFacts, ConnectionRecord, TestMitm } from '../index.ts'
import { secureWire, tunnelTo } from '../testing/clients.ts'
import type { SecureWire } from '../testing/clients.ts'
import { identityFor, originAuthority } from '../testing/identity.ts'
import type { Identity } from '../testing/identity.ts'
import { tlsWireServer } from '../testing/servers.ts'
import type { WireServer } from '../testing/servers.ts'
import { CertificateAuthority } from './certificate-authority.ts'

async function startFor(origin: WireServer): Promise<TestMitm> {
  return startMitm({
    hosts: { 'pay.test': origin.authority },
    upstream: { ca: (await originAuthority()).certificate },
  })
}

async function secure(mitm: TestMitm, options: object = {}): Promise<SecureWire> {
  const { certificate } = await mitm.certificateAuthority()
  return secureWire(await tunnelTo(mitm, 'pay.test:443'), { ca: certificate, servername: 'pay.test', ...options })
}

/** The record of the first connection, once it tells of the client's handshake. */
async function recordOf(mitm: TestMitm): Promise<ConnectionRecord> {
  await expect.poll(() => mitm.connections[0]?.clientTls).toBeDefined()
  const [record] = mitm.connections
  if (!record) throw new Error('no connection')
  return record
}

function factsOf(pem: string): CertificateFacts {
  const {
    subject,
    issuer,
    subjectAltName = '',
    validFrom,
    validTo,
    fingerprint256,
    serialNumber,
  } = new X509Certificate(pem)
  return { subject, issuer, subjectAltName, validFrom, validTo, fingerprint256, serialNumber }
}

describe('the facts of both handshakes', () => {
  it.each(['TLSv1.3', 'TLSv1.2'] as const)('tell all that was agreed: %s', async (version) => {
    const identity: Identity = await identityFor('pay.test')
    await using origin = await tlsWireServer({ ...identity, maxVersion: version, ALPNProtocols: ['http/1.1'] })
    await using mitm = await startFor(origin)
    const client = await secure(mitm, { ALPNProtocols: ['foo', 'http/1.1'] })
    const record = await recordOf(mitm)
    const ca = factsOf((await originAuthority()).certificate)
    expect(record?.serverTls).toEqual({
      version,
      cipher: expect.stringMatching(/^TLS_/),
      alpn: 'http/1.1',
      offeredAlpn: ['foo', 'http/1.1'],
      serverName: 'pay.test',
      certificate: factsOf(identity.cert),
      chain: [ca],
      clientCertificate: undefined,
      authorizationError: undefined,
    })
    const shown = client.socket.getPeerCertificate()
    expect(record?.clientTls).toEqual({
      version: client.socket.getProtocol(),
      cipher: client.socket.getCipher().standardName,
      alpn: 'http/1.1',
      offeredAlpn: ['foo', 'http/1.1'],
      serverName: 'pay.test',
      certificate: {
        subject: 'CN=pay.test',
        issuer: `CN=${String(shown.issuer.CN)}`,
        subjectAltName: 'DNS:pay.test',
        validFrom: shown.valid_from,
        validTo: shown.valid_to,
        fingerprint256: shown.fingerprint256,
        serialNumber: shown.serialNumber,
      },
      chain: [],
      clientCertificate: undefined,
      authorizationError: undefined,
    })
  })

  it('are there when the connection is over', async () => {
    await using origin = await tlsWireServer(await identityFor('pay.test'))
    await using mitm = await startFor(origin)
    const client = await secure(mitm)
    await recordOf(mitm)
    client.socket.destroy()
    const server = await origin.next()
    server.end()
    await expect.poll(() => mitm.connections[0]?.endedAt).toBeDefined()
    expect(mitm.connections[0]?.serverTls?.chain).toHaveLength(1)
    expect(mitm.connections[0]?.clientTls?.certificate?.subject).toBe('CN=pay.test')
  })

  it('tell the certificate that the client presented, where it was asked for one', async () => {
    await using origin = await tlsWireServer(await identityFor('pay.test'))
    await using mitm = await startFor(origin)
    mitm.when({ host: 'pay.test' }).fault(faults.tlsRequireClientCertificate())
    const mine = await identityFor('me.test')
    await secure(mitm, mine)
    await expect.poll(() => mitm.connections[0]?.clientTls?.clientCertificate).toEqual(factsOf(mine.cert))
  })

  it('tell a chain only as far as it is known: one that is not sent, of an authority that is not trusted', async () => {
    const identity = await identityFor('pay.test')
    await using origin = await tlsWireServer(identity)
    await using mitm = await startMitm({ hosts: { 'pay.test': origin.authority } })
    await secure(mitm, { rejectUnauthorized: false })
    expect((await recordOf(mitm)).serverTls).toMatchObject({
      certificate: factsOf(identity.cert),
      chain: [],
      authorizationError: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    })
  })

  it('tell a chain of several, nearest first', async () => {
    const authority = await CertificateAuthority.create({ commonName: 'Another CA' })
    const context = await authority.contextFor('pay.test')
    await using origin = await tlsWireServer({ SNICallback: (_, done) => done(null, context) })
    await using mitm = await startMitm({ hosts: { 'pay.test': origin.authority } })
    await secure(mitm, { rejectUnauthorized: false })
    // Sent with the leaf, though nobody trusts it.
    expect((await recordOf(mitm)).serverTls?.chain).toEqual([factsOf(authority.certificate)])
  })
})
