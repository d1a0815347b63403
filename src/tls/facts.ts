/** What is recorded of a TLS handshake. */
import type { DetailedPeerCertificate, PeerCertificate, TLSSocket } from 'node:tls'

import type { CertificateFacts, TlsFacts } from '../connection.ts'

/**
 * Reads the facts of a finished handshake.
 *
 * @param socket - The secured socket.
 * @param serverName - The name that the client of this handshake asked for.
 * @param certificate - The certificate that the server of this handshake showed.
 */
export function tlsFacts(
  socket: TLSSocket,
  serverName: string | undefined,
  certificate: CertificateFacts | undefined,
  authorizationError?: string,
): TlsFacts {
  return {
    version: socket.getProtocol() ?? 'unknown',
    cipher: socket.getCipher().standardName,
    alpn: socket.alpnProtocol || undefined,
    serverName,
    certificate,
    authorizationError,
  }
}

/** The facts of a certificate; undefined when there is none. */
export function certificateFacts(
  certificate: PeerCertificate | DetailedPeerCertificate | object | null | undefined,
): CertificateFacts | undefined {
  if (!certificate || !('fingerprint256' in certificate)) return undefined
  return {
    subject: nameText(certificate.subject),
    issuer: nameText(certificate.issuer),
    subjectAltName: certificate.subjectaltname ?? '',
    validFrom: certificate.valid_from,
    validTo: certificate.valid_to,
    fingerprint256: certificate.fingerprint256,
  }
}

/** `CN=name, O=organisation`. */
function nameText(name: object | undefined): string {
  return Object.entries(name ?? {})
    .map(([key, value]) => `${key}=${String(value)}`)
    .join(', ')
}
