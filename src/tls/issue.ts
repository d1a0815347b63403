/** Makes certificates: the only file that knows `selfsigned`. */
import { createPublicKey, generateKeyPair, type KeyObject, X509Certificate } from 'node:crypto'
import { promisify } from 'node:util'

import type { CertificateExtension, generate as Generate } from 'selfsigned'

import { type CertificateParts, signAnew } from './sign-anew.ts'

/** The longest common name that X.520 allows (`ub-common-name` in RFC 5280 appendix A). */
const MAX_COMMON_NAME = 64

let generate: typeof Generate | undefined

/** Who signs. */
export interface Issuer {
  readonly certificate: X509Certificate
  readonly parts: CertificateParts
  /** RSA or EC. */
  readonly key: KeyObject
}

/** What a certificate says. */
export interface CertificateRequest {
  /** Shortened when it is longer than 64 characters. */
  readonly commonName: string
  readonly notBefore: Date
  readonly notAfter: Date
  readonly extensions: CertificateExtension[]
  /** The key that it is for: EC P-256. */
  readonly key: KeyObject
}

/** Makes a key: EC P-256. */
export async function generateKey(): Promise<KeyObject> {
  const { privateKey } = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' })
  return privateKey
}

/**
 * Makes a certificate.
 *
 * `selfsigned` always makes one that is signed by its own key, and {@link signAnew} puts the issuer in. Its own way with
 * an issuer takes twice as long (it builds and verifies the chain each time), reads the issuer's key as if it were of
 * the subject's kind, and can garble the issuer's name.
 *
 * @param request - What it says.
 * @param issuer - Who signs it; `'itself'` for a root.
 * @returns PEM.
 */
export async function issueCertificate(request: CertificateRequest, issuer: Issuer | 'itself'): Promise<string> {
  const certificate = await makeCertificate(request)
  return issuer === 'itself'
    ? signAnew(certificate, 'itself', request.key)
    : signAnew(certificate, issuer.parts, issuer.key)
}

/**
 * Makes a certificate as `selfsigned` does: signed by the key that it is for, and without key identifiers. It is
 * something to be signed anew, and nothing to be shown.
 */
export async function makeCertificate(request: CertificateRequest): Promise<X509Certificate> {
  // Loading it takes some 100 ms, and a proxy that sees no TLS never needs it. Kept, because a loader such as tsx takes
  // milliseconds to find a module again.
  generate ??= (await import('selfsigned')).generate
  const { key } = request
  const { cert } = await generate([{ name: 'commonName', value: toNameText(request.commonName) }], {
    // Its default is SHA-1, which OpenSSL 3 refuses.
    algorithm: 'sha256',
    keyType: 'ec',
    curve: 'P-256',
    keyPair: {
      privateKey: pemOf(key),
      publicKey: createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString(),
    },
    notBeforeDate: request.notBefore,
    notAfterDate: request.notAfter,
    extensions: request.extensions,
  })
  return new X509Certificate(cert)
}

/** A key as PKCS #8 in PEM. */
export function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString()
}

/** A common name of at most 64 characters: a longer one ends with `...`. */
export function shortenName(commonName: string): string {
  const characters = Array.from(commonName)
  return characters.length > MAX_COMMON_NAME ? `${characters.slice(0, MAX_COMMON_NAME - 3).join('')}...` : commonName
}

/** `selfsigned` takes names as the text of RFC 4514 and escapes nothing. */
function toNameText(commonName: string): string {
  return shortenName(commonName)
    .replace(/[\p{Cc}\\"#<>;]/gu, ' ')
    .trim()
    .replace(/[,+=]/g, '\\$&')
}
