import type { Fault } from '../fault.ts'
import { refuseOptions } from './check.ts'

/**
 * The client is shown a certificate for another host, `wrong-host.invalid` (`ERR_TLS_CERT_ALTNAME_INVALID` in Node).
 *
 * The server is not contacted before the client has accepted the certificate. The authority's certificate is not in the
 * chain that is sent.
 */
export function certWrongHost(...none: readonly never[]): Fault {
  refuseOptions('certWrongHost', none)
  return {
    name: 'certWrongHost',
    text: 'certWrongHost',
    parts: [{ stage: 'tls', failure: { kind: 'certificate', flaw: 'wrongHost' } }],
  }
}
