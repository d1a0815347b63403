import type { Fault } from '../fault.ts'
import { refuseOptions } from './check.ts'

/**
 * The TLS handshake demands a certificate of the client. One that has none fails: in TLS 1.3 after its own handshake, with the
 * alert 116, certificate_required; before, with 40, handshake_failure. One that shows any certificate at all passes, and
 * traffic goes on.
 */
export function tlsRequireClientCertificate(...none: readonly never[]): Fault {
  refuseOptions('tlsRequireClientCertificate', none)
  return {
    name: 'tlsRequireClientCertificate',
    text: 'tlsRequireClientCertificate',
    parts: [{ stage: 'tls', failure: { kind: 'requireClientCertificate' } }],
  }
}
