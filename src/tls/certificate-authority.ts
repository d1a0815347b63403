import { createHash, createPrivateKey, randomBytes, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createSecureContext, DEFAULT_CIPHERS, type SecureContext } from 'node:tls'

import { errorText, isMitmError, MitmError } from '../errors.ts'
import type { CertificateFlaw } from '../fault.ts'
import { Lru } from '../internal/lru.ts'
import { invalidOption, type LeafIssuer, type ServerFlaws } from '../options.ts'
import { certificateParts } from './sign-anew.ts'
import { openAuthorityFolder, type PemPair, writeFileAtomically } from './authority-folder.ts'
import { issueFaultyLeaf } from './faulty-leaf.ts'
import { generateKey, issueCertificate, type Issuer, pemOf } from './issue.ts'
import { issueLeaf, leafName, type LeafName, type LeafTemplate, makeLeafTemplate } from './leaf.ts'

const DAY_MS = 24 * 60 * 60 * 1000
const MAX_VALIDITY_DAYS = 36_500
/** Contexts kept per authority. */
const MAX_CONTEXTS = 1000
/** Authorities for refused certificates; there are about 30 reasons, and some hold a name. */
const MAX_REFUSING_AUTHORITIES = 100

/** The options of {@link CertificateAuthority.create}. */
export interface CertificateAuthorityOptions {
  /** Its name, shortened when longer than 64 characters. @defaultValue `playwright-mitm CA` and a random number */
  commonName?: string | undefined
  /** Days until it expires, from 1 to 36500; it is valid from yesterday, for clocks that go wrong. @defaultValue `365` */
  validityDays?: number | undefined
}

/**
 * Signs the certificates that clients are shown.
 *
 * All leaves of an authority have one key and are written after one template, made with the first of them, so that a new
 * host costs little more than a signature. The authority's own key is EC P-256 when made here; loaded ones may be RSA
 * or EC.
 *
 * @example
 * ```ts
 * import { CertificateAuthority } from 'playwright-mitm/core'
 *
 * export const authority: CertificateAuthority = await CertificateAuthority.init('.mitm')
 * ```
 */
export class CertificateAuthority implements LeafIssuer {
  static #shared: Promise<CertificateAuthority> | undefined

  /** The certificate in PEM; if it was loaded with others after it (an intermediate's chain), with those. */
  readonly certificate: string
  readonly #issuer: Issuer
  readonly #contexts = new Lru<string, Promise<SecureContext>>(MAX_CONTEXTS)
  readonly #refusing = new Lru<string, Promise<CertificateAuthority>>(MAX_REFUSING_AUTHORITIES)
  readonly #templates = new Lru<'leaf', Promise<LeafTemplate>>(1)

  private constructor(certificate: string, issuer: Issuer) {
    this.certificate = certificate
    this.#issuer = issuer
  }

