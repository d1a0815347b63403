import { execFile, execFileSync } from 'node:child_process'
import { createHash, generateKeyPairSync, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type AddressInfo, createServer, isIP } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { checkServerIdentity, connect, type DetailedPeerCertificate, type SecureContext, TLSSocket } from 'node:tls'
import { inspect, promisify } from 'node:util'

import { describe, expect, test, vi } from 'vitest'

import { CertificateAuthority } from './certificate-authority.ts'
import { generateKey, issueCertificate, pemOf } from './issue.ts'

const run = promisify(execFile)
const DAY_MS = 24 * 60 * 60 * 1000
const LONG_NAME = `${'long-label.'.repeat(8)}test`
const hasOpenssl = canRunOpenssl()

function canRunOpenssl(): boolean {
  try {
    execFileSync('openssl', ['version'])
    return true
  } catch {
    return false
  }
}

/** What a client saw of a server. */
interface Shown {
  /** The certificates, leaf first, as far as the server sent them or the client has them. */
  readonly chain: readonly DetailedPeerCertificate[]
  /** The code with which the client refused them. */
  readonly refusal: string | undefined
}

/** Has a client that trusts `ca` connect to a server with this context, and check that it is `name`. */
async function shakeHands(context: SecureContext, name: string, ca: string): Promise<Shown> {
  const server = createServer((socket) => {
    new TLSSocket(socket, { isServer: true, secureContext: context }).on('error', () => {}).resume()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  // Boundary: a server on a port has an AddressInfo.
  const { port } = server.address() as AddressInfo
  const client = connect({
    host: '127.0.0.1',
    port,
    ca,
    rejectUnauthorized: false,
    ...(isIP(name) ? {} : { servername: name }),
    checkServerIdentity: (_host, certificate) => checkServerIdentity(name, certificate),
  })
  await once(client, 'secureConnect')
  const chain: DetailedPeerCertificate[] = []
  for (let at = client.getPeerCertificate(true); at && at !== chain.at(-1); at = at.issuerCertificate) chain.push(at)
  // Node's types say Error; it is the code, or the Error of checkServerIdentity.
  const error: unknown = client.authorizationError ?? undefined
  client.destroy()
  server.close()
  await once(server, 'close')
  const code = error instanceof Error && 'code' in error ? error.code : error
  return { chain, refusal: typeof code === 'string' ? code : undefined }
}

/** The certificates that the server itself sends: a client fills gaps from what it trusts, so it trusts another. */
async function sentChain(context: SecureContext, name: string): Promise<string[]> {
  const stranger = await CertificateAuthority.create()
  const { chain } = await shakeHands(context, name, stranger.certificate)
  return chain.map(({ raw }) => new X509Certificate(raw).toString())
}

/** Runs `use` with texts written into files. */
async function withFiles(texts: readonly string[], use: (paths: string[]) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'mitm-ca-'))
  try {
    const paths = texts.map((_, index) => join(folder, `${index}.pem`))
    await Promise.all(paths.map((path, index) => writeFile(path, texts[index] ?? '')))
    await use(paths)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function expectStrictlyValid(context: SecureContext, name: string, authority: string): Promise<void> {
  const [leaf = ''] = await sentChain(context, name)
  await withFiles([authority, leaf], async ([ca = '', cert = '']) => {
    const check = isIP(name) ? ['-verify_ip', name] : ['-verify_hostname', name]
    const verify = ['verify', '-x509_strict', '-check_ss_sig', '-purpose', 'sslserver', ...check, '-CAfile', ca, cert]
    expect((await run('openssl', verify)).stdout).toContain('OK')
  })
}

describe('contextFor()', () => {
  test.for(['pay.test', 'my_service.test', '127.0.0.1', '::1', '2001:db8::7', LONG_NAME, `${'a'.repeat(63)}.test`])(
    'makes a certificate for %s that a client accepts',
    async (name) => {
      const authority = await CertificateAuthority.create()
      const { refusal } = await shakeHands(await authority.contextFor(name), name, authority.certificate)
      expect(refusal).toBeUndefined()
    },
  )

  test('makes a certificate that clients refuse for every other name', async () => {
    const authority = await CertificateAuthority.create()
    const context = await authority.contextFor('pay.test')
    for (const other of ['shop.test', 'www.pay.test', 'test', '127.0.0.1']) {
      const { refusal } = await shakeHands(context, other, authority.certificate)
      expect(refusal).toBe('ERR_TLS_CERT_ALTNAME_INVALID')
    }
  })

  test('sends the leaf and the certificate of the authority', async () => {
    const authority = await CertificateAuthority.create()
    const chain = await sentChain(await authority.contextFor('pay.test'), 'pay.test')
    expect(chain).toHaveLength(2)
    expect(chain[1]).toBe(authority.certificate)
  })

  test('gives one context for all spellings of a name, also when asked at once', async () => {
    const authority = await CertificateAuthority.create()
    const names = ['pay.test', 'PAY.test', 'pay.test.', 'pay.test']
    const contexts = await Promise.all(names.map((name) => authority.contextFor(name)))
    expect(new Set(contexts).size).toBe(1)
    expect(await authority.contextFor('other.test')).not.toBe(contexts[0])
  })

  test('refuses what cannot be a name with MITM_CA_FAILED', async () => {
    const authority = await CertificateAuthority.create()
    await expect(authority.contextFor('*.test')).rejects.toMatchObject({ code: 'MITM_CA_FAILED' })
  })

  test.runIf(hasOpenssl).for(['pay.test', '127.0.0.1', '::1', LONG_NAME])(
    'makes a certificate for %s that satisfies the strict check of OpenSSL',
    async (name) => {
      const authority = await CertificateAuthority.create()
      await expectStrictlyValid(await authority.contextFor(name), name, authority.certificate)
    },
  )

  test.runIf(hasOpenssl)('signs with an authority that another program made, RSA too', async () => {
    for (const key of [['rsa:2048'], ['ec', '-pkeyopt', 'ec_paramgen_curve:secp384r1']]) {
      await withFiles(['', ''], async ([certPath = '', keyPath = '']) => {
        // A country is a PrintableString: a name that does not survive being written anew from its text.
        const subject = ['-subj', '/C=CH/O=Acme, Inc./CN=Acme "Test" CA', '-addext', 'keyUsage=critical,keyCertSign']
        const command = ['req', '-x509', '-newkey', ...key, '-nodes', '-days', '9', '-out', certPath]
        await run('openssl', [...command, '-keyout', keyPath, ...subject])
        const authority = await CertificateAuthority.load(certPath, keyPath)
        const context = await authority.contextFor('pay.test')
        expect((await shakeHands(context, 'pay.test', authority.certificate)).refusal).toBeUndefined()
        await expectStrictlyValid(context, 'pay.test', authority.certificate)
      })
    }
  })
})

describe('untrustedContextFor()', () => {
  test('makes a certificate for the right name that clients refuse, and says why in the name of the issuer', async () => {
    const authority = await CertificateAuthority.create()
    const context = await authority.untrustedContextFor('pay.test', 'CERT_HAS_EXPIRED')
    const { chain, refusal } = await shakeHands(context, 'pay.test', authority.certificate)
    expect(refusal).toBe('SELF_SIGNED_CERT_IN_CHAIN')
    expect(chain[0]?.subjectaltname).toBe('DNS:pay.test')
    expect(chain[0]?.issuer.CN).toBe('Server certificate refused: CERT_HAS_EXPIRED')
  })

  test('sends neither the certificate nor the key of the authority', async () => {
    const authority = await CertificateAuthority.create()
    const chain = await sentChain(await authority.untrustedContextFor('pay.test', 'reason'), 'pay.test')
    expect(chain.length).toBeGreaterThan(0)
    for (const certificate of chain) expect(spkiOf(certificate)).not.toBe(authority.spki)
  })

  test('keeps contexts by name and reason, apart from the trusted ones', async () => {
    const authority = await CertificateAuthority.create()
    const [first, same, otherReason, otherName, trusted] = await Promise.all([
      authority.untrustedContextFor('a.test', 'EXPIRED'),
      authority.untrustedContextFor('a.test', 'EXPIRED'),
      authority.untrustedContextFor('a.test', 'REVOKED'),
      authority.untrustedContextFor('b.test', 'EXPIRED'),
      authority.contextFor('a.test'),
    ])
    expect(same).toBe(first)
    expect(new Set([first, otherReason, otherName, trusted]).size).toBe(4)
  })

  test.for(['a, CN=other', 'x+y="z"', '#1234', 'ends with \\', 'two\nlines', '<;>', 'ünï', '', 'x'.repeat(300)])(
    'takes any text for a reason, such as %j',
    async (reason) => {
      const authority = await CertificateAuthority.create()
      const context = await authority.untrustedContextFor('pay.test', reason)
      const { chain } = await shakeHands(context, 'pay.test', authority.certificate)
      const issuer = chain[0]?.issuer
      expect(Object.keys(issuer ?? {})).toEqual(['CN'])
      expect(issuer?.CN).toMatch(/^Server certificate refused:/)
      expect(Array.from(String(issuer?.CN)).length).toBeLessThanOrEqual(64)
    },
  )
})

describe('fromPem()', () => {
  test('refuses a key of another certificate', async () => {
    const [one, other] = await Promise.all([CertificateAuthority.create(), CertificateAuthority.create()])
    expect(() => CertificateAuthority.fromPem(one.certificate, other.privateKey)).toThrow(
      /key does not belong to its certificate \[MITM_CA_FAILED\]$/,
    )
  })

  test('refuses a certificate that is not that of a CA', async () => {
    const key = await generateKey()
    const certificate = await issueCertificate(
      {
        commonName: 'pay.test',
        notBefore: new Date(),
        notAfter: new Date(Date.now() + DAY_MS),
        key,
        extensions: [{ name: 'basicConstraints', cA: false, critical: true }],
      },
      'itself',
    )
    expect(() => CertificateAuthority.fromPem(certificate, pemOf(key))).toThrow(/not that of a CA/)
  })

  test('refuses an expired certificate, and texts that are none', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 400 * DAY_MS })
    const expired = await CertificateAuthority.create()
    vi.useRealTimers()
    expect(() => CertificateAuthority.fromPem(expired.certificate, expired.privateKey)).toThrow(/expired on/)
    expect(() => CertificateAuthority.fromPem('none', expired.privateKey)).toThrow(/certificate cannot be read/)
    expect(() => CertificateAuthority.fromPem(expired.certificate, 'none')).toThrow(/key cannot be read/)
  })

  test('refuses an encrypted key in words', async () => {
    const { certificate } = await CertificateAuthority.create()
    const { privateKey } = generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' },
    })
    expect(() => CertificateAuthority.fromPem(certificate, privateKey)).toThrow(/not encrypted/)
  })
})

