import type { Fault } from '../fault.ts'
import { refuseOptions } from './check.ts'

/**
 * The client is shown a certificate that is signed by its own key (`DEPTH_ZERO_SELF_SIGNED_CERT` in Node).
 *
 * The server is not contacted before the client has accepted the certificate. The authority's certificate is not in the
 * chain that is sent.
 */
export function certSelfSigned(...none: readonly never[]): Fault {
  refuseOptions('certSelfSigned', none)
  return {
    name: 'certSelfSigned',
    text: 'certSelfSigned',
    parts: [{ stage: 'tls', failure: { kind: 'certificate', flaw: 'selfSigned' } }],
  }
}
