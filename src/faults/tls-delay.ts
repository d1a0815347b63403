import type { Fault } from '../fault.ts'
import { checkOptions, milliseconds } from './check.ts'

/** The options of {@link tlsDelay}. */
export interface TlsDelayOptions {
  /** Milliseconds to wait. */
  ms: number
}

/**
 * The client's TLS hello is answered as ever, but late.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 */
export function tlsDelay(options: TlsDelayOptions): Fault {
  const { ms } = checkOptions('tlsDelay', options, { ms: milliseconds })
  return { name: 'tlsDelay', text: `tlsDelay of ${ms} ms`, parts: [{ stage: 'tls', failure: { kind: 'delay', ms } }] }
}
