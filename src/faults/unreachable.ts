import type { Fault } from '../fault.ts'
import { refuseOptions } from './check.ts'

/**
 * There is no way to the server (`EHOSTUNREACH`), as when a router says so. It is not contacted.
 *
 * Clients of an HTTP proxy get 502 with the reason, those of SOCKS the reply 4.
 */
export function unreachable(...none: readonly never[]): Fault {
  refuseOptions('unreachable', none)
  return {
    name: 'unreachable',
    text: 'unreachable',
    parts: [{ stage: 'dial', code: 'MITM_DIAL_FAILED', reason: 'EHOSTUNREACH', afterMs: 0 }],
  }
}
