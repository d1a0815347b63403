import type { Fault } from '../fault.ts'

/**
 * The connection is reset (RST) in answer to the client's TLS hello.
 */
export function tlsReset(): Fault {
  return { name: 'tlsReset', text: 'tlsReset', parts: [{ stage: 'tls', failure: { kind: 'reset' } }] }
}
