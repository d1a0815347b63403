/** The TLS handshake with a server, in which the mitm is the client. */
import { isIP } from 'node:net'
import type { Socket } from 'node:net'
import { connect } from 'node:tls'
import type { SecureContext, TLSSocket } from 'node:tls'

import { errorText, MitmError } from '../errors.ts'
import type { ErrorCode } from '../errors.ts'
import { ClientFlight } from './client-flight.ts'

/** The least time in which a server that has asked for a certificate may refuse it. */
const VERDICT_MS = 100

/** What a handshake with a server needs. */
export interface SecureServerOptions {
  /** The name whose certificate is expected. */
  readonly host: string
  /** The name to ask for (SNI), if the client asked for one. */
  readonly serverName: string | undefined
  readonly alpnProtocols: readonly string[]
  readonly secureContext: SecureContext
  readonly timeoutMs: number
  /** `host:port`, for errors. */
  readonly authority: string
  /** Is given the secrets of the handshake, line by line. */
  readonly onKeyLog?: ((line: Buffer) => void) | undefined
}

/** A secured socket, and what is wrong with the certificate, if anything. */
export interface SecuredServer {
  readonly socket: TLSSocket
  /** Node's code, such as `CERT_HAS_EXPIRED`. */
  readonly authorizationError: string | undefined
  /** Whether it was shown a certificate of this side. */
  readonly hasPresented: boolean
}

/**
 * Does the handshake. A certificate that is not accepted is told, not thrown: the client may want to see it as bad.
 *
 * @param raw - The connected socket; the secured one owns it from now on.
 * @throws {@link MitmError} `MITM_SERVER_TLS_FAILED` when there is no handshake, with the cause, `MITM_SERVER_TLS_TIMEOUT`
 *   when it takes too long; the socket is destroyed.
 */
export function secureServer(raw: Socket, options: SecureServerOptions): Promise<SecuredServer> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      socket: raw,
      host: options.serverName ?? options.host,
      ...(options.serverName && !isIP(options.serverName) && { servername: options.serverName }),
      ...(options.alpnProtocols.length > 0 && { ALPNProtocols: [...options.alpnProtocols] }),
      secureContext: options.secureContext,
      // Checked all the same (`authorizationError`): the verdict is passed on to the client.
      rejectUnauthorized: false,
    })
    const begunAt = performance.now()
    const flight = new ClientFlight(socket, raw)
    if (options.onKeyLog) socket.on('keylog', options.onKeyLog)
    const fail = (why: string, cause?: unknown, code: ErrorCode = 'MITM_SERVER_TLS_FAILED'): void => {
      clearTimeout(timer)
      socket.destroy()
      const text = `Cannot secure the connection to ${options.authority}: ${why}`
      reject(new MitmError(code, text, { side: 'server', authority: options.authority, cause }))
    }
    const timer = setTimeout(
      () => fail(`no TLS handshake in ${options.timeoutMs} ms`, undefined, 'MITM_SERVER_TLS_TIMEOUT'),
      options.timeoutMs,
    )
    socket.on('error', (error) => fail(errorText(error), error))
    socket.once('close', () => fail('the server closed the connection during the TLS handshake'))
    socket.once('secureConnect', () => {
      socket.pause()
      // Its type says Error; for OpenSSL's verdicts it is the code alone.
      const error = socket.authorizationError as Error | string | undefined
      const authorizationError = error instanceof Error ? error.message : error || undefined
      const accepted = (): void => {
        clearTimeout(timer)
        resolve({ socket, authorizationError, hasPresented: flight.hasPresented })
      }
      // By then what is left of the handshake has been sent.
      setImmediate(() => {
        if (flight.isAsked) awaitVerdict(socket, 2 * (performance.now() - begunAt), accepted)
        else accepted()
      })
    })
  })
}

/**
 * In TLS 1.3 the client's handshake is over before the server has seen its certificate. What a server says next is an alert,
 * which is for the client of the mitm, or tickets, which nearly all servers send.
 *
 * @param patienceMs - How long the server is waited for, which has nothing to say if it sends no tickets.
 */
function awaitVerdict(socket: TLSSocket, patienceMs: number, accepted: () => void): void {
  const settle = (): void => {
    clearTimeout(timer)
    socket.off('session', settle)
    socket.off('close', settle)
    // What failed has been told, and goes before. Not at once: OpenSSL is in the midst of reading, and would lose what is
    // written now.
    setImmediate(accepted)
  }
  const timer = setTimeout(settle, Math.max(VERDICT_MS, patienceMs))
  socket.once('session', settle)
  socket.once('close', settle)
}

/** A fatal alert as one plaintext record (RFC 8446 section 6), for a client whose hello has come. */
export function fatalAlert(number: number): Buffer {
  return Buffer.from([0x15, 0x03, 0x03, 0x00, 0x02, 0x02, number])
}
