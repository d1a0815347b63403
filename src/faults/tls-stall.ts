import type { Fault } from '../fault.ts'
import { refuseOptions } from './check.ts'

/**
 * The client's TLS hello is not answered; the connection is held open until the client leaves, or nothing has come for
 * `idleTimeoutMs`. When the fault is removed, the handshake is done after all.
 */
export function tlsStall(...none: readonly never[]): Fault {
  refuseOptions('tlsStall', none)
  return { name: 'tlsStall', text: 'tlsStall', parts: [{ stage: 'tls', failure: { kind: 'stall' } }] }
}
