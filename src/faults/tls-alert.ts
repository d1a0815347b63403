import type { Fault } from '../fault.ts'
import { alertName, TLS_ALERTS } from '../tls-alert.ts'
import type { TlsAlertName } from '../tls-alert.ts'
import { invalidFault, wholeNumber, show } from './check.ts'

export type { TlsAlertName } from '../tls-alert.ts'

const isAlert = wholeNumber(0, 255)

/**
 * The client's TLS hello is answered by a fatal alert (RFC 8446 section 6); then the connection is closed.
 *
 * @param alert - A number from 0 to 255, or a name: `'handshake_failure'`.
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 */
export function tlsAlert(alert: number | TlsAlertName): Fault {
  const code = typeof alert === 'string' && Object.hasOwn(TLS_ALERTS, alert) ? TLS_ALERTS[alert] : alert
  if (typeof code !== 'number' || isAlert(code)) {
    throw invalidFault(
      'tlsAlert',
      `it is ${show(alert)}, expected a whole number from 0 to 255 or one of ${Object.keys(TLS_ALERTS).join(', ')}`,
    )
  }
  const name = alertName(code)
  return {
    name: 'tlsAlert',
    text: `tlsAlert ${code}${name ? ` (${name})` : ''}`,
    parts: [{ stage: 'tls', failure: { kind: 'alert', code } }],
  }
}
