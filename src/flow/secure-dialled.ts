/** The TLS handshake with a server that is dialled, and what is kept of it. */
import type { Socket } from 'node:net'

import type { TlsFacts } from '../connection.ts'
import { MitmError } from '../errors.ts'
import { authorityOf } from '../protocol.ts'
import type { Destination } from '../protocol.ts'
import { serverTlsFacts } from '../tls/facts.ts'
import { secureServer } from '../tls/secure-server.ts'
import type { SecuredServer } from '../tls/secure-server.ts'
import { trustContext } from '../tls/trust.ts'
import type { FlowContext } from './flow-context.ts'

/**
 * Does the handshake.
 *
 * @param serverName - The name to ask for (SNI).
 * @throws {@link MitmError} `MITM_SERVER_TLS_FAILED`, `MITM_SERVER_TLS_TIMEOUT`, `MITM_INVALID_OPTION`.
 */
export async function secureDialled(
  raw: Socket,
  destination: Destination,
  serverName: string | undefined,
  alpnProtocols: readonly string[],
  { options, clientCertificates, onKeyLog }: Pick<FlowContext, 'options' | 'clientCertificates' | 'onKeyLog'>,
): Promise<SecuredServer & { readonly facts: TlsFacts }> {
  const secured = await secureServer(raw, {
    host: destination.host,
    serverName,
    alpnProtocols,
    // For the server that the client wants, wherever `hosts` leads.
    secureContext: trustContext(options.upstream, clientCertificates.for(destination)),
    timeoutMs: options.serverTlsTimeoutMs,
    authority: authorityOf(destination),
    onKeyLog,
  })
  const facts = serverTlsFacts(secured, { serverName, alpnProtocols })
  return { ...secured, facts }
}

/** The error for a certificate that cannot be shown to the client as bad, as it has had its own handshake. */
export function distrustError(authority: string, authorizationError: string): MitmError {
  const text = `Cannot trust the certificate of ${authority}: ${authorizationError}; upstream.ca adds a trusted authority, upstream.rejectUnauthorized: false trusts every one`
  return new MitmError('MITM_SERVER_CERTIFICATE', text, { side: 'server', authority })
}
