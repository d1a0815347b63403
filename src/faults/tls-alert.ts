import type { Fault } from '../fault.ts'
import { invalidFault, wholeNumber, show } from './check.ts'

/** The alerts that end a handshake (RFC 8446 section 6 and the registry of IANA). */
const ALERTS = {
  close_notify: 0,
  unexpected_message: 10,
  bad_record_mac: 20,
  record_overflow: 22,
  handshake_failure: 40,
  bad_certificate: 42,
  unsupported_certificate: 43,
  certificate_revoked: 44,
  certificate_expired: 45,
  certificate_unknown: 46,
  illegal_parameter: 47,
  unknown_ca: 48,
  access_denied: 49,
  decode_error: 50,
  decrypt_error: 51,
  protocol_version: 70,
  insufficient_security: 71,
  internal_error: 80,
  inappropriate_fallback: 86,
  user_canceled: 90,
  missing_extension: 109,
  unsupported_extension: 110,
  unrecognized_name: 112,
  bad_certificate_status_response: 113,
  unknown_psk_identity: 115,
  certificate_required: 116,
  no_application_protocol: 120,
} as const

/** The name of a TLS alert, as RFC 8446 section 6 has it. */
export type TlsAlertName = keyof typeof ALERTS

const isAlert = wholeNumber(0, 255)

/**
 * The client's TLS hello is answered by a fatal alert (RFC 8446 section 6); then the connection is closed.
 *
 * @param alert - A number from 0 to 255, or a name: `'handshake_failure'`.
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 */
export function tlsAlert(alert: number | TlsAlertName): Fault {
  const code = typeof alert === 'string' && Object.hasOwn(ALERTS, alert) ? ALERTS[alert] : alert
  if (typeof code !== 'number' || isAlert(code)) {
    throw invalidFault(
      'tlsAlert',
      `it is ${show(alert)}, expected a whole number from 0 to 255 or one of ${Object.keys(ALERTS).join(', ')}`,
    )
  }
  const name = Object.entries(ALERTS).find(([, number]) => number === code)?.[0]
  return {
    name: 'tlsAlert',
    text: `tlsAlert ${code}${name ? ` (${name})` : ''}`,
    parts: [{ stage: 'tls', failure: { kind: 'alert', code } }],
  }
}
