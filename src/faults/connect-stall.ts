import type { Fault } from '../fault.ts'
import { refuseOptions } from './check.ts'

/**
 * The proxy does not answer CONNECT or SOCKS, and holds the connection open until the client leaves, or nothing has come for
 * `idleTimeoutMs`. The server is not contacted. When the fault is removed, the tunnel is opened after all.
 */
export function connectStall(...none: readonly never[]): Fault {
  refuseOptions('connectStall', none)
  return { name: 'connectStall', text: 'connectStall', parts: [{ stage: 'tunnel', reply: { kind: 'stall' } }] }
}
