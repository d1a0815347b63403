/** The certificates that clients are shown: one for each name, valid for nothing else. */
import { createPrivateKey } from 'node:crypto'
import type { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { domainToASCII } from 'node:url'

import { MitmError } from '../errors.ts'
import { generateKey, type Issuer, makeCertificate, pemOf, shortenName } from './issue.ts'
import { writeCommonName, writeSerial, writeSubjectAltName, writeValidity } from './leaf-fields.ts'
import { signAnew } from './sign-anew.ts'

const DAY_MS = 24 * 60 * 60 * 1000
/** With the day of back-dating below the 397 days after which browsers call a certificate too long-lived. */
const VALIDITY_DAYS = 395
/** RFC 1035 section 2.3.4, in text and without the trailing dot. */
const MAX_NAME_LENGTH = 253
/** Underscores are not host names by RFC 952, but people use them, and browsers go there. */
const DNS_NAME = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/

/** What a leaf is made out to. */
export interface LeafName {
  readonly kind: 'dns' | 'ip'
  /** Lower case and ASCII, without trailing dot, brackets or zone; an IPv6 address in its shortest form. */
  readonly value: string
}

/**
 * Brings a host name into the form in which it stands in a certificate, so that one host has one leaf.
 *
 * @param hostname - A DNS name (also in Unicode, or with a trailing dot) or an IP address, with or without brackets.
 * @throws {@link MitmError} `MITM_CA_FAILED` when no certificate could hold it: empty, a wildcard, longer than 253
 * characters, or with characters that names cannot have.
 */
export function leafName(hostname: string): LeafName {
  const address = hostname
    .replace(/\.$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/%.*$/, '')
  const family = isIP(address)
  if (family === 4) return { kind: 'ip', value: address }
  if (family === 6) return { kind: 'ip', value: new URL(`http://[${address}]`).hostname.slice(1, -1) }
  // ASCII names do not go through domainToASCII: it takes 1.2 for the address 1.0.0.2.
  const ascii = /^[\0-\x7f]*$/.test(hostname) ? hostname.toLowerCase() : domainToASCII(hostname)
  const value = ascii.replace(/\.$/, '')
  if (value.length <= MAX_NAME_LENGTH && DNS_NAME.test(value)) return { kind: 'dns', value }
  throw new MitmError(
    'MITM_CA_FAILED',
    `Cannot make a certificate for ${JSON.stringify(hostname)}: it is neither a host name nor an IP address`,
  )
}

/** What all leaves of an authority have in common. */
export interface LeafTemplate {
  /** The certificate that they are written after. */
  readonly certificate: X509Certificate
  /** Their key in PEM: EC P-256. Kept, because exporting it takes nearly as long as writing a leaf. */
  readonly key: string
}

/** Makes the template, with a new key: some milliseconds of work, and much more for the first one of a process. */
export async function makeLeafTemplate(): Promise<LeafTemplate> {
  const key = await generateKey()
  const now = new Date()
  const certificate = await makeCertificate({
    commonName: 'template',
    notBefore: now,
    notAfter: now,
    key,
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
    ],
  })
  return { certificate, key: pemOf(key) }
}

/** What is otherwise than in a good leaf. */
export interface LeafVariation {
  /** From when until when it is valid. */
  readonly validity?: { readonly notBefore: Date; readonly notAfter: Date } | undefined
  /** Whether it names a host beside its subject. @defaultValue `true` */
  readonly hasAltName?: boolean | undefined
  /** Whose key signs it: the issuer's, or its own. @defaultValue `'issuer'` */
  readonly signedBy?: 'issuer' | 'itself' | undefined
  /** What the signature is made over. @defaultValue `'sha256'` */
  readonly digest?: 'sha256' | 'sha1' | undefined
  /** The key that it is for, as a SubjectPublicKeyInfo element. @defaultValue the template's */
  readonly publicKeyInfo?: Buffer | undefined
}

/**
 * Makes a leaf: for one name, for servers only, back-dated by a day, valid for a little more than a year and never
 * longer than its issuer.
 *
 * @param name - What it is made out to; as the only subject alternative name (RFC 6125 section 6.4.4).
 * @param template - Says the rest; its key is the leaf's.
 * @param variation - What is to be otherwise, for a leaf that is faulty on purpose.
 * @returns PEM.
 */
export function issueLeaf(
  name: LeafName,
  template: LeafTemplate,
  issuer: Issuer,
  variation: LeafVariation = {},
): string {
  const { hasAltName = true, signedBy = 'issuer', digest, publicKeyInfo } = variation
  const { notBefore, notAfter } = variation.validity ?? goodValidity(issuer)
  const isOwnIssuer = signedBy === 'itself'
  const key = isOwnIssuer ? createPrivateKey(template.key) : issuer.key
  return signAnew(template.certificate, isOwnIssuer ? 'itself' : issuer.parts, key, {
    serial: writeSerial(),
    validity: writeValidity(notBefore, notAfter),
    subject: writeCommonName(shortenName(name.value)),
    extension: hasAltName ? writeSubjectAltName(name.kind, name.value) : undefined,
    publicKeyInfo,
    digest,
  })
}

function goodValidity({ certificate }: Issuer): { notBefore: Date; notAfter: Date } {
  const now = Date.now()
  return {
    notBefore: new Date(Math.max(now - DAY_MS, Date.parse(certificate.validFrom))),
    notAfter: new Date(Math.min(now + VALIDITY_DAYS * DAY_MS, Date.parse(certificate.validTo))),
  }
}
