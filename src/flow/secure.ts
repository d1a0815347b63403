/** Takes the TLS layer off: towards the server first, so that the client is shown what the server showed. */
import type { SecureContext, TLSSocket } from 'node:tls'

import { errorText, isMitmError, MitmError, systemCode } from '../errors.ts'
import { readChunk } from '../internal/read-chunk.ts'
import type { Destination } from '../protocol.ts'
import { readClientHello } from '../tls/client-hello.ts'
import type { ClientHello } from '../tls/client-hello.ts'
import { clientTlsFacts } from '../tls/facts.ts'
import { secureClient } from '../tls/secure-client.ts'
import { fatalAlert } from '../tls/secure-server.ts'
import { alertOf, TLS_ALERTS } from '../tls-alert.ts'
import { alpnAfterServer, alpnWithoutServer, relayedAlpn, rememberAlpn } from './alpn.ts'
import { closeGracefully } from './close.ts'
import { unlessItLeaves } from './departure.ts'
import { clientReset } from './coded-error.ts'
import type { LiveConnection } from './live-connection.ts'
import { passThrough, passthroughDestination } from './passthrough.ts'
import { cannotBeFaulty, injectTlsFaults } from './tls-faults.ts'
import type { FaultyHandshake } from './tls-faults.ts'
import { isTrusting } from './trusting-browsers.ts'

/** What a TLS alert says when there is no better one (RFC 8446 section 6.2: internal_error). */
const INTERNAL_ERROR = 80

/** A handshake with a client that is finished. */
export interface Handshake {
  /** The name that the client was shown a certificate for. */
  readonly hostname: string
  /** What is wrong with the server's certificate, so that the client was shown a bad one. */
  readonly fault: string | undefined
  /** Whether something went wrong in it on purpose, so that a client that leaves now has done what it should. */
  readonly isFaulty: boolean
  /** On the clock of `performance.now()`. */
  readonly finishedAt: number
}

/**
 * Finishes the TLS handshake whose first octets have come, and puts the decrypted stream in the client's place.
 *
 * Where the server is dialled already, the handshake with it comes first, and its choice of ALPN and the verdict over
 * its certificate are passed on. Where a rule might answer, or something goes wrong on purpose, the client is answered at
 * once.
 *
 * @returns undefined when the connection is over: by a fault, because it was passed through, or because a browser has left
 *   that is known to trust the certificates.
 * @throws {@link MitmError} `MITM_INCOMPLETE_HANDSHAKE`, `MITM_MALFORMED_TLS`, `MITM_CLIENT_TLS_FAILED`,
 *   `MITM_SERVER_TLS_FAILED`.
 */
export async function interceptTls(live: LiveConnection, first: Buffer): Promise<Handshake | undefined> {
  const { connection, context } = live
  const { octets, hello } = await unlessItLeaves(live, 'server', () => wholeHello(live, first))
  connection.isGreased = hello.isGreased
  const through = passthroughDestination(live, hello)
  if (through) {
    await passThrough(live, through, octets, hello)
    return undefined
  }
  const inTunnel = connection.destination
  const destination: Destination | undefined = inTunnel && { ...inTunnel, tls: true }
  const hostname = hello.serverName ?? destination?.host ?? ownAddress(live)
  const wanted = destination ?? ownDestination(live, hostname)
  const offered = relayedAlpn(live, hello, wanted)

  const faulty = await injectTlsFaults(live, wanted, hello)
  if (faulty === 'over') return undefined

  let alpn: readonly string[]
  let fault: string | undefined
  if (destination && !faulty && !live.mayAnswer(destination) && live.wantsTls(destination)) {
    const secured = await live
      .whileClientWaits(() => live.secure(destination, hello.serverName, offered))
      .catch((error: unknown) => (needsGateway(live, destination, offered, error) ? undefined : mirror(live, error)))
    const chosen = secured?.socket.alpnProtocol || undefined
    if (secured) {
      alpn = alpnAfterServer(live, destination, chosen).filter((each) => each === chosen || offered.includes(each))
    } else {
      await live.closeServer()
      alpn = ['http/1.1']
    }
    // Who was offered one of them alone has not chosen.
    if (chosen !== undefined && offered.length > 1) rememberAlpn(context.chosenAlpn, destination, chosen)
    fault = live.refuses(secured?.authorizationError) ? secured?.authorizationError : undefined
  } else alpn = alpnWithoutServer(live, wanted, offered).filter((each) => offered.includes(each))

  const secureContext = await contextFor(live, hostname, { fault, faulty })
  const stream = live.clientStream
  stream.unshift(octets)
  let socket: TLSSocket
  try {
    const securing = (): Promise<TLSSocket> =>
      secureClient(stream, {
        secureContext,
        alpnProtocols: alpn,
        timeoutMs: context.options.handshakeTimeoutMs,
        serverName: hostname,
        demandsCertificate: faulty?.demandsCertificate,
        onKeyLog: context.onKeyLog,
      })
    // A server that has said all may be heard when the handshake is done.
    socket = await unlessItLeaves(live, 'server', securing, { isHalfCloseFine: true })
  } catch (error) {
    if (faulty) {
      connection.end('fault')
      return undefined
    }
    if (!fault && alertOf(error) === undefined && isTrusting(live)) {
      connection.end('client-closed')
      return undefined
    }
    if (!fault || !isMitmError(error)) throw error
    const text = `Showed the client that the certificate of ${hostname} is bad (${fault}), and it refused it`
    throw new MitmError('MITM_SERVER_CERTIFICATE', text, { side: 'server', authority: hostname, cause: error })
  }
  connection.layers.push('tls')
  connection.destination = destination
  live.replaceClient(socket)
  connection.clientTls = clientTlsFacts(socket, hello, secureContext)
  return { hostname, fault, isFaulty: faulty !== undefined, finishedAt: performance.now() }
}

