/** Messages whose bodies are sent while they come: streamed answers, and bodies that pass through streams of rules. */
import { errorText, isMitmError, MitmError } from '../../errors.ts'
import { HttpResponse } from '../../exchange.ts'
import type { Exchange, Field } from '../../exchange.ts'
import { abortable, discard } from '../../internal/abortable.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import type { RewrittenResponse } from '../../middleware.ts'
import { hasNoBody } from '../http/messages.ts'
import { sendBody } from '../http/send-body.ts'
import type { Framing } from '../http/send-body.ts'
import { throughStreams } from '../http/through-streams.ts'
import type { Session } from './session.ts'
import type { Transfer } from './transfer.ts'
import { withBodyLength, withChunkedBody, withoutBodyLength, writeResponseHead } from './write.ts'

/**
 * Sends the head of a response whose body streams.
 *
 * @param message - Its body is `stream`, or `body` where that is to pass through streams, or has trailers behind it.
 * @param trailers - Asked for when the body is over.
 * @returns What sends the body, and resolves when it has gone or never will. It does not reject.
 * @throws what a rule failed with; then nothing has been sent.
 */
export async function beginStreamed(
  session: Session,
  transfer: Transfer,
  message: RewrittenResponse,
  answeredBy: Exchange['answeredBy'],
  trailers: () => readonly Field[] = () => message.trailers ?? [],
): Promise<() => Promise<void>> {
  const { exchange, facts } = transfer
  const source = message.stream ?? justOne(message.body)
  const rewrites = transfer.plan?.responseStreams ?? []
  const isBodiless = hasNoBody(facts.method, message.status)
  let octets: AsyncIterable<Uint8Array> | undefined
  if (isBodiless) discard(source)
  else {
    try {
      octets = throughStreams(abortable(source, transfer.signal), rewrites, message.fields, exchange)
    } catch (error) {
      discard(source)
      throw error
    }
  }
  const { fields, framing } = framed(message, transfer, rewrites.length > 0)
  const { status, statusText } = message
  transfer.status = status
  const response = new HttpResponse({ status, statusText, httpVersion: 'HTTP/1.1', fields })
  session.ledger.respondWith(transfer, response, answeredBy)
  const sent = session.sendToClient(transfer, writeResponseHead({ status, statusText, fields }))
  session.flush()
  await sent
  return async () => {
    if (octets) {
      const send = (piece: Buffer): MaybePromise<void> => sendPiece(session, transfer, 'client', piece)
      const note = (content: Buffer): void => response.addBody(content)
      try {
        await sendBody(octets, framing, { send, note, trailers, by: exchange.rules })
      } catch (error) {
        breakOff(session, transfer, error)
        return
      }
    }
    if (!transfer.isOver) response.finish(true, framing.kind === 'chunked' ? trailers() : [])
  }
}

/** Sends octets of a message at once, and waits until there is room for more. */
export async function sendPiece(
  session: Session,
  transfer: Transfer,
  side: 'client' | 'server',
  octets: Buffer,
): Promise<void> {
  if (transfer.isOver) throw new Error('the exchange is over')
  await (side === 'client' ? session.sendToClient(transfer, octets) : session.sendToServer(transfer, octets))
  session.flush()
  const outbox = side === 'client' ? session.toClient : session.toServer
  await outbox.whenRoom(session.connection[side].writer)
}

/** Breaks an exchange off in the midst of a message: with a reset, or it could pass for its end. */
export function breakOff(session: Session, transfer: Transfer, error: unknown): void {
  // What is thrown because nobody wants the body any more is no failure.
  if (transfer.isOver || session.isOver) return
  const failure = isMitmError(error)
    ? error
    : new MitmError('MITM_RULE_FAILED', `Cannot stream the body: ${errorText(error)}`, { cause: error })
  transfer.exchange.error = failure
  session.connection.reset('client')
  session.connection.reset('server')
  session.fail(failure)
}

function framed(
  message: RewrittenResponse,
  transfer: Transfer,
  isPiped: boolean,
): { readonly fields: readonly Field[]; readonly framing: Framing } {
  const { facts } = transfer
  const decoded = isPiped ? message.fields.filter(([name]) => !/^content-encoding$/i.test(name)) : message.fields
  // The answer to HEAD says what a body would be like; 204 and 304 say nothing.
  if (message.status === 204 || message.status === 304) {
    return { fields: withClose(decoded, transfer.closesClient), framing: { kind: 'none' } }
  }
  const names = (message.trailers ?? []).map(([name]) => name)
  const length = isPiped ? undefined : (message.body?.length ?? contentLength(message.fields))
  if (length !== undefined && (names.length === 0 || facts.isHttp10)) {
    const fields = withClose(withBodyLength(decoded, length), transfer.closesClient)
    return { fields, framing: { kind: 'length', length } }
  }
  if (facts.isHttp10) {
    transfer.closesClient = true
    return { fields: withClose(withoutBodyLength(decoded), true), framing: { kind: 'close' } }
  }
  return { fields: withClose(withChunkedBody(decoded, names), transfer.closesClient), framing: { kind: 'chunked' } }
}

function contentLength(fields: readonly Field[]): number | undefined {
  const [value, ...others] = fields.filter(([name]) => /^content-length$/i.test(name)).map(([, text]) => text.trim())
  return value !== undefined && others.length === 0 && /^\d{1,15}$/.test(value) ? Number(value) : undefined
}

function withClose(fields: readonly Field[], closes: boolean): readonly Field[] {
  const isTold = fields.some(([name]) => /^connection$/i.test(name))
  return closes && !isTold ? [...fields, ['connection', 'close']] : fields
}

async function* justOne(body: Buffer | undefined): AsyncGenerator<Uint8Array, void, undefined> {
  if (body) yield body
}
