import type { Fault } from '../fault.ts'
import { refuseOptions } from './check.ts'

/**
 * The client is shown a certificate for an RSA key of 1024 bits. Not every client minds: Chromium and Node 20 do not, Node 24
 * does.
 *
 * The server is not contacted before the client has accepted the certificate. The authority's certificate is not in the
 * chain that is sent.
 */
export function certWeakKey(...none: readonly never[]): Fault {
  refuseOptions('certWeakKey', none)
  return {
    name: 'certWeakKey',
    text: 'certWeakKey',
    parts: [{ stage: 'tls', failure: { kind: 'certificate', flaw: 'weakKey' } }],
  }
}
