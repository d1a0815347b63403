/** Certificates for the servers of tests. */
import { createPrivateKey, X509Certificate } from 'node:crypto'

import { CertificateAuthority } from '../tls/certificate-authority.ts'
import { generateKey, issueCertificate, pemOf } from '../tls/issue.ts'
import { leafName } from '../tls/leaf.ts'
import { certificateParts } from '../tls/sign-anew.ts'

const DAY_MS = 24 * 60 * 60 * 1000

let roots: Promise<CertificateAuthority> | undefined

/** The authority that signs the servers of tests; not the one of any mitm. */
export function originAuthority(): Promise<CertificateAuthority> {
  return (roots ??= CertificateAuthority.create({ commonName: 'Origin test CA' }))
}

/** What is to be wrong with a certificate. */
export interface IdentityOptions {
  /** Expired yesterday. */
  isExpired?: boolean
  /** Signed by its own key. */
  isSelfSigned?: boolean
}

/** Key and certificate, as `tls.createServer` takes them. */
export interface Identity {
  readonly key: string
  readonly cert: string
}

/** Makes a certificate for a server, signed by {@link originAuthority}. */
export async function identityFor(hostname: string, options: IdentityOptions = {}): Promise<Identity> {
  const authority = await originAuthority()
  const certificate = new X509Certificate(authority.certificate)
  const key = await generateKey()
  const name = leafName(hostname)
  const now = Date.now()
  const request = {
    commonName: hostname,
    notBefore: new Date(now - 3 * DAY_MS),
    notAfter: new Date(options.isExpired ? now - DAY_MS : now + DAY_MS),
    key,
    extensions: [
      {
        name: 'subjectAltName' as const,
        altNames: [name.kind === 'ip' ? { type: 7 as const, ip: name.value } : { type: 2 as const, value: name.value }],
      },
    ],
  }
  const issuer = { certificate, parts: certificateParts(certificate), key: createPrivateKey(authority.privateKey) }
  return { key: pemOf(key), cert: await issueCertificate(request, options.isSelfSigned ? 'itself' : issuer) }
}
