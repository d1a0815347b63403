/** Requests whose bodies pass through streams of rules on their way to the server. */
import { HttpRequest } from '../../exchange.ts'
import type { Field } from '../../exchange.ts'
import { abortable } from '../../internal/abortable.ts'
import type { RewrittenRequest, StreamRewrite } from '../../middleware.ts'
import type { Destination } from '../../protocol.ts'
import { BodyPipe } from '../http/body-pipe.ts'
import { bodyTooLarge } from '../http/messages.ts'
import { sendBody } from '../http/send-body.ts'
import { throughStreams } from '../http/through-streams.ts'
import { chunkedRequestHead } from './messages.ts'
import type { Session } from './session.ts'
import { breakOff, sendPiece } from './streamed.ts'
import type { Transfer } from './transfer.ts'

/** Sends a request, its body chunk by chunk as it comes, or as a rewrite has made it. */
export async function sendPiped(
  session: Session,
  transfer: Transfer,
  message: RewrittenRequest,
  streams: readonly StreamRewrite[],
  destination: Destination,
): Promise<void> {
  const { exchange } = transfer
  const pipe = new BodyPipe()
  const octets = throughStreams(abortable(pipe, transfer.signal), streams, message.fields, exchange)
  feed(session, transfer, message.body, pipe)
  const { fields, head } = chunkedRequestHead(message)
  const sent = noteSent(session, transfer, message, fields)
  await session.forward(transfer, [head], destination)
  session.flush()
  // It could not be sent anywhere, which the client has been told.
  if (transfer.isOver || !session.ledger.isSent(transfer)) {
    pipe.close()
    return
  }
  try {
    await sendBody(
      octets,
      { kind: 'chunked' },
      {
        send: (piece) => sendPiece(session, transfer, 'server', piece),
        note: (content) => sent.addBody(content),
        trailers: () => pipe.trailers,
        by: transfer.exchange.rules,
      },
    )
    sent.finish(true, pipe.trailers)
  } catch (error) {
    if (exchange.endReason === 'complete' && !session.isOver) {
      // The server has answered before it had the whole request: what follows would not be told apart.
      session.connection.reset('server')
      session.connection.end('client-closed')
      session.fail()
    } else breakOff(session, transfer, error)
  } finally {
    pipe.close()
  }
}

/** Lets the body flow into the pipe: what a rewrite made, or what has come and what is still to come. */
function feed(session: Session, transfer: Transfer, body: Buffer | undefined, pipe: BodyPipe): void {
  const { facts, exchange } = transfer
  const { request } = exchange
  transfer.takeHeld()
  if (body !== undefined) {
    transfer.requestMode = 'drop'
    void pipe.write([body])
    void pipe.end([])
    return
  }
  if (request.isBodyTruncated) {
    const { maxBodyBytes } = session.connection.flow.settings
    throw bodyTooLarge(`${facts.method} ${request.url}`, request.bodySize, maxBodyBytes)
  }
  transfer.requestPipe = pipe
  transfer.requestMode = 'pipe'
  void pipe.write([request.body])
  if (transfer.isRequestOver) void pipe.end(request.trailers)
}

function noteSent(
  session: Session,
  { exchange }: Transfer,
  { method, url }: RewrittenRequest,
  fields: readonly Field[],
): HttpRequest {
  const sent = new HttpRequest({ method, url, target: exchange.request.target, httpVersion: 'HTTP/1.1', fields })
  sent.keepBody(session.connection.flow.settings.maxBodyBytes)
  exchange.sentRequest = sent
  return sent
}