describe('create()', () => {
  test('makes a CA that may sign only, valid from yesterday on', async () => {
    const authority = await CertificateAuthority.create({ commonName: 'Acme, Inc. CA', validityDays: 10 })
    const certificate = new X509Certificate(authority.certificate)
    expect(certificate.ca).toBe(true)
    expect(certificate.toLegacyObject().subject).toEqual({ CN: 'Acme, Inc. CA' })
    expect(certificate.verify(certificate.publicKey)).toBe(true)
    expect(Date.parse(certificate.validFrom)).toBeLessThanOrEqual(Date.now() - DAY_MS + 1000)
    expect(Math.abs(Date.parse(certificate.validTo) - Date.now() - 10 * DAY_MS)).toBeLessThan(60_000)
  })

  test.runIf(hasOpenssl)('marks basic constraints and key usage as critical', async () => {
    const authority = await CertificateAuthority.create()
    await withFiles([authority.certificate], async ([path = '']) => {
      const { stdout } = await run('openssl', ['x509', '-noout', '-text', '-in', path])
      expect(stdout).toMatch(/Basic Constraints: critical\s+CA:TRUE/)
      expect(stdout).toMatch(/Key Usage: critical\s+Certificate Sign, CRL Sign/)
      expect(stdout).toContain('Signature Algorithm: ecdsa-with-SHA256')
    })
  })

  test('makes a CA that outlives the year 2050', async () => {
    const authority = await CertificateAuthority.create({ validityDays: 36_500 })
    const context = await authority.contextFor('pay.test')
    expect((await shakeHands(context, 'pay.test', authority.certificate)).refusal).toBeUndefined()
    expect(new Date(new X509Certificate(authority.certificate).validTo).getFullYear()).toBeGreaterThan(2100)
  })

  test.for([{ validityDays: 0 }, { validityDays: 1.5 }, { validityDays: 36_501 }, { commonName: ' ' }])(
    'refuses %j with MITM_INVALID_OPTION',
    async (options) => {
      await expect(CertificateAuthority.create(options)).rejects.toMatchObject({ code: 'MITM_INVALID_OPTION' })
    },
  )
})

