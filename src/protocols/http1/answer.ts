/** Answers in place of the server, and responses whose body is known before their head is written. */
import { HttpResponse } from '../../exchange.ts'
import type { Exchange } from '../../exchange.ts'
import { discard } from '../../internal/abortable.ts'
import { isPromise } from '../../internal/maybe-promise.ts'
import type { Answer, RewrittenResponse } from '../../middleware.ts'
import { changedResponse } from '../http/changed-response.ts'
import type { ChangeTarget } from '../http/changed-response.ts'
import { handshakeRefused } from '../http/error-response.ts'
import { block, finishAnswer } from './finish.ts'
import { completeResponse, CONTINUE } from './messages.ts'
import { answerRaw } from './raw-answer.ts'
import type { Session } from './session.ts'
import { beginStreamed } from './streamed.ts'
import type { Transfer } from './transfer.ts'
import { openMock, problemWithHandshake } from './web-socket-session.ts'

/** Answers an exchange in place of the server. */
export async function answer(session: Session, transfer: Transfer, how: Answer): Promise<void> {
  transfer.requestMode = 'drop'
  transfer.takeHeld()
  if (how.kind === 'block') {
    block(session, transfer)
    return
  }
  tellToContinue(session, transfer)
  // The body is taken in even where nobody looks: it is recorded, and some clients read no answer before it is sent.
  if (!(await transfer.exchange.request.whenOver())) return
  if (how.kind === 'raw') {
    await session.ledger.whenIdle()
    if (!transfer.isOver) await answerRaw(session, transfer, how)
    return
  }
  if (how.kind === 'webSocket') {
    await session.ledger.whenIdle()
    if (transfer.isOver) return
    const problem = problemWithHandshake(transfer)
    if (problem === undefined) await openMock(session, transfer, how.mock)
    else await writeAnswer(session, transfer, handshakeRefused(transfer.exchange, problem), 'mitm')
    return
  }
  const made = how.response(transfer.exchange)
  // A client that ends its side while it has to wait has left.
  transfer.isLingering = isPromise(made)
  const response = await changedResponse(await made, changeTarget(session, transfer))
  transfer.isLingering = response.stream !== undefined
  await session.ledger.whenIdle()
  if (transfer.isOver) discard(response.stream)
  else await writeAnswer(session, transfer, response, how.answeredBy ?? 'rule')
}

/** Sends a response of our own making, and is done with the exchange. */
export async function writeAnswer(
  session: Session,
  transfer: Transfer,
  response: RewrittenResponse,
  answeredBy: Exchange['answeredBy'],
): Promise<void> {
  transfer.closesClient = !transfer.facts.keepsAlive || transfer.isGivenUp
  await compose(session, transfer, response, answeredBy)
  await finishAnswer(session, transfer)
}

/** Sends a response of which everything is here, or comes from a stream. */
export async function compose(
  session: Session,
  transfer: Transfer,
  message: RewrittenResponse,
  answeredBy: Exchange['answeredBy'],
): Promise<void> {
  if (message.stream || message.trailers?.length || transfer.plan?.responseStreams?.length) {
    const sendBody = await beginStreamed(session, transfer, message, answeredBy)
    await sendBody()
    return
  }
  const { fields, head, body } = completeResponse(message, transfer.facts, transfer.closesClient)
  const { status, statusText } = message
  transfer.status = status
  const response = new HttpResponse({ status, statusText, httpVersion: 'HTTP/1.1', fields })
  session.ledger.respondWith(transfer, response, answeredBy)
  response.addBody(body)
  response.finish()
  await session.sendToClient(transfer, Buffer.concat([head, body]))
}

/** What {@link changedResponse} has to know of an exchange. */
export function changeTarget(session: Session, transfer: Transfer): ChangeTarget {
  return {
    rewrites: transfer.plan?.rewriteResponse ?? [],
    exchange: transfer.exchange,
    signal: transfer.signal,
    maxBodyBytes: session.connection.flow.settings.maxBodyBytes,
    waits: () => {
      transfer.isLingering = true
    },
  }
}

/** Tells a client that waits for permission to send its body, because the server will not be asked in time. */
export function tellToContinue(session: Session, transfer: Transfer): void {
  if (!transfer.facts.expectsContinue || transfer.isRequestOver || transfer.hasContinued) return
  transfer.hasContinued = true
  session.toClient.add(CONTINUE)
  session.flush()
}
