/** Clients that refuse the mitm's certificate: what each of them does, and that the record says so in words. */
import { execFile, spawnSync } from 'node:child_process'
import { createHash, X509Certificate } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ConnectionOptions } from 'node:tls'
import { promisify } from 'node:util'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import type { ConnectionRecord } from '../middleware/connection-record.ts'
import { startMitm } from '../test-mitm.ts'
import type { TestMitm } from '../test-mitm.ts'
import { secureWire, tunnelTo } from '../testing/clients.ts'
import { identityFor, originAuthority } from '../testing/identity.ts'
import type { Identity } from '../testing/identity.ts'
import { httpServer } from '../testing/servers.ts'
import type { HttpServer } from '../testing/servers.ts'

const run = promisify(execFile)
const hasCurl = spawnSync('curl', ['--version']).status === 0
const hasPython = spawnSync('python3', ['-c', 'import ssl']).status === 0

let identity: Identity
let origin: HttpServer
let mitm: TestMitm
/** A file with the authority of the origin alone. */
let cacert: string

beforeEach(async () => {
  identity = await identityFor('pinned.test')
  origin = await httpServer(undefined, identity)
  mitm = await startMitm({
    hosts: { 'pinned.test': origin.authority },
    upstream: { ca: (await originAuthority()).certificate },
  })
  cacert = join(String(mitm.env()['SSL_CERT_FILE']), '..', 'origin-ca.pem')
  writeFileSync(cacert, (await originAuthority()).certificate)
})

afterEach(async () => {
  await mitm.close()
  await origin[Symbol.asyncDispose]()
})

/** The record of the one connection, once that is over. Nothing of it may have reached the server's own program. */
async function refusal(): Promise<ConnectionRecord> {
  await expect.poll(() => mitm.connections[0]?.endedAt, { timeout: 5000 }).toBeDefined()
  const [record] = mitm.connections
  if (!record) throw new Error('no connection')
  expect(origin.requests).toEqual([])
  expect(mitm.errors).toEqual(record.errors)
  return record
}

function expectWords(record: ConnectionRecord, words: string): void {
  expect(record.errors).toEqual([expect.objectContaining({ code: 'MITM_CLIENT_TLS_FAILED', side: 'client' })])
  const [error] = record.errors
  expect(error?.message).toContain('pinned.test')
  expect(error?.message).toContain(words)
  expect(error?.message).toContain('passthrough: ["pinned.test"]')
  expect(record.serverTls?.serverName).toBe('pinned.test')
}

describe.each(['1.3', '1.2'] as const)('in TLS %s', (version) => {
  const only = [`--tlsv${version}`, '--tls-max', version]

  it.skipIf(!hasCurl)('curl that does not know the authority says unknown_ca', async () => {
    const args = ['-sS', ...only, '--proxy', mitm.url, '--cacert', cacert, 'https://pinned.test/']
    await expect(run('curl', args)).rejects.toMatchObject({ code: 60 })
    const record = await refusal()
    expectWords(record, "the alert unknown_ca (48); it does not trust the mitm's certificate authority")
    expect(record).toMatchObject({ endReason: 'failed', layers: ['connect'] })
  })

  it.skipIf(!hasCurl)('curl that pins the key of the server leaves after the handshake', async () => {
    const key = new X509Certificate(identity.cert).publicKey.export({ type: 'spki', format: 'der' })
    const pin = `sha256//${createHash('sha256').update(key).digest('base64')}`
    const args = ['-sS', ...only, '--pinnedpubkey', pin, 'https://pinned.test/']
    const env = { ...process.env, ...mitm.env() }
    await expect(run('curl', args, { env })).rejects.toMatchObject({ code: 90 })
    const record = await refusal()
    expectWords(record, "pins the server's own certificate")
    expect(record.layers.slice(0, 2)).toEqual(['connect', 'tls'])

    // What the message says to do.
    await using through = await startMitm({
      hosts: { 'pinned.test': origin.authority },
      upstream: { ca: (await originAuthority()).certificate },
      passthrough: ['pinned.test'],
    })
    const { stdout } = await run('curl', args, { env: { ...process.env, ...through.env() } })
    expect(stdout).toBe('GET /')
    expect(through.connections[0]).toMatchObject({ layers: ['connect', 'tls-passthrough'], errors: [] })
  })

  it.each<[string, () => Promise<ConnectionOptions>]>([
    ['that does not know the authority', async () => ({ ca: (await originAuthority()).certificate })],
    [
      'that pins the certificate of the server',
      async () => ({ ca: (await mitm.certificateAuthority()).certificate, checkServerIdentity: demandPinned }),
    ],
  ])('Node %s leaves after the handshake, without a word', async (_, options) => {
    const versions = { minVersion: `TLSv${version}`, maxVersion: `TLSv${version}` } as const
    const wire = await tunnelTo(mitm, 'pinned.test:443')
    const secured = secureWire(wire, { servername: 'pinned.test', ...versions, ...(await options()) })
    await expect(secured).rejects.toThrow(/self-signed|unable to|not the certificate/)
    expectWords(await refusal(), 'the connection without an alert')
  })

  it.skipIf(!hasPython)('Python that does not know the authority says unknown_ca', async () => {
    const program = `
import http.client, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[1])
context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv${version.replace('.', '_')}
connection = http.client.HTTPSConnection('127.0.0.1', int(sys.argv[2]), context=context)
connection.set_tunnel('pinned.test', 443)
connection.request('GET', '/')
`
    await expect(run('python3', ['-c', program, cacert, String(mitm.port)])).rejects.toThrow(
      /CERTIFICATE_VERIFY_FAILED/,
    )
    expectWords(await refusal(), 'the alert unknown_ca (48)')
  })
})

describe('what is no refusal of a certificate', () => {
  it.skipIf(!hasCurl)('is not taken for one: no version in common', async () => {
    await using old = await startMitm({ hosts: { 'pinned.test': origin.authority } })
    old.get('https://pinned.test/').respond(200)
    const args = ['-sS', '--tls-max', '1.1', '--ciphers', 'ALL:@SECLEVEL=0', '--proxy', old.url, 'https://pinned.test/']
    await expect(run('curl', args)).rejects.toMatchObject({ code: 35 })
    await expect.poll(() => old.errors.map(({ code }) => code)).toEqual(['MITM_CLIENT_TLS_FAILED'])
    expect(old.errors[0]?.message).toContain('unsupported protocol')
    expect(old.errors[0]?.message).not.toContain('passthrough')
  })
})

function demandPinned(_: string, { fingerprint256 }: { readonly fingerprint256: string }): Error | undefined {
  if (fingerprint256 === new X509Certificate(identity.cert).fingerprint256) return undefined
  return new Error('not the certificate of the server')
}