  /**
   * Makes a new authority, in memory only.
   *
   * @throws {@link MitmError} `MITM_INVALID_OPTION` for a value out of range; `MITM_CA_FAILED` when it cannot be made.
   */
  static async create(options: CertificateAuthorityOptions = {}): Promise<CertificateAuthority> {
    // Two authorities of one name in one trust store are mistaken for each other by some clients.
    const { commonName = `playwright-mitm CA ${randomBytes(4).toString('hex')}`, validityDays = 365 } = options
    if (typeof commonName !== 'string' || commonName.trim() === '')
      throw invalidOption('commonName', commonName, 'a name')
    if (!Number.isInteger(validityDays) || validityDays < 1 || validityDays > MAX_VALIDITY_DAYS)
      throw invalidOption('validityDays', validityDays, `a whole number from 1 to ${MAX_VALIDITY_DAYS}`)
    try {
      const key = await generateKey()
      const certificate = await issueCertificate(
        {
          commonName,
          notBefore: new Date(Date.now() - DAY_MS),
          notAfter: new Date(Date.now() + validityDays * DAY_MS),
          key,
          extensions: [
            { name: 'basicConstraints', cA: true, critical: true },
            { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
          ],
        },
        'itself',
      )
      return CertificateAuthority.fromPem(certificate, pemOf(key))
    } catch (error) {
      throw caFailed('make a certificate authority', error)
    }
  }

  /**
   * Loads an authority from two PEM files.
   *
   * @throws {@link MitmError} `MITM_CA_FAILED` when a file cannot be read, and as {@link CertificateAuthority.fromPem}.
   */
  static async load(certPath: string, keyPath: string): Promise<CertificateAuthority> {
    try {
      const [certificate, key] = await Promise.all([readFile(certPath, 'utf8'), readFile(keyPath, 'utf8')])
      return CertificateAuthority.fromPem(certificate, key)
    } catch (error) {
      throw caFailed(`load a certificate authority from ${JSON.stringify(certPath)}, ${JSON.stringify(keyPath)}`, error)
    }
  }

  /**
   * Loads the authority kept in a folder (`mitm-ca.pem`, `mitm-ca-key.pem`); makes and saves one when there is none or
   * it has expired. Processes that do so at once all end with the same authority. Needs a file system with hard links.
   *
   * @param folder - Made when it does not exist.
   * @throws {@link MitmError} `MITM_CA_FAILED` when the folder cannot be used, or what is in it is no authority.
   */
  static async init(folder: string): Promise<CertificateAuthority> {
    try {
      const pair = await openAuthorityFolder(folder, {
        create: async () => await CertificateAuthority.create(),
        isCurrent: (stored) => !hasExpired(readIssuer(stored).certificate),
      })
      return CertificateAuthority.fromPem(pair.certificate, pair.privateKey)
    } catch (error) {
      throw caFailed(`open the certificate authority in ${JSON.stringify(folder)}`, error)
    }
  }

  /**
   * Takes an authority from PEM texts.
   *
   * @throws {@link MitmError} `MITM_CA_FAILED` when one of them cannot be read, the certificate is not a CA's or has
   * expired, the key is not the certificate's or neither RSA nor EC.
   */
  static fromPem(certificate: string, key: string): CertificateAuthority {
    const issuer = readIssuer({ certificate, privateKey: key })
    if (hasExpired(issuer.certificate)) throw unusable(`its certificate expired on ${issuer.certificate.validTo}`)
    return new CertificateAuthority(certificate.endsWith('\n') ? certificate : `${certificate}\n`, issuer)
  }

  /** The authority of this process, made on the first call. */
  static shared(): Promise<CertificateAuthority> {
    const known = CertificateAuthority.#shared
    if (known) return known
    const made = CertificateAuthority.create()
    CertificateAuthority.#shared = made
    // The caller gets the rejection; this branch only makes the next call try again.
    made.catch(() => (CertificateAuthority.#shared = undefined))
    return made
  }

  /** The key in PEM (PKCS #8, not encrypted). It shows up neither in `console.log()` nor in JSON. */
  get privateKey(): string {
    return pemOf(this.#issuer.key)
  }

  /** The base64 SHA-256 of the public key, as Chromium's `--ignore-certificate-errors-spki-list` takes it. */
  get spki(): string {
    return createHash('sha256').update(this.#issuer.parts.publicKeyInfo).digest('base64')
  }

  /**
   * Saves both as PEM, the key readable by its owner only (mode 0600) from the first moment on, also where a file with
   * another mode was. Each file is replaced in one step.
   *
   * @throws {@link MitmError} `MITM_CA_FAILED` when a file cannot be written.
   */
  async save(certPath: string, keyPath: string): Promise<void> {
    try {
      await writeFileAtomically(keyPath, this.privateKey, 0o600)
      await writeFileAtomically(certPath, this.certificate, 0o644)
    } catch (error) {
      throw caFailed(`save the certificate authority to ${JSON.stringify(certPath)}, ${JSON.stringify(keyPath)}`, error)
    }
  }

  /**
   * A TLS context for a server of this name, with a leaf for exactly this name and the authority's certificate after it.
   * The last 1000 are kept.
   *
   * @param hostname - A DNS name or an IP address, in any spelling.
   * @throws {@link MitmError} `MITM_CA_FAILED` when no certificate can be made for it.
   */
  async contextFor(hostname: string): Promise<SecureContext> {
    const name = leafName(hostname)
    return await cached(this.#contexts, name.value, async () => {
      try {
        const template = await cached(this.#templates, 'leaf', makeLeafTemplate)
        return createSecureContext({
          key: template.key,
          cert: issueLeaf(name, template, this.#issuer) + this.certificate,
        })
      } catch (error) {
        throw caFailed(`make a certificate for ${JSON.stringify(hostname)}`, error)
      }
    })
  }

  /**
   * A TLS context that clients refuse as they would have refused the server's own certificate: signed by another
   * authority, which nobody trusts. This authority's certificate is not in the chain, because Chromium takes any chain
   * with a key on its list.
   *
   * @param reason - Why; it stands in the issuer's name: `Server certificate refused: CERT_HAS_EXPIRED`.
   * @throws {@link MitmError} `MITM_CA_FAILED` when no certificate can be made for the name.
   */
  async untrustedContextFor(hostname: string, reason: string): Promise<SecureContext> {
    return await (await this.#refusingAuthority(reason)).contextFor(hostname)
  }

  /**
   * A TLS context for a server that is at fault on purpose. With a flaw, the leaf comes alone: this authority's
   * certificate is not in the chain, for the reason given at {@link CertificateAuthority.untrustedContextFor}. Sessions of
   * other contexts are not resumed, so that the certificate is always seen.
   *
   * @param hostname - A DNS name or an IP address, in any spelling.
   * @throws {@link MitmError} `MITM_CA_FAILED` when no certificate can be made for it.
   */
  async faultyContextFor(hostname: string, { flaw, maxVersion }: ServerFlaws): Promise<SecureContext> {
    const name = leafName(hostname)
    return await cached(this.#contexts, `${name.value} ${flaw ?? ''} ${maxVersion ?? ''}`, async () => {
      try {
        const { key, cert } = await this.#identity(name, flaw)
        return createSecureContext({
          key,
          cert,
          // Without one, a client that is asked for a certificate cannot resume a session, and fails.
          sessionIdContext: 'mitm',
          ...(maxVersion && { minVersion: 'TLSv1', maxVersion }),
          // OpenSSL itself would refuse weak signatures and keys, and old versions.
          ciphers: `${DEFAULT_CIPHERS}:@SECLEVEL=0`,
        })
      } catch (error) {
        throw caFailed(`make a certificate for ${JSON.stringify(hostname)}`, error)
      }
    })
  }

  async #identity(name: LeafName, flaw: CertificateFlaw | undefined): Promise<{ key: string; cert: string }> {
    const template = await cached(this.#templates, 'leaf', makeLeafTemplate)
    if (!flaw) return { key: template.key, cert: issueLeaf(name, template, this.#issuer) + this.certificate }
    const issuer = flaw === 'untrusted' ? (await this.#refusingAuthority('unknown authority')).#issuer : this.#issuer
    const leaf = await issueFaultyLeaf(name, flaw, template, issuer)
    return { key: leaf.key, cert: leaf.certificate }
  }

  async #refusingAuthority(reason: string): Promise<CertificateAuthority> {
    return await cached(this.#refusing, reason, async () =>
      CertificateAuthority.create({ commonName: `Server certificate refused: ${reason}` }),
    )
  }
}

/** One creation for all who ask at once; a failed one is forgotten. */
async function cached<Value>(
  cache: Lru<string, Promise<Value>>,
  key: string,
  make: () => Promise<Value>,
): Promise<Value> {
  const known = cache.get(key)
  if (known) return await known
  const made = make()
  cache.set(key, made)
  try {
    return await made
  } catch (error) {
    cache.delete(key, made)
    throw error
  }
}

function readIssuer({ certificate: certificateText, privateKey }: PemPair): Issuer {
  const certificate = attempt('its certificate cannot be read', () => new X509Certificate(certificateText))
  const key = attempt('its key cannot be read (it must be PEM, and not encrypted)', () => createPrivateKey(privateKey))
  if (!certificate.ca) throw unusable('its certificate is not that of a CA, expected CA:TRUE and the right to sign')
  if (!certificate.checkPrivateKey(key)) throw unusable('its key does not belong to its certificate')
  if (key.asymmetricKeyType !== 'rsa' && key.asymmetricKeyType !== 'ec')
    throw unusable(`its key is of the kind ${key.asymmetricKeyType}, expected RSA or EC`)
  return { certificate, key, parts: certificateParts(certificate) }
}

function hasExpired(certificate: X509Certificate): boolean {
  return Date.parse(certificate.validTo) <= Date.now()
}

function attempt<Value>(found: string, action: () => Value): Value {
  try {
    return action()
  } catch (error) {
    throw unusable(`${found}: ${errorText(error)}`, error)
  }
}

function unusable(found: string, cause?: unknown): MitmError {
  return new MitmError('MITM_CA_FAILED', `Cannot use the certificate authority: ${found}`, { cause })
}

function caFailed(tried: string, cause: unknown): MitmError {
  // The cause's text says what is wrong; without its code, which is appended again.
  const found = errorText(cause).replace(/ \[MITM_CA_FAILED\]$/, '')
  if (isMitmError(cause) && cause.code !== 'MITM_CA_FAILED') throw cause
  return new MitmError('MITM_CA_FAILED', `Cannot ${tried}: ${found}`, { cause })
}
