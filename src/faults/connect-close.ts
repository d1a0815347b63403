import type { Fault } from '../fault.ts'
import { refuseOptions } from './check.ts'

/**
 * The proxy closes the connection (FIN) in place of an answer to CONNECT or SOCKS. The server is not contacted.
 *
 * Some clients try again at once and without end (undici's `ProxyAgent` thousands of times): limit them by a signal.
 */
export function connectClose(...none: readonly never[]): Fault {
  refuseOptions('connectClose', none)
  return { name: 'connectClose', text: 'connectClose', parts: [{ stage: 'tunnel', reply: { kind: 'close' } }] }
}
