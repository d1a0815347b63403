import type { Fault } from '../fault.ts'
import { refuseOptions } from './check.ts'

/**
 * The client is shown a certificate whose signature is made over SHA-1.
 *
 * The server is not contacted before the client has accepted the certificate. The authority's certificate is not in the
 * chain that is sent.
 */
export function certSha1(...none: readonly never[]): Fault {
  refuseOptions('certSha1', none)
  return {
    name: 'certSha1',
    text: 'certSha1',
    parts: [{ stage: 'tls', failure: { kind: 'certificate', flaw: 'sha1' } }],
  }
}
