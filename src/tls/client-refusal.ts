/** What it means, in words, that a client broke off its TLS handshake or left right after it. */
import { errorText } from '../errors.ts'
import { alertName, alertOf } from '../tls-alert.ts'

/** Alerts by which clients say that they do not accept the certificate that they were shown. */
const ABOUT_CERTIFICATES: ReadonlySet<number> = new Set([42, 43, 44, 45, 46, 48, 49, 113])
const UNKNOWN_CA = 48

/**
 * Why there is no TLS with a client, and what to do.
 *
 * @param serverName - The name that it was shown a certificate for.
 * @param error - What its socket failed with; undefined when it just closed.
 */
export function refusalText(serverName: string, error?: unknown): string {
  const alert = alertOf(error)
  if (alert === undefined) {
    if (error !== undefined && !isGone(error)) return reasonOf(error)
    return `it ${error === undefined ? 'closed' : 'reset'} the connection without an alert; ${hint(serverName)}`
  }
  const name = `${alertName(alert) ?? 'an alert without a name'} (${alert})`
  if (!ABOUT_CERTIFICATES.has(alert)) return `it sent the alert ${name}`
  return `it refused the certificate with the alert ${name}; ${hint(serverName, alert)}`
}

function hint(serverName: string, alert?: number): string {
  const trust =
    alert === UNKNOWN_CA
      ? "it does not trust the mitm's certificate authority"
      : "either it does not trust the mitm's certificate authority, or it pins the server's own certificate"
  return `${trust}: let it trust the authority, or have its TLS passed through with passthrough: [${JSON.stringify(serverName)}] (docs/trust.md)`
}

/** Whether a socket just went away. */
function isGone(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return code === 'ECONNRESET' || code === 'EPIPE'
}

/** OpenSSL's reason alone, such as `no shared cipher`, where it is given one. */
function reasonOf(error: unknown): string {
  const reason: unknown = error instanceof Error && 'reason' in error ? error.reason : undefined
  return typeof reason === 'string' ? reason : errorText(error)
}
