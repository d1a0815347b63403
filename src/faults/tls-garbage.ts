import type { Fault } from '../fault.ts'
import { garbage } from './garbage.ts'

/**
 * The client's TLS hello is answered by octets that are no TLS, always the same; then the connection is closed.
 */
export function tlsGarbage(): Fault {
  return {
    name: 'tlsGarbage',
    text: 'tlsGarbage',
    parts: [{ stage: 'tls', failure: { kind: 'octets', octets: garbage() } }],
  }
}
