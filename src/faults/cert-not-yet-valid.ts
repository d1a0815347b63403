import type { Fault } from '../fault.ts'
import { refuseOptions } from './check.ts'

/**
 * The client is shown a certificate that is valid from tomorrow on (`CERT_NOT_YET_VALID` in Node).
 *
 * The server is not contacted before the client has accepted the certificate. The authority's certificate is not in the
 * chain that is sent.
 */
export function certNotYetValid(...none: readonly never[]): Fault {
  refuseOptions('certNotYetValid', none)
  return {
    name: 'certNotYetValid',
    text: 'certNotYetValid',
    parts: [{ stage: 'tls', failure: { kind: 'certificate', flaw: 'notYetValid' } }],
  }
}
