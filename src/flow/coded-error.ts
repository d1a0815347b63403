/** The one error class for everything that a connection can fail with. */
import type { Connection } from '../connection.ts'
import { errorText, isMitmError, MitmError, systemCode } from '../errors.ts'
import type { Protocol } from '../protocol.ts'

/** What a connection failed with, as a {@link MitmError}. */
export function codedError(error: unknown, connection: Connection): MitmError {
  if (isMitmError(error)) return error
  if (systemCode(error) === 'ECONNRESET') return clientReset(connection, error)
  const text = `${nameOf(connection.protocol)} failed on ${connection}: ${errorText(error)}`
  return new MitmError('MITM_PROTOCOL_FAILED', text, { cause: error })
}

/** The error that the client is gone, before there is a relay. */
export function clientReset({ client }: Connection, cause?: unknown): MitmError {
  return new MitmError('MITM_CLIENT_RESET', `The client ${client} reset the connection`, { side: 'client', cause })
}

function nameOf(protocol: Protocol | undefined): string {
  return protocol ? `Protocol ${protocol.name}` : 'Protocol detection'
}
