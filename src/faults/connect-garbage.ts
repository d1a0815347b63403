import type { Fault } from '../fault.ts'
import { garbage } from './garbage.ts'

/**
 * The proxy answers CONNECT or SOCKS with octets that are neither, always the same, and closes the connection. The server is
 * not contacted.
 */
export function connectGarbage(): Fault {
  return {
    name: 'connectGarbage',
    text: 'connectGarbage',
    parts: [{ stage: 'tunnel', reply: { kind: 'octets', octets: garbage() } }],
  }
}
