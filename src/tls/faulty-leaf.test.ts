import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'

import { describe, expect, it } from 'vitest'

import type { CertificateFlaw } from '../fault.ts'
import { CertificateAuthority } from './certificate-authority.ts'
import { issueFaultyLeaf } from './faulty-leaf.ts'
import { leafName, makeLeafTemplate } from './leaf.ts'
import { certificateParts } from './sign-anew.ts'

const FLAWS: readonly CertificateFlaw[] = [
  'expired',
  'notYetValid',
  'wrongHost',
  'noSan',
  'untrusted',
  'selfSigned',
  'sha1',
  'weakKey',
]

async function leafWith(flaw: CertificateFlaw) {
  const authority = await CertificateAuthority.create()
  const certificate = new X509Certificate(authority.certificate)
  const issuer = { certificate, key: createPrivateKey(authority.privateKey), parts: certificateParts(certificate) }
  const made = await issueFaultyLeaf(leafName('pay.test'), flaw, await makeLeafTemplate(), issuer)
  return { leaf: new X509Certificate(made.certificate), key: createPrivateKey(made.key), issuer: certificate }
}

/** What is wrong with a leaf for `pay.test`, of those things that this test knows. */
function faultsOf({ leaf, issuer }: { leaf: X509Certificate; issuer: X509Certificate }): string[] {
  const now = Date.now()
  const key = createPublicKey(leaf.publicKey.export({ type: 'spki', format: 'pem' }))
  // AlgorithmIdentifier of ecdsa-with-SHA1.
  const isSha1 = leaf.raw.includes(Buffer.from('06072a8648ce3d0401', 'hex'))
  const found: Readonly<Record<string, boolean>> = {
    expired: Date.parse(leaf.validTo) < now,
    'not yet valid': Date.parse(leaf.validFrom) > now,
    'for another host': leaf.checkHost('pay.test', { subject: 'always' }) === undefined,
    'no alternative name': leaf.subjectAltName === undefined,
    'not of its issuer': !leaf.verify(issuer.publicKey),
    'of itself': leaf.verify(leaf.publicKey),
    'of SHA-1': isSha1,
    'of RSA': key.asymmetricKeyType === 'rsa',
  }
  return Object.keys(found).filter((name) => found[name])
}

describe('issueFaultyLeaf()', () => {
  it.each<[CertificateFlaw, string[]]>([
    ['expired', ['expired']],
    ['notYetValid', ['not yet valid']],
    ['wrongHost', ['for another host']],
    ['noSan', ['no alternative name']],
    // Who signs is up to the caller.
    ['untrusted', []],
    ['selfSigned', ['not of its issuer', 'of itself']],
    ['sha1', ['of SHA-1']],
    ['weakKey', ['of RSA']],
  ])('makes a leaf that is faulty in one way: %s', async (flaw, found) => {
    expect(faultsOf(await leafWith(flaw))).toEqual(found)
  })

  it.each(FLAWS)('gives the key that is in the leaf: %s', async (flaw) => {
    const { leaf, key } = await leafWith(flaw)
    expect(leaf.checkPrivateKey(key)).toBe(true)
  })

  it('makes a weak key of 1024 bits', async () => {
    const { key } = await leafWith('weakKey')
    expect(key.asymmetricKeyDetails?.modulusLength).toBe(1024)
  })
})

describe('faultyContextFor()', () => {
  it('makes one context for all who ask for the same', async () => {
    const authority = await CertificateAuthority.create()
    const first = await authority.faultyContextFor('pay.test', { flaw: 'expired' })
    expect(await authority.faultyContextFor('PAY.test.', { flaw: 'expired' })).toBe(first)
    expect(await authority.faultyContextFor('pay.test', { flaw: 'sha1' })).not.toBe(first)
    expect(await authority.contextFor('pay.test')).not.toBe(first)
    expect(first).toBeInstanceOf(createSecureContext().constructor)
  })

  it('refuses a name that no certificate can hold', async () => {
    const authority = await CertificateAuthority.create()
    await expect(authority.faultyContextFor('*.pay.test', { flaw: 'expired' })).rejects.toMatchObject({
      code: 'MITM_CA_FAILED',
    })
  })
})
