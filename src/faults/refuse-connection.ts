import type { Fault } from '../fault.ts'
import { refuseOptions } from './check.ts'

/**
 * The server refuses the connection (`ECONNREFUSED`), as when nobody listens on its port. It is not contacted.
 *
 * Clients of an HTTP proxy get 502 with the reason, those of SOCKS the reply 5. A browser behind a proxy cannot tell it
 * from other failures to connect.
 */
export function refuseConnection(...none: readonly never[]): Fault {
  refuseOptions('refuseConnection', none)
  return {
    name: 'refuseConnection',
    text: 'refuseConnection',
    parts: [{ stage: 'dial', code: 'MITM_DIAL_FAILED', reason: 'ECONNREFUSED', afterMs: 0 }],
  }
}
