import type { Fault } from '../fault.ts'
import { invalidFault, oneOf } from './check.ts'

const isVersion = oneOf('TLSv1', 'TLSv1.1', 'TLSv1.2')

/**
 * No newer version of TLS is spoken. A client that offers only newer ones gets the alert 70, protocol_version: that is
 * what `'TLSv1.1'` does to all of today. Those that can do with an old one go on with it, as most do with `'TLSv1.2'`.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 */
export function tlsVersion(max: 'TLSv1' | 'TLSv1.1' | 'TLSv1.2'): Fault {
  const expected = isVersion(max)
  if (expected) throw invalidFault('tlsVersion', `max is ${JSON.stringify(max)}, expected ${expected}`)
  return {
    name: 'tlsVersion',
    text: `tlsVersion ${max} at most`,
    parts: [{ stage: 'tls', failure: { kind: 'version', max } }],
  }
}