test('the private key is neither in the text nor in the JSON of an authority', async () => {
  const authority = await CertificateAuthority.create()
  await authority.contextFor('pay.test')
  const secret = authority.privateKey.split('\n')[1] ?? ''
  expect(secret).toHaveLength(64)
  for (const text of [inspect(authority, { depth: 9, showHidden: true, getters: false }), JSON.stringify(authority)]) {
    expect(text).toContain('BEGIN CERTIFICATE')
    expect(text).not.toContain('PRIVATE KEY')
    expect(text).not.toContain(secret)
  }
})

test('spki is the hash of the public key that Chromium computes', async () => {
  const authority = await CertificateAuthority.create()
  expect(authority.spki).toBe(spkiOf(authority.certificate))
  expect(authority.spki).toMatch(/^[A-Za-z0-9+/]{43}=$/)
})

test('shared() gives the same authority to all who ask', async () => {
  const [first, second] = await Promise.all([CertificateAuthority.shared(), CertificateAuthority.shared()])
  expect(second).toBe(first)
})

test('load() says which files it tried', async () => {
  await expect(CertificateAuthority.load('/none/cert.pem', '/none/key.pem')).rejects.toMatchObject({
    code: 'MITM_CA_FAILED',
    message: expect.stringMatching(/"\/none\/cert\.pem".*ENOENT/),
  })
})

function spkiOf(certificate: string): string {
  const key = new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'der' })
  return createHash('sha256').update(key).digest('base64')
}
