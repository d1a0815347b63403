/** The errors for servers of a bridge that give no response, or break off in one. */
import { MitmError } from '../../errors.ts'
import type { Exchange } from '../../exchange.ts'
import { authorityOf } from '../../protocol.ts'
import type { Destination } from '../../protocol.ts'
import type { ServerFailure } from './bridge-server.ts'

/** What is said of a failure. Those by RST_STREAM are passed on as what they are. */
export function failureOf(failure: ServerFailure, exchange: Exchange, destination: Destination): MitmError {
  const authority = authorityOf(destination)
  const what = `${exchange.request.method} ${exchange.request.url}`
  const details = { side: 'server', authority } as const
  switch (failure.kind) {
    case 'closed':
      return new MitmError(
        'MITM_SERVER_CLOSED',
        `The server ${authority} closed the connection before its response to ${what} was whole`,
        details,
      )
    case 'lost':
      return new MitmError(
        'MITM_SERVER_RESET',
        `The server ${authority} reset the connection before its response to ${what} was whole`,
        details,
      )
    case 'malformed':
      return new MitmError(
        'MITM_MALFORMED_RESPONSE',
        `Cannot pass the response of ${authority} to ${what} on by HTTP/2: ${failure.reason}`,
        details,
      )
    case 'reset':
      return new MitmError(
        'MITM_SERVER_RESET',
        `The server ${authority} reset the stream of ${what} with code ${failure.code}`,
        details,
      )
  }
}
