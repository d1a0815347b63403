import type { Fault } from '../fault.ts'
import { refuseOptions } from './check.ts'

/**
 * The client is shown a certificate that expired yesterday (`CERT_HAS_EXPIRED` in Node).
 *
 * The server is not contacted before the client has accepted the certificate. The authority's certificate is not in the
 * chain that is sent.
 */
export function certExpired(...none: readonly never[]): Fault {
  refuseOptions('certExpired', none)
  return {
    name: 'certExpired',
    text: 'certExpired',
    parts: [{ stage: 'tls', failure: { kind: 'certificate', flaw: 'expired' } }],
  }
}
