import type { Fault } from '../fault.ts'
import { checkOptions, milliseconds, optional } from './check.ts'

/** The options of {@link dialTimeout}. */
export interface DialTimeoutOptions {
  /** Milliseconds until the client is told. @defaultValue `0`: at once */
  ms?: number | undefined
}

/**
 * The server does not answer when it is connected to (`ETIMEDOUT`), as behind a firewall that drops packets. It is not
 * contacted.
 *
 * Clients of an HTTP proxy get 504 with the reason, those of SOCKS the reply 6.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 */
export function dialTimeout(options: DialTimeoutOptions = {}): Fault {
  const { ms = 0 } = checkOptions('dialTimeout', options, { ms: optional(milliseconds) })
  return {
    name: 'dialTimeout',
    text: `dialTimeout after ${ms} ms`,
    parts: [{ stage: 'dial', code: 'MITM_DIAL_TIMEOUT', reason: 'ETIMEDOUT', afterMs: ms }],
  }
}
