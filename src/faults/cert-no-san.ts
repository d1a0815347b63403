import type { Fault } from '../fault.ts'

/**
 * The client is shown a certificate with no subject alternative name: the host stands in its common name only. Browsers
 * refuse it; Node accepts it.
 *
 * The server is not contacted before the client has accepted the certificate. The authority's certificate is not in the
 * chain that is sent.
 */
export function certNoSan(): Fault {
  return {
    name: 'certNoSan',
    text: 'certNoSan',
    parts: [{ stage: 'tls', failure: { kind: 'certificate', flaw: 'noSan' } }],
  }
}
