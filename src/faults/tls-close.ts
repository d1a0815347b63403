import type { Fault } from '../fault.ts'
import { refuseOptions } from './check.ts'

/**
 * The connection is closed (FIN) in answer to the client's TLS hello.
 */
export function tlsClose(...none: readonly never[]): Fault {
  refuseOptions('tlsClose', none)
  return { name: 'tlsClose', text: 'tlsClose', parts: [{ stage: 'tls', failure: { kind: 'close' } }] }
}
