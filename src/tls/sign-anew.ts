/**
 * Signs a certificate from `selfsigned` anew, with what that cannot write:
 *
 * - key identifiers, which RFC 5280 sections 4.2.1.1 and 4.2.1.2 demand and which Python 3.13 and
 *   `openssl verify -x509_strict` insist on;
 * - the issuer's name, octet for octet as in the issuer's certificate. Written anew from text it could differ from the
 *   subject of a CA that another program made (PrintableString or UTF8String), and some clients compare octets;
 * - what is a leaf's own, so that one certificate of `selfsigned` serves as the template of all leaves: making one
 *   takes it several milliseconds, and writing it anew a tenth of one.
 */
import { createHash, sign, type KeyObject, type X509Certificate } from 'node:crypto'

import { readChildren, readElements, TAG, writeElement, writeExtension } from './der.ts'

const SUBJECT_KEY_ID = Buffer.from([0x55, 0x1d, 0x0e])
const AUTHORITY_KEY_ID = Buffer.from([0x55, 0x1d, 0x23])
/** KeyIdentifier is `[0] IMPLICIT` in AuthorityKeyIdentifier. */
const KEY_IDENTIFIER_TAG = 0x80
/** AlgorithmIdentifiers: of RFC 5758 section 3.2, and of RFC 4055 section 5, with the NULL that it demands. */
const SIGNATURE_ALGORITHMS = {
  sha256: {
    ec: Buffer.from('300a06082a8648ce3d040302', 'hex'),
    rsa: Buffer.from('300d06092a864886f70d01010b0500', 'hex'),
  },
  // RFC 3279 section 2.2: nobody should accept these any more.
  sha1: {
    ec: Buffer.from('300906072a8648ce3d0401', 'hex'),
    rsa: Buffer.from('300d06092a864886f70d0101050500', 'hex'),
  },
} as const

/** What a chain needs of a certificate, as DER. */
export interface CertificateParts {
  /** The Name element. */
  readonly subject: Buffer
  /** The SubjectPublicKeyInfo element. */
  readonly publicKeyInfo: Buffer
  /** The octets of its subject key identifier; those it should have, when it has none. */
  readonly keyId: Buffer
}

/** What a certificate says otherwise than the one it is written after, as whole elements. */
export interface OwnFields {
  readonly serial: Buffer
  readonly validity: Buffer
  /** The Name element. */
  readonly subject: Buffer
  /** An extension that it has beside those of the other one, if any. */
  readonly extension?: Buffer | undefined
  /** The SubjectPublicKeyInfo element. @defaultValue that of the other one */
  readonly publicKeyInfo?: Buffer | undefined
  /** What the signature is made over. @defaultValue `'sha256'` */
  readonly digest?: 'sha256' | 'sha1' | undefined
}

/** Takes out of a certificate what a chain needs. */
export function certificateParts(certificate: X509Certificate): CertificateParts {
  const fields = readFields(certificate)
  const subject = fields.at(5)?.whole ?? Buffer.alloc(0)
  const publicKeyInfo = fields.at(6)?.whole ?? Buffer.alloc(0)
  const extensions = fields.find(({ tag }) => tag === TAG.extensions)
  const extension = (extensions ? readChildren(extensions.content) : []).find(({ content }) =>
    readElements(content)[0]?.content.equals(SUBJECT_KEY_ID),
  )
  const value = extension && readElements(extension.content).find(({ tag }) => tag === TAG.octetString)
  const keyId = value && readElements(value.content)[0]?.content
  return { subject, publicKeyInfo, keyId: keyId ?? hashPublicKey(publicKeyInfo) }
}

/**
 * Writes a certificate anew: with key identifiers, and issued and signed by `issuer`.
 *
 * ```
 * Certificate     SEQUENCE  TBSCertificate, algorithm, BIT STRING signature
 * TBSCertificate  SEQUENCE  [0] version, serial, algorithm, issuer, validity, subject, key, [3] extensions
 * ```
 *
 * @param certificate - An X.509 v3 certificate with extensions, and without key identifiers.
 * @param issuer - Whose name and key identifier it gets as issuer; `'itself'` for a root.
 * @param issuerKey - The key that signs: RSA or EC.
 * @param ownFields - What it is to say otherwise; without them it says the same.
 * @returns PEM.
 */
export function signAnew(
  certificate: X509Certificate,
  issuer: CertificateParts | 'itself',
  issuerKey: KeyObject,
  ownFields?: OwnFields,
): string {
  const template = certificateParts(certificate)
  const { subject = template.subject, publicKeyInfo, digest = 'sha256' } = ownFields ?? {}
  const own = { keyId: publicKeyInfo ? hashPublicKey(publicKeyInfo) : template.keyId }
  const authority = issuer === 'itself' ? { subject, keyId: own.keyId } : issuer
  const keyIds = [
    writeExtension(SUBJECT_KEY_ID, writeElement(TAG.octetString, own.keyId)),
    writeExtension(AUTHORITY_KEY_ID, writeElement(TAG.sequence, writeElement(KEY_IDENTIFIER_TAG, authority.keyId))),
  ]
  const algorithm = SIGNATURE_ALGORITHMS[digest][issuerKey.asymmetricKeyType === 'rsa' ? 'rsa' : 'ec']
  const { serial, validity, extension: ownExtension } = ownFields ?? {}
  const others = [undefined, serial, algorithm, authority.subject, validity, subject, publicKeyInfo]
  const fields = readFields(certificate).map(({ tag, content, whole }, index) => {
    if (tag !== TAG.extensions) return others[index] ?? whole
    const extensions = readChildren(content).map((extension) => extension.whole)
    if (ownExtension) extensions.push(ownExtension)
    return writeElement(TAG.extensions, writeElement(TAG.sequence, ...extensions, ...keyIds))
  })
  const toBeSigned = writeElement(TAG.sequence, ...fields)
  // A BIT STRING begins with the number of unused bits in its last octet.
  const signature = writeElement(TAG.bitString, Buffer.from([0]), sign(digest, toBeSigned, issuerKey))
  return toPem(writeElement(TAG.sequence, toBeSigned, algorithm, signature))
}

/** The fields of the TBSCertificate. */
function readFields(certificate: X509Certificate): ReturnType<typeof readElements> {
  return readElements(readChildren(certificate.raw)[0]?.content ?? Buffer.alloc(0))
}

/** RFC 5280 section 4.2.1.2, method 1: SHA-1 of the key's bits. It is a name, not a protection. */
function hashPublicKey(publicKeyInfo: Buffer): Buffer {
  const bits = readChildren(publicKeyInfo)[1]?.content.subarray(1) ?? Buffer.alloc(0)
  return createHash('sha1').update(bits).digest()
}

/** RFC 7468 section 5.1. Not by way of X509Certificate, which parses for longer than all else here takes. */
function toPem(certificate: Buffer): string {
  const lines = certificate.toString('base64').replace(/.{1,64}/g, '$&\n')
  return `-----BEGIN CERTIFICATE-----\n${lines}-----END CERTIFICATE-----\n`
}
