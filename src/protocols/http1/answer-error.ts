/** Errors that the client is told of in place of a response. */
import type { MitmError } from '../../errors.ts'
import { writeAnswer } from './answer.ts'
import { errorResponse, noResponse, statusFor } from '../http/error-response.ts'
import type { Session } from './session.ts'
import type { Transfer } from './transfer.ts'

/** Reports an error to the client as the response; if it has got a part of one, by ending the connection. */
export async function answerError(session: Session, transfer: Transfer, error: MitmError): Promise<void> {
  const { exchange } = transfer
  exchange.error = error
  // A server that has reset the connection has said all that there is to say.
  if (exchange.response || transfer.isOver || error.code === 'MITM_SERVER_RESET') {
    session.fail(error)
    return
  }
  session.connection.report(error)
  transfer.requestMode = 'drop'
  transfer.takeHeld()
  transfer.plan = undefined
  // One whose request has reached the server is the oldest there: its response is due now.
  if (!session.ledger.isSent(transfer)) await session.ledger.whenIdle()
  if (!session.isOver) await writeAnswer(session, transfer, errorResponse(statusFor(error), error), 'mitm')
}

/** As {@link answerError}, for those who cannot wait. */
export function answerErrorLater(session: Session, transfer: Transfer, error: MitmError): void {
  answerError(session, transfer, error).catch((failure: unknown) => session.fail(failure))
}

/** Answers in place of a server that has not begun to in time, and waits for it no longer. */
export function answerLate(session: Session, transfer: Transfer): void {
  const { exchange, destination } = transfer
  const { responseTimeoutMs } = session.connection.flow.settings
  transfer.isGivenUp = true
  // It stays the oldest, so that nothing of its response is taken for that of another.
  transfer.responseMode = 'drop'
  session.connection.end('failed')
  answerErrorLater(session, transfer, noResponse(exchange, destination, responseTimeoutMs))
}
