/** What is recorded of a TLS handshake. */
import { X509Certificate } from 'node:crypto'
import type { DetailedPeerCertificate, PeerCertificate, SecureContext, TLSSocket } from 'node:tls'

import type { CertificateFacts, TlsFacts } from '../connection.ts'
import { Lru } from '../internal/lru.ts'
import type { ClientHello } from './client-hello.ts'
import type { SecuredServer } from './secure-server.ts'
import type { ServerChoice } from './server-hello.ts'

/** What the client of a handshake asked for. */
export interface HandshakeRequest {
  /** By SNI. */
  readonly serverName: string | undefined
  /** By ALPN, most wanted first. */
  readonly alpnProtocols: readonly string[]
}

/**
 * Reads the facts of a finished handshake with a client.
 *
 * @param socket - The secured socket.
 * @param asked - What the client asked for.
 * @param shown - The context of the certificate that it was shown.
 */
export function clientTlsFacts(socket: TLSSocket, asked: HandshakeRequest, shown: SecureContext): TlsFacts {
  return {
    ...agreed(socket, asked),
    certificate: ownCertificate(socket, shown),
    chain: [],
    clientCertificate: certificateFacts(socket.getPeerCertificate()),
    authorizationError: undefined,
  }
}

/**
 * Reads the facts of a finished handshake with a server.
 *
 * @param secured - What came of it.
 * @param asked - What the server was asked for.
 */
export function serverTlsFacts(secured: SecuredServer, asked: HandshakeRequest): TlsFacts {
  const { socket, authorizationError, hasPresented } = secured
  return {
    ...agreed(socket, asked),
    ...peerCertificates(socket, authorizationError),
    clientCertificate: hasPresented ? certificateFacts(socket.getCertificate()) : undefined,
    authorizationError,
  }
}

/** The facts of a handshake that is only relayed, as far as it is in the clear. @param choice - Once the server has answered. */
export function passthroughTlsFacts({ serverName, alpnProtocols }: ClientHello, choice?: ServerChoice): TlsFacts {
  const [certificate, ...chain] = (choice?.certificates ?? []).map(factsOfDer)
  return {
    version: choice?.version ?? 'unknown',
    cipher: choice?.cipher ?? 'unknown',
    alpn: choice?.alpn,
    offeredAlpn: alpnProtocols,
    serverName,
    certificate,
    chain: chain.filter((each) => each !== undefined),
    clientCertificate: undefined,
    authorizationError: undefined,
  }
}

function agreed(
  socket: TLSSocket,
  { serverName, alpnProtocols }: HandshakeRequest,
): Pick<TlsFacts, 'version' | 'cipher' | 'alpn' | 'offeredAlpn' | 'serverName'> {
  return {
    version: socket.getProtocol() ?? 'unknown',
    cipher: socket.getCipher().standardName,
    alpn: socket.alpnProtocol || undefined,
    offeredAlpn: alpnProtocols,
    serverName,
  }
}

// Taking a certificate apart takes longer than all else that is recorded of a handshake, and it is mostly the same one.
const shownCertificates = new WeakMap<SecureContext, CertificateFacts>()
const knownChains = new Lru<string, Pick<TlsFacts, 'certificate' | 'chain'>>(500)
const MAX_CHAIN = 10

function ownCertificate(socket: TLSSocket, context: SecureContext): CertificateFacts | undefined {
  const known = shownCertificates.get(context)
  if (known) return known
  const facts = certificateFacts(socket.getCertificate())
  if (facts) shownCertificates.set(context, facts)
  return facts
}

/** The chain is read when a certificate is first seen, or is found bad in another way: that takes a third of a millisecond. */
function peerCertificates(
  socket: TLSSocket,
  authorizationError: string | undefined,
): Pick<TlsFacts, 'certificate' | 'chain'> {
  const { fingerprint256 } = socket.getPeerCertificate()
  if (!fingerprint256) return { certificate: undefined, chain: [] }
  const key = `${fingerprint256} ${authorizationError}`
  let known = knownChains.get(key)
  if (!known) knownChains.set(key, (known = readChain(socket.getPeerCertificate(true))))
  return known
}

function readChain(leaf: DetailedPeerCertificate): Pick<TlsFacts, 'certificate' | 'chain'> {
  const chain: CertificateFacts[] = []
  const seen = new Set<unknown>([leaf])
  for (let at = leaf.issuerCertificate; at && !seen.has(at) && chain.length < MAX_CHAIN; at = at.issuerCertificate) {
    seen.add(at)
    const facts = certificateFacts(at)
    if (facts) chain.push(facts)
  }
  return { certificate: certificateFacts(leaf), chain }
}

function factsOfDer(der: Buffer): CertificateFacts | undefined {
  try {
    return certificateFacts(new X509Certificate(der).toLegacyObject())
  } catch {
    return undefined // no certificate that OpenSSL can read: the client will say so
  }
}

/** The facts of a certificate; undefined when there is none. */
function certificateFacts(
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
    serialNumber: certificate.serialNumber,
  }
}

/** `CN=name, O=organisation`. */
function nameText(name: object | undefined): string {
  return Object.entries(name ?? {})
    .map(([key, value]) => `${key}=${String(value)}`)
    .join(', ')
}
