/** Certificates that are faulty on purpose, each in one way, and otherwise like the good ones. */
import { generateKeyPair } from 'node:crypto'
import { promisify } from 'node:util'

import type { CertificateFlaw } from '../fault.ts'
import { type Issuer, pemOf } from './issue.ts'
import { issueLeaf, type LeafName, type LeafTemplate, type LeafVariation } from './leaf.ts'

const DAY_MS = 24 * 60 * 60 * 1000
/** Whom a certificate for the wrong host is for; `.invalid` is nobody's (RFC 6761 section 6.4). */
const WRONG_HOST: LeafName = { kind: 'dns', value: 'wrong-host.invalid' }
/** Below the 2048 bits that everybody demands today; Node 20 still takes it. */
const WEAK_KEY_BITS = 1024

/** Key and certificate in PEM. */
export interface FaultyLeaf {
  readonly key: string
  readonly certificate: string
}

/**
 * Makes a leaf that is faulty. The certificate of its issuer must not be sent with it: browsers that take any chain with
 * a certain key in it would not see what is wrong.
 *
 * @param name - The host that the client asked for.
 * @param flaw - What is wrong with it.
 * @param issuer - Who signs it; for `untrusted`, somebody whom nobody trusts.
 */
export async function issueFaultyLeaf(
  name: LeafName,
  flaw: CertificateFlaw,
  template: LeafTemplate,
  issuer: Issuer,
): Promise<FaultyLeaf> {
  if (flaw === 'weakKey') {
    const { publicKey, privateKey } = await promisify(generateKeyPair)('rsa', { modulusLength: WEAK_KEY_BITS })
    const publicKeyInfo = publicKey.export({ type: 'spki', format: 'der' })
    return { key: pemOf(privateKey), certificate: issueLeaf(name, template, issuer, { publicKeyInfo }) }
  }
  const shown = flaw === 'wrongHost' ? WRONG_HOST : name
  return { key: template.key, certificate: issueLeaf(shown, template, issuer, variationOf(flaw)) }
}

function variationOf(flaw: Exclude<CertificateFlaw, 'weakKey'>): LeafVariation {
  switch (flaw) {
    case 'expired':
      return { validity: validityFrom(-31, -1) }
    case 'notYetValid':
      return { validity: validityFrom(1, 31) }
    case 'noSan':
      return { hasAltName: false }
    case 'selfSigned':
      return { signedBy: 'itself' }
    case 'sha1':
      return { digest: 'sha1' }
    case 'wrongHost':
    case 'untrusted':
      return {}
  }
}

/** @param first - Days from today. */
function validityFrom(first: number, last: number): { notBefore: Date; notAfter: Date } {
  const now = Date.now()
  return { notBefore: new Date(now + first * DAY_MS), notAfter: new Date(now + last * DAY_MS) }
}
