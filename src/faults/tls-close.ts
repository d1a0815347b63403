import type { Fault } from '../fault.ts'

/**
 * The connection is closed (FIN) in answer to the client's TLS hello.
 */
export function tlsClose(): Fault {
  return { name: 'tlsClose', text: 'tlsClose', parts: [{ stage: 'tls', failure: { kind: 'close' } }] }
}
