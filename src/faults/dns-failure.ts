import type { Fault } from '../fault.ts'
import { refuseOptions } from './check.ts'

/**
 * The name of the server cannot be resolved (`ENOTFOUND`). It is not contacted.
 *
 * Clients of an HTTP proxy get 502 with the reason, those of SOCKS the reply 4. A browser behind a proxy resolves no names,
 * so it never says `ERR_NAME_NOT_RESOLVED`.
 */
export function dnsFailure(...none: readonly never[]): Fault {
  refuseOptions('dnsFailure', none)
  return {
    name: 'dnsFailure',
    text: 'dnsFailure',
    parts: [{ stage: 'dial', code: 'MITM_DNS_FAILED', reason: 'ENOTFOUND', afterMs: 0 }],
  }
}
