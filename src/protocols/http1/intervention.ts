/** What happens to the exchanges that somebody intercepts: answers, changed requests, changed responses. */
import { HttpRequest, HttpResponse } from '../../exchange.ts'
import type { Field } from '../../exchange.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import type { Intervention, RewrittenRequest, RewrittenResponse } from '../../middleware.ts'
import { BodyPipe } from '../http/body-pipe.ts'
import { changedResponse } from '../http/changed-response.ts'
import { ExchangeFaults } from '../http/exchange-faults.ts'
import { bodyTooLarge, codedFailure, destinationOfUrl, followHost, hasNoBody } from '../http/messages.ts'
import { answerError } from './answer-error.ts'
import { faultyTransfer } from './faulty-transfer.ts'
import { finishAnswer, finishBroken } from './finish.ts'
import { answer, changeTarget, compose, tellToContinue } from './answer.ts'
import { linger, sendInterim } from './before-answer.ts'
import { requestOctets, streamedRequestHead, streamedResponseHead } from './messages.ts'
import { sendPiped } from './piped-request.ts'
import type { Session } from './session.ts'
import { beginStreamed } from './streamed.ts'
import type { Transfer } from './transfer.ts'

/** Does what was decided for an exchange whose request is being held. Never rejects. */
export async function intervene(
  session: Session,
  transfer: Transfer,
  plan: MaybePromise<Intervention | undefined>,
): Promise<void> {
  await carryOut(session, transfer, plan)
  await finishBroken(session, transfer)
}

async function carryOut(
  session: Session,
  transfer: Transfer,
  plan: MaybePromise<Intervention | undefined>,
): Promise<void> {
  try {
    const decided = await plan
    if (transfer.isOver) return
    transfer.plan = decided
    if (decided?.faults) {
      transfer.faults = new ExchangeFaults(faultyTransfer(session, transfer), decided.faults)
      if (await transfer.faults.first()) return
      if (decided.answer) await transfer.faults.uplink()
    }
    if (decided?.interim) await sendInterim(session, transfer, decided.interim)
    if (decided?.delayMs) await linger(transfer, decided.delayMs)
    if (transfer.isOver) return
    if (decided?.answer) await answer(session, transfer, decided.answer)
    else if (decided?.rewriteRequest?.length || decided?.requestStreams?.length) {
      await sendChanged(session, transfer, decided)
    } else {
      await session.forward(transfer)
      if (!decided) session.release(transfer)
    }
    session.flush()
  } catch (error) {
    await answerError(session, transfer, codedFailure(error)).catch((failure: unknown) => session.fail(failure))
  }
}

async function sendChanged(
  session: Session,
  transfer: Transfer,
  { rewriteRequest: rewrites = [], requestStreams: streams = [] }: Intervention,
): Promise<void> {
  const { exchange, facts } = transfer
  const { request } = exchange
  const needsBody = rewrites.some((rewrite) => rewrite.needsBody)
  if (needsBody) {
    tellToContinue(session, transfer)
    if (!(await request.whenComplete()) && !request.isReleased) return
    if (request.isBodyTruncated || !request.isComplete) {
      throw bodyTooLarge(
        `${facts.method} ${request.url}`,
        request.bodySize,
        session.connection.flow.settings.maxBodyBytes,
      )
    }
  }
  const { method, url } = request
  const fields = transfer.hasContinued ? request.fields.filter(([name]) => !/^expect$/i.test(name)) : request.fields
  let message: RewrittenRequest = { method, url, fields, body: needsBody ? request.body : undefined }
  for (const rewrite of rewrites) {
    // Each is given what the one before made.
    message = await rewrite.apply(message, exchange)
  }
  if (transfer.isOver) return
  message = followHost(message, url)
  const destination = destinationOfUrl(message.url, url) ?? transfer.destination
  const { body } = message
  if (streams.length > 0 && (body === undefined ? facts.hasBody : body.length > 0)) {
    await sendPiped(session, transfer, message, streams, destination)
    return
  }
  noteSent(session, transfer, message)
  if (body === undefined) {
    transfer.replaceHeldHead(streamedRequestHead(message, request))
    await session.forward(transfer, undefined, destination)
  } else {
    transfer.requestMode = 'drop'
    transfer.takeHeld()
    await session.forward(transfer, [requestOctets(message, body)], destination)
  }
}

function noteSent(session: Session, transfer: Transfer, message: RewrittenRequest): void {
  const { exchange } = transfer
  const { method, url, fields, body } = message
  const sent = new HttpRequest({ method, url, target: exchange.request.target, httpVersion: 'HTTP/1.1', fields })
  exchange.sentRequest = sent
  if (body === undefined) return
  sent.keepBody(session.connection.flow.settings.maxBodyBytes)
  sent.addBody(body)
  sent.finish()
}

/**
 * Changes the response of an exchange.
 *
 * @param moment - What of it has come: its head, or its end.
 */
export async function interveneInResponse(session: Session, transfer: Transfer, moment: 'head' | 'end'): Promise<void> {
  const isHead = moment === 'head'
  const { exchange, plan } = transfer
  const original = exchange.serverResponse
  if (!original) return
  const rewrites = plan?.rewriteResponse ?? []
  const { maxBodyBytes } = session.connection.flow.settings
  try {
    if (isHead && rewrites.some((rewrite) => rewrite.needsBody)) {
      transfer.responseMode = 'hold'
      original.keepBody(maxBodyBytes)
      return
    }
    if (!isHead && original.isBodyTruncated) {
      throw bodyTooLarge(
        `the response to ${transfer.facts.method} ${exchange.request.url}`,
        original.bodySize,
        maxBodyBytes,
      )
    }
    const { status, statusText, fields, trailers } = original
    const given = { status, statusText, fields, ...(isHead ? { body: undefined } : { body: original.body, trailers }) }
    const message = await changedResponse(given, changeTarget(session, transfer))
    const isPiped = plan?.responseStreams?.length || message.trailers?.length
    if (message.body === undefined && !message.stream && isPiped && !hasNoBody(transfer.facts.method, status)) {
      await pipeResponse(session, transfer, message)
    } else if (message.body === undefined && !message.stream) {
      transfer.responseMode = 'forward'
      const head = {
        status: message.status,
        statusText: message.statusText,
        fields: message.fields,
        httpVersion: 'HTTP/1.1',
      }
      session.ledger.respondWith(transfer, new HttpResponse(head), 'server')
      await session.sendToClient(transfer, streamedResponseHead(message, fields))
    } else {
      transfer.responseMode = 'drop'
      await compose(session, transfer, message, 'server')
    }
  } catch (error) {
    transfer.responseMode = 'drop'
    await answerError(session, transfer, codedFailure(error))
  }
}

/** Lets the body of the server's response flow through the streams of rules, from here on. */
async function pipeResponse(session: Session, transfer: Transfer, message: RewrittenResponse): Promise<void> {
  const pipe = new BodyPipe()
  const trailers = (): readonly Field[] => message.trailers ?? pipe.trailers
  const sendBody = await beginStreamed(session, transfer, { ...message, stream: pipe }, 'server', trailers)
  const isEndedByClose = transfer.facts.isHttp10 && transfer.closesClient
  const sendAll = async (): Promise<void> => {
    await sendBody()
    if (isEndedByClose && !transfer.isOver) await finishAnswer(session, transfer)
    pipe.close()
  }
  transfer.responseMode = 'pipe'
  transfer.responsePipe = pipe
  // It reports its own errors.
  pipe.sent = sendAll()
}
