/** Answers that need not be HTTP: octets that are written as they are. */
import { HttpResponse } from '../../exchange.ts'
import type { Answer } from '../../middleware.ts'
import { Framer } from './framer.ts'
import { parseResponseHead } from './head.ts'
import type { Session } from './session.ts'
import type { Transfer } from './transfer.ts'

/** Sends octets, and ends the connection as the answer says. */
export async function answerRaw(
  session: Session,
  transfer: Transfer,
  how: Extract<Answer, { kind: 'raw' }>,
): Promise<void> {
  const { exchange } = transfer
  const { connection } = session
  const { end } = how
  const octets = how.octets(exchange)
  const isWhole = record(session, transfer, octets)
  await session.sendToClient(transfer, octets)
  session.flush()
  await session.passage.responseSettled(transfer)
  if (transfer.isOver || session.isOver) return
  if (end === 'stall') {
    exchange.isStalled = true
    transfer.isLingering = true
    return
  }
  const isRegular = isWhole && end === 'close'
  session.ledger.end(transfer, isRegular ? 'complete' : 'fault')
  connection.end(isRegular ? 'server-closed' : 'fault')
  if (end === 'reset') {
    connection.reset('client')
    connection.reset('server')
  }
  session.fail()
}

/** Records what can be read of the octets as a response; tells whether that is a whole one. */
function record(session: Session, transfer: Transfer, octets: Buffer): boolean {
  const { exchange, facts } = transfer
  const framer = new Framer({
    kind: 'response',
    maxHeadBytes: session.connection.flow.settings.maxHeadBytes,
    requestMethod: () => facts.method,
  })
  framer.push(octets)
  framer.end()
  let response: HttpResponse | undefined
  for (let part = framer.read(); part; part = framer.read()) {
    if (part.kind === 'head') {
      if (part.facts.status < 200) {
        exchange.interim.push(new HttpResponse(parseResponseHead(part.octets)))
        continue
      }
      response = new HttpResponse(parseResponseHead(part.octets))
      transfer.status = part.facts.status
      session.ledger.respondWith(transfer, response, 'rule')
    } else if (part.kind === 'body') for (const slice of part.content) response?.addBody(slice)
    else if (part.kind === 'end') {
      response?.finish(true, part.trailers)
      return true
    } else break
  }
  // No response, or one that nobody can tell the end of: its head may still be readable.
  if (!response) {
    exchange.answeredBy = 'rule'
    const head = parseResponseHead(octets)
    if (/^HTTP\/1\.\d$/.test(head.httpVersion) && head.status > 0) {
      session.ledger.respondWith(transfer, new HttpResponse(head), 'rule')
    }
  }
  return false
}
