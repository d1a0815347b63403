import type { Fault } from '../fault.ts'
import { refuseOptions } from './check.ts'

/**
 * The client is shown a certificate with no subject alternative name: the host stands in its common name only. Browsers
 * refuse it; Node accepts it.
 *
 * The server is not contacted before the client has accepted the certificate. The authority's certificate is not in the
 * chain that is sent.
 */
export function certNoSan(...none: readonly never[]): Fault {
  refuseOptions('certNoSan', none)
  return {
    name: 'certNoSan',
    text: 'certNoSan',
    parts: [{ stage: 'tls', failure: { kind: 'certificate', flaw: 'noSan' } }],
  }
}
