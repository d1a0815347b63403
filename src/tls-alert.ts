/** TLS alerts by name (RFC 8446 section 6, and the registry of IANA). */

/** The alerts that end a handshake, by name. */
export const TLS_ALERTS = {
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
export type TlsAlertName = keyof typeof TLS_ALERTS

/** The name of the alert with a number; undefined when it has none. */
export function alertName(number: number): TlsAlertName | undefined {
  return NAMES.get(number)
}

// A boundary: the keys of an object whose type has no others.
const NAMES = new Map(Object.entries(TLS_ALERTS).map(([name, number]) => [number as number, name as TlsAlertName]))

/** The number of the TLS alert that ended a handshake or a connection, as OpenSSL's words tell it; undefined when none did. */
export function alertOf(error: unknown): number | undefined {
  for (let at: unknown = error; at instanceof Error; at = at.cause) {
    const number = /SSL alert number (\d+)/.exec(at.message)?.[1]
    if (number) return Number(number)
  }
  return undefined
}
