import type { Fault } from '../fault.ts'
import { checkOptions, milliseconds } from './check.ts'

/** The options of {@link connectDelay}. */
export interface ConnectDelayOptions {
  /** Milliseconds to wait. */
  ms: number
}

/**
 * CONNECT or SOCKS is answered as ever, but late: the server is dialled only then.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 */
export function connectDelay(options: ConnectDelayOptions): Fault {
  const { ms } = checkOptions('connectDelay', options, { ms: milliseconds })
  return {
    name: 'connectDelay',
    text: `connectDelay of ${ms} ms`,
    parts: [{ stage: 'tunnel', reply: { kind: 'delay', ms } }],
  }
}
