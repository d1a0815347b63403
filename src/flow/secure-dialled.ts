/** The TLS handshake with a server that is dialled, and what is kept of it. */
import type { Socket } from 'node:net'

import type { TlsFacts } from '../connection.ts'
import { authorityOf } from '../protocol.ts'
import type { Destination } from '../protocol.ts'
import type { ResolvedOptions } from '../options.ts'
import { serverTlsFacts } from '../tls/facts.ts'
import { secureServer } from '../tls/secure-server.ts'
import type { SecuredServer } from '../tls/secure-server.ts'
import { trustContext } from '../tls/trust.ts'

/**
 * Does the handshake.
 *
 * @param serverName - The name to ask for (SNI).
 * @param onKeyLog - Is given the secrets of the handshake.
 * @throws {@link MitmError} `MITM_SERVER_TLS_FAILED`, `MITM_SERVER_TLS_TIMEOUT`, `MITM_INVALID_OPTION`.
 */
export async function secureDialled(
  raw: Socket,
  destination: Destination,
  serverName: string | undefined,
  alpnProtocols: readonly string[],
  options: Pick<ResolvedOptions, 'upstream' | 'serverTlsTimeoutMs'>,
  onKeyLog?: (line: Buffer) => void,
): Promise<SecuredServer & { readonly facts: TlsFacts }> {
  const secured = await secureServer(raw, {
    host: destination.host,
    serverName,
    alpnProtocols,
    secureContext: trustContext(options.upstream),
    timeoutMs: options.serverTlsTimeoutMs,
    authority: authorityOf(destination),
    onKeyLog,
  })
  const facts = serverTlsFacts(secured.socket, { serverName, alpnProtocols }, secured.authorizationError)
  return { ...secured, facts }
}
