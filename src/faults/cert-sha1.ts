import type { Fault } from '../fault.ts'

/**
 * The client is shown a certificate whose signature is made over SHA-1.
 *
 * The server is not contacted before the client has accepted the certificate. The authority's certificate is not in the
 * chain that is sent.
 */
export function certSha1(): Fault {
  return {
    name: 'certSha1',
    text: 'certSha1',
    parts: [{ stage: 'tls', failure: { kind: 'certificate', flaw: 'sha1' } }],
  }
}
