/** What rules do before a request goes on or is answered: interim responses, and waiting. */
import { STATUS_CODES } from 'node:http'

import { HttpResponse } from '../../exchange.ts'
import type { InterimResponse } from '../../middleware.ts'
import type { Session } from './session.ts'
import type { Transfer } from './transfer.ts'
import { writeResponseHead } from './write.ts'

/** Sends interim responses, after the responses to the requests before this one. */
export async function sendInterim(
  session: Session,
  transfer: Transfer,
  responses: readonly InterimResponse[],
): Promise<void> {
  // RFC 9110 section 15.2: a client of HTTP/1.0 knows none.
  if (transfer.facts.isHttp10) return
  await session.ledger.whenIdle()
  for (const { status, fields } of responses) {
    if (transfer.isOver) return
    const statusText = STATUS_CODES[status] ?? ''
    const response = new HttpResponse({ status, statusText, httpVersion: 'HTTP/1.1', fields })
    response.finish()
    transfer.exchange.interim.push(response)
    if (status === 100) transfer.hasContinued = true
    await session.sendToClient(transfer, writeResponseHead({ status, statusText, fields }))
  }
  session.flush()
}

/** Waits so long, or until the exchange is over: a client that ends its side meanwhile has left. */
export async function linger(transfer: Transfer, ms: number): Promise<void> {
  const { signal } = transfer
  if (signal.aborted) return
  transfer.isLingering = true
  await new Promise<void>((resolve) => {
    const settle = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', settle)
      resolve()
    }
    const timer = setTimeout(settle, ms).unref()
    signal.addEventListener('abort', settle)
  })
  transfer.isLingering = false
}
