import type { Fault } from '../fault.ts'
import { refuseOptions } from './check.ts'
import { garbage } from './garbage.ts'

/**
 * The client's TLS hello is answered by octets that are no TLS, always the same; then the connection is closed.
 */
export function tlsGarbage(...none: readonly never[]): Fault {
  refuseOptions('tlsGarbage', none)
  return {
    name: 'tlsGarbage',
    text: 'tlsGarbage',
    parts: [{ stage: 'tls', failure: { kind: 'octets', octets: garbage() } }],
  }
}
