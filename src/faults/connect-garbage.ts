import type { Fault } from '../fault.ts'
import { refuseOptions } from './check.ts'
import { garbage } from './garbage.ts'

/**
 * The proxy answers CONNECT or SOCKS with octets that are neither, always the same, and closes the connection. The server is
 * not contacted.
 */
export function connectGarbage(...none: readonly never[]): Fault {
  refuseOptions('connectGarbage', none)
  return {
    name: 'connectGarbage',
    text: 'connectGarbage',
    parts: [{ stage: 'tunnel', reply: { kind: 'octets', octets: garbage() } }],
  }
}
