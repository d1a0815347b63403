import type { Fault } from '../fault.ts'
import { refuseOptions } from './check.ts'

/**
 * The client is shown a certificate of an authority that it does not know (`UNABLE_TO_VERIFY_LEAF_SIGNATURE` in Node).
 *
 * The server is not contacted before the client has accepted the certificate. The authority's certificate is not in the
 * chain that is sent.
 */
export function certUntrusted(...none: readonly never[]): Fault {
  refuseOptions('certUntrusted', none)
  return {
    name: 'certUntrusted',
    text: 'certUntrusted',
    parts: [{ stage: 'tls', failure: { kind: 'certificate', flaw: 'untrusted' } }],
  }
}
