/** Which certificates of servers are trusted: the system's roots and `upstream.ca`. */
import * as tls from 'node:tls'
import type { SecureContext } from 'node:tls'

import { errorText, MitmError } from '../errors.ts'
import type { ResolvedUpstream } from '../upstream-options.ts'
import type { ClientIdentity } from './client-certificates.ts'

let contexts = new Map<string, SecureContext>()

/**
 * The context for the client side of a handshake with a server. Reading the roots takes milliseconds, so contexts are
 * shared by all mitms of this process.
 *
 * @param identity - What the server is shown, if it asks.
 * @throws {@link MitmError} `MITM_INVALID_OPTION` when `upstream.ca` is not a certificate.
 */
export function trustContext(upstream: Pick<ResolvedUpstream, 'ca'>, identity?: ClientIdentity): SecureContext {
  const extra = upstream.ca
  const key = [identity?.id, ...extra].join('\n')
  let context = contexts.get(key)
  if (!context) {
    if (contexts.size >= 32) contexts = new Map()
    context = makeContext(extra, identity)
    contexts.set(key, context)
  }
  return context
}

function makeContext(extra: readonly string[], identity: ClientIdentity | undefined): SecureContext {
  const own = identity?.material()
  const system = systemCertificates()
  // Without `ca` Node takes its own roots and those of NODE_EXTRA_CA_CERTS; with it, only what it is given.
  if (extra.length === 0 && !system) return tls.createSecureContext(own)
  try {
    return tls.createSecureContext({ ...own, ca: [...(system ?? tls.rootCertificates), ...extra] })
  } catch (error) {
    throw new MitmError(
      'MITM_INVALID_OPTION',
      `Cannot use option "upstream.ca": ${errorText(error)}, expected certificates in PEM`,
      {
        cause: error,
      },
    )
  }
}

/** Node 22.15 and newer can read the operating system's roots; before, there are Node's own. */
function systemCertificates(): readonly string[] | undefined {
  if (!('getCACertificates' in tls) || typeof tls.getCACertificates !== 'function') return undefined
  // Not in the types of the oldest Node that is supported.
  const read = tls.getCACertificates as (type: 'default' | 'system') => readonly string[]
  return [...read('default'), ...read('system')]
}
