/** The TLS handshake with a client, in which the mitm is the server. */
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import type { SecureContext } from 'node:tls'

import { MitmError } from '../errors.ts'
import { refusalText } from './client-refusal.ts'

/** What a handshake with a client needs. */
export interface SecureClientOptions {
  readonly secureContext: SecureContext
  /** What may be chosen by ALPN, most wanted first: nothing, or what the server chose. */
  readonly alpnProtocols: readonly string[]
  readonly timeoutMs: number
  /** The name the client asked for, for errors. */
  readonly serverName: string
  /** Whether the client must show a certificate; any will do. @defaultValue `false` */
  readonly demandsCertificate?: boolean | undefined
  /** Is given the secrets of the handshake, line by line. */
  readonly onKeyLog?: ((line: Buffer) => void) | undefined
}

/**
 * Does the handshake.
 *
 * @param raw - The client's stream, paused, with its hello put back. The secured one owns it from now on.
 * @throws {@link MitmError} `MITM_CLIENT_TLS_FAILED`, when the client refused the certificate or broke off;
 *   `MITM_INCOMPLETE_HANDSHAKE` when it did not finish in time. The stream is destroyed.
 */
export function secureClient(raw: Duplex, options: SecureClientOptions): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = new TLSSocket(raw, {
      isServer: true,
      secureContext: options.secureContext,
      // Node lets every certificate pass here, and OpenSSL ends the handshake when there is none.
      ...(options.demandsCertificate && { requestCert: true, rejectUnauthorized: true }),
      ...(options.alpnProtocols.length > 0 && { ALPNProtocols: [...options.alpnProtocols] }),
    })
    let isSettled = false
    const fail = (code: 'MITM_CLIENT_TLS_FAILED' | 'MITM_INCOMPLETE_HANDSHAKE', why: string, cause?: unknown): void => {
      if (isSettled) return
      isSettled = true
      clearTimeout(timer)
      const text = `Cannot secure the connection to the client that asked for ${options.serverName}: ${why}`
      reject(new MitmError(code, text, { side: 'client', cause }))
      socket.destroy()
      raw.destroy()
    }
    if (options.onKeyLog) socket.on('keylog', options.onKeyLog)
    const onError = (error: Error): void =>
      fail('MITM_CLIENT_TLS_FAILED', refusalText(options.serverName, error), error)
    const timer = setTimeout(
      () => fail('MITM_INCOMPLETE_HANDSHAKE', `no TLS handshake in ${options.timeoutMs} ms`),
      options.timeoutMs,
    )
    socket.on('error', onError)
    // Where Node reports errors of a handshake in which it is the server.
    socket.on('_tlsError', onError)
    const onLeave = (): void => {
      fail('MITM_CLIENT_TLS_FAILED', refusalText(options.serverName))
    }
    socket.once('close', onLeave)
    // A stream that may be half-open does not close by itself.
    socket.once('end', onLeave)
    socket.once('secure', () => {
      if (isSettled) return
      isSettled = true
      clearTimeout(timer)
      socket.off('end', onLeave)
      socket.pause()
      resolve(socket)
    })
  })
}
