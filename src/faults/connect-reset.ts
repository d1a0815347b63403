import type { Fault } from '../fault.ts'
import { refuseOptions } from './check.ts'

/**
 * The proxy resets the connection (RST) in place of an answer to CONNECT or SOCKS. The server is not contacted.
 */
export function connectReset(...none: readonly never[]): Fault {
  refuseOptions('connectReset', none)
  return { name: 'connectReset', text: 'connectReset', parts: [{ stage: 'tunnel', reply: { kind: 'reset' } }] }
}
