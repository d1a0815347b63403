import { createPrivateKey, X509Certificate } from 'node:crypto'

import { expect, test, vi } from 'vitest'

import { CertificateAuthority } from './certificate-authority.ts'
import type { Issuer } from './issue.ts'
import { issueLeaf, leafName, makeLeafTemplate } from './leaf.ts'
import { certificateParts } from './sign-anew.ts'

const DAY_MS = 24 * 60 * 60 * 1000

async function makeIssuer(validityDays?: number): Promise<Issuer> {
  const authority = await CertificateAuthority.create({ validityDays })
  const certificate = new X509Certificate(authority.certificate)
  return { certificate, parts: certificateParts(certificate), key: createPrivateKey(authority.privateKey) }
}

test.for([
  ['pay.test', 'dns', 'pay.test'],
  ['PAY.Test.', 'dns', 'pay.test'],
  ['my_service.test', 'dns', 'my_service.test'],
  ['bücher.test', 'dns', 'xn--bcher-kva.test'],
  ['xn--bcher-kva.test', 'dns', 'xn--bcher-kva.test'],
  ['1.2', 'dns', '1.2'],
  ['127.0.0.1', 'ip', '127.0.0.1'],
  ['127.0.0.1.', 'ip', '127.0.0.1'],
  ['[::1]', 'ip', '::1'],
  ['0:0:0:0:0:0:0:1', 'ip', '::1'],
  ['FE80::1%eth0', 'ip', 'fe80::1'],
] as const)('leafName() makes %s a %s name, %s', ([hostname, kind, value]) => {
  expect(leafName(hostname)).toEqual({ kind, value })
})

test.for(['', '.', '*', '*.test', 'a b.test', 'a..test', 'a/b', 'a\0.test', 'a,b', '::1::', `${'a.'.repeat(127)}aa`])(
  'leafName() refuses %j',
  (hostname) => {
    expect(() => leafName(hostname)).toThrow(expect.objectContaining({ code: 'MITM_CA_FAILED' }))
  },
)

test('a leaf names its host and nothing else, for servers, back-dated and not too long-lived', async () => {
  const issuer = await makeIssuer(2000)
  const leaf = new X509Certificate(issueLeaf(leafName('pay.test'), await makeLeafTemplate(), issuer))
  expect(leaf.subject).toBe('CN=pay.test')
  expect(leaf.subjectAltName).toBe('DNS:pay.test')
  expect(leaf.ca).toBe(false)
  expect(leaf.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']) // serverAuth, RFC 5280 section 4.2.1.12
  expect(leaf.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' })
  expect(leaf.verify(issuer.certificate.publicKey)).toBe(true)
  expect(leaf.checkIssued(issuer.certificate)).toBe(true)
  const [from, to] = [Date.parse(leaf.validFrom), Date.parse(leaf.validTo)]
  expect(from).toBeLessThanOrEqual(Date.now() - DAY_MS + 1000)
  expect(to - from).toBeLessThanOrEqual(397 * DAY_MS)
  expect(to - from).toBeGreaterThan(390 * DAY_MS)
})

test('a leaf does not outlive its issuer', async () => {
  const issuer = await makeIssuer(3)
  const leaf = new X509Certificate(issueLeaf(leafName('pay.test'), await makeLeafTemplate(), issuer))
  expect(leaf.validTo).toBe(issuer.certificate.validTo)
})

test('leaves of one template have one key, and share neither name, address nor serial number', async () => {
  const issuer = await makeIssuer()
  const template = await makeLeafTemplate()
  const names = ['pay.test', 'shop.test', '10.0.0.1', '2001:db8::7']
  const leaves = names.map((name) => new X509Certificate(issueLeaf(leafName(name), template, issuer)))
  expect(leaves.map(({ subject }) => subject)).toEqual(names.map((name) => `CN=${name}`))
  expect(leaves.map(({ subjectAltName }) => subjectAltName)).toEqual([
    'DNS:pay.test',
    'DNS:shop.test',
    'IP Address:10.0.0.1',
    'IP Address:2001:DB8:0:0:0:0:0:7',
  ])
  expect(new Set(leaves.map(({ serialNumber }) => serialNumber)).size).toBe(4)
  for (const leaf of leaves) {
    expect(leaf.verify(issuer.certificate.publicKey)).toBe(true)
    expect(leaf.checkPrivateKey(createPrivateKey(template.key))).toBe(true)
  }
})

test('the common name of a leaf has at most 64 characters, and its alternative name has all of them', async () => {
  const [fits, long] = [`${'a'.repeat(59)}.test`, `${'a'.repeat(60)}.test`]
  const [issuer, template] = await Promise.all([makeIssuer(), makeLeafTemplate()])
  const [ofFitting, ofLong] = [fits, long].map(
    (name) => new X509Certificate(issueLeaf(leafName(name), template, issuer)),
  )
  expect(ofFitting?.subject).toBe(`CN=${fits}`)
  expect(ofLong?.subject).toBe(`CN=${long.slice(0, 61)}...`)
  expect(ofLong?.subjectAltName).toBe(`DNS:${long}`)
})

test('a leaf is dated by the clock of its own making, not by that of its template', async () => {
  const [issuer, template] = await Promise.all([makeIssuer(2000), makeLeafTemplate()])
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 100 * DAY_MS })
  try {
    const leaf = new X509Certificate(issueLeaf(leafName('pay.test'), template, issuer))
    expect(Math.abs(Date.parse(leaf.validFrom) - Date.now() + DAY_MS)).toBeLessThan(2000)
  } finally {
    vi.useRealTimers()
  }
})

test('serial numbers are positive and never the same', async () => {
  const issuer = await makeIssuer()
  const template = await makeLeafTemplate()
  const leaves = Array.from({ length: 50 }, () => issueLeaf(leafName('a.test'), template, issuer))
  const serials = leaves.map((leaf) => new X509Certificate(leaf).serialNumber)
  expect(new Set(serials).size).toBe(50)
  for (const serial of serials) expect(serial).toMatch(/^[0-9A-F]{8,40}$/)
  // RFC 5280 section 4.1.2.2; a positive INTEGER does not begin with a set bit.
  for (const leaf of leaves) expect(readSerial(new X509Certificate(leaf).raw)[0]).toBeLessThan(0x80)
})

/** The octets of the INTEGER after `version`, in a certificate whose two outer lengths take two octets each. */
function readSerial(raw: Buffer): Buffer {
  const at = raw.indexOf(Buffer.from([0xa0, 3, 2, 1, 2, 2])) + 5
  return raw.subarray(at + 2, at + 2 + (raw[at + 1] ?? 0))
}
