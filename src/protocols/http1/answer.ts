/** Answers in place of the server, and responses whose body is known before their head is written. */
import { HttpResponse } from '../../exchange.ts'
import type { Exchange } from '../../exchange.ts'
import type { Answer, RewrittenResponse } from '../../middleware.ts'
import { completeResponse, CONTINUE } from './messages.ts'
import { finishAnswer } from './finish.ts'
import type { Session } from './session.ts'
import type { Transfer } from './transfer.ts'

/** Answers an exchange in place of the server. */
export async function answer(session: Session, transfer: Transfer, how: Answer): Promise<void> {
  transfer.requestMode = 'drop'
  transfer.takeHeld()
  if (how.kind === 'block') {
    session.cut(transfer)
    return
  }
  if (how.kind === 'raw') throw new TypeError('not yet')
  tellToContinue(session, transfer)
  // The body is taken in even where nobody looks: it is recorded, and some clients read no answer before it is sent.
  if (!(await transfer.exchange.request.whenOver())) return
  const response = await changed(await how.response(transfer.exchange), transfer)
  await session.ledger.whenIdle()
  if (!transfer.isOver) await writeAnswer(session, transfer, response, 'rule')
}

/** Sends a response of our own making, and is done with the exchange. */
export async function writeAnswer(
  session: Session,
  transfer: Transfer,
  response: RewrittenResponse,
  answeredBy: Exchange['answeredBy'],
): Promise<void> {
  transfer.closesClient = !transfer.facts.keepsAlive
  await compose(session, transfer, response, answeredBy)
  await finishAnswer(session, transfer)
}

/** Sends a response whose body is known. */
export async function compose(
  session: Session,
  transfer: Transfer,
  message: RewrittenResponse,
  answeredBy: Exchange['answeredBy'],
): Promise<void> {
  const { fields, head, body } = completeResponse(message, transfer.facts, transfer.closesClient)
  const { status, statusText } = message
  transfer.status = status
  const response = new HttpResponse({ status, statusText, httpVersion: 'HTTP/1.1', fields })
  session.ledger.respondWith(transfer, response, answeredBy)
  response.addBody(body)
  response.finish()
  await session.sendToClient(transfer, Buffer.concat([head, body]))
}

/** The response that the rewrites of an exchange make of one. */
export async function changed(response: RewrittenResponse, transfer: Transfer): Promise<RewrittenResponse> {
  let message = response
  for (const rewrite of transfer.plan?.rewriteResponse ?? []) {
    message = await rewrite.apply(message, transfer.exchange)
  }
  return message
}

/** Tells a client that waits for permission to send its body, because the server will not be asked in time. */
export function tellToContinue(session: Session, transfer: Transfer): void {
  if (!transfer.facts.expectsContinue || transfer.isRequestOver || transfer.hasContinued) return
  transfer.hasContinued = true
  session.toClient.add(CONTINUE)
  session.flush()
}
