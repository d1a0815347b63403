import type { Fault } from '../fault.ts'
import { refuseOptions } from './check.ts'

/**
 * The connection is reset (RST) in answer to the client's TLS hello.
 */
export function tlsReset(...none: readonly never[]): Fault {
  refuseOptions('tlsReset', none)
  return { name: 'tlsReset', text: 'tlsReset', parts: [{ stage: 'tls', failure: { kind: 'reset' } }] }
}
