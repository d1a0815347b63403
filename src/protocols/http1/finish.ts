/** How exchanges end that are answered or cut here. */
import type { Connection } from '../../connection.ts'
import { isMitmError } from '../../errors.ts'
import type { ExchangeEndReason } from '../../exchange.ts'
import type { CutPart } from '../../fault.ts'
import type { ExchangeFaults } from '../http/exchange-faults.ts'
import type { Session } from './session.ts'
import type { Transfer } from './transfer.ts'

/** Sends an answer that was written, and ends the connection if the client expects that. */
export async function finishAnswer(session: Session, transfer: Transfer): Promise<void> {
  session.flush()
  await session.passage.responseSettled(transfer)
  if (session.isOver) return
  if (transfer.serverResponds) transfer.isResponseOver = true
  else session.ledger.answered(transfer)
  if (transfer.isRequestOver) session.ledger.end(transfer, 'complete')
  if (transfer.closesClient) await closeBehind(session, transfer)
}

/** Ends the connection behind a response, as its server would have done. */
export async function closeBehind(session: Session, transfer: Transfer): Promise<void> {
  await session.passage.responseSettled(transfer)
  await session.closing.wait('client')
  if (session.isOver) return
  session.connection.end('server-closed')
  session.fail()
}

/** Ends the side of a client that was told that its connection ends with the server's. */
export function endClient(connection: Connection): void {
  connection.end('server-closed')
  connection.client.writer?.end()
}

/** Ends the connection where nothing comes of an exchange, since the client left in the midst of a request that had to be whole. */
export async function finishBroken(session: Session, transfer: Transfer): Promise<void> {
  const { request, response } = transfer.exchange
  if (transfer.isOver || response || !request.isBroken || session.ledger.isSent(transfer)) return
  await session.ledger.whenIdle()
  if (session.isOver) return
  session.connection.end('client-closed')
  session.fail()
}

/** Cuts the connection to the client, in place of a response. */
export function block(session: Session, transfer: Transfer): void {
  noteResent(transfer)
  session.ledger.end(transfer, 'blocked')
  session.connection.reset('client')
  session.connection.reset('server')
  session.fail()
}

/** Ends an exchange, and its connection, as a cut says. What was sent before has left. */
export function finishCut(session: Session, transfer: Transfer, faults: ExchangeFaults, cut: CutPart): void {
  const { connection } = session
  // A server that is only sent no more may still answer.
  if (cut.side === 'server' && cut.end !== 'reset') {
    faults.server.close()
    connection.server.writer?.end()
    return
  }
  noteResent(transfer)
  session.ledger.end(transfer, 'fault')
  if (cut.end === 'halfClose') {
    connection.client.writer?.end()
    return
  }
  connection.end('fault')
  if (cut.end === 'reset') {
    connection.reset('client')
    connection.reset('server')
  }
  session.fail()
}

/** Why what is under way ends with its connection. @param error - What the connection failed with */
export function reasonOfEnd({ endReason = 'client-closed' }: Connection, error: unknown): ExchangeEndReason {
  if (endReason === 'idle-timeout' || endReason === 'mitm-closed') return endReason
  if (isMitmError(error) && error.code === 'MITM_IDLE_TIMEOUT') return 'idle-timeout'
  if (error !== undefined) return 'failed'
  return endReason === 'handed-over' ? 'client-closed' : endReason
}

/**
 * Browsers send a request again by themselves, without telling the page, when a connection that they had kept from an
 * earlier request breaks before an octet of the response has come.
 */
function noteResent({ exchange, faults }: Transfer): void {
  const isKept = exchange.connection.exchangeCount > 1
  if (!isKept || exchange.source !== 'page' || faults?.client.hasPassed || exchange.interim.length > 0) return
  exchange.connection.flow.noteResent(exchange)
  faults?.notCounted()
}