/** What the client is shown: a good certificate, one as bad as the server's, or one that is bad on purpose. */
async function contextFor(
  live: LiveConnection,
  hostname: string,
  { fault, faulty }: { fault: string | undefined; faulty: FaultyHandshake | undefined },
): Promise<SecureContext> {
  const certificates = await live.context.certificates()
  if (fault) return await certificates.untrustedContextFor(hostname, fault)
  if (!faulty) return await certificates.contextFor(hostname)
  if (!certificates.faultyContextFor) throw cannotBeFaulty(faulty.fault)
  return await certificates.faultyContextFor(hostname, faulty)
}

async function wholeHello(live: LiveConnection, first: Buffer): Promise<{ octets: Buffer; hello: ClientHello }> {
  const { context, signal } = live
  const deadline = performance.now() + context.options.handshakeTimeoutMs
  let octets = first
  for (;;) {
    const hello = readClientHello(octets)
    if (hello !== 'incomplete') return { octets, hello }
    const timeoutMs = Math.max(1, deadline - performance.now())
    const chunk = await readChunk(live.clientStream, { timeoutMs, signal })
    if (chunk === 'end' && live.hasReset('client')) throw clientReset(live.connection)
    if (typeof chunk === 'string') {
      const why =
        chunk === 'end' ? 'it closed the connection' : `nothing more for ${context.options.handshakeTimeoutMs} ms`
      const text = `Cannot read the TLS hello of ${live.connection.client}: ${octets.length} octets came, then ${why}`
      throw new MitmError('MITM_INCOMPLETE_HANDSHAKE', text, { side: 'client' })
    }
    octets = Buffer.concat([octets, chunk])
  }
}

/**
 * Whether a server speaks HTTP/2 alone, which its client does not offer, where requests are taken apart anyway: then they go
 * by way of a gateway. A browser asks so for a WebSocket when its connection was drained for a rule.
 */
function needsGateway(
  live: LiveConnection,
  destination: Destination,
  offered: readonly string[],
  error: unknown,
): boolean {
  if (alertOf(error) !== TLS_ALERTS.no_application_protocol) return false
  return offered.includes('http/1.1') && !offered.includes('h2') && live.mayIntercept(destination)
}

/** Does to the client what the server did to the mitm: the same alert, a reset, or a close. */
async function mirror(live: LiveConnection, error: unknown): Promise<never> {
  const cause = isMitmError(error) ? error.cause : error
  if (systemCode(cause) === 'ECONNRESET') {
    // Node gives a FIN during the handshake the same code, with a text of its own: that is passed on as a FIN.
    if (!errorText(cause).includes('disconnected')) live.reset('client')
  } else if (cause !== undefined) {
    live.clientStream.write(fatalAlert(alertOf(error) ?? INTERNAL_ERROR))
    await closeGracefully(live.clientStream, live.clientSocket, 1000)
  }
  throw error
}

/** Where a client without a tunnel wants to go, as far as it can be told. */
function ownDestination(live: LiveConnection, host: string): Destination {
  return { host, port: live.context.listening.port, tls: true }
}

/** The name in the certificate for a client that names nobody: it can only know this proxy's address. */
function ownAddress(live: LiveConnection): string {
  return live.clientSocket.localAddress ?? live.context.listening.host
}
