/** What faults act on in HTTP/1. */
import type { FaultyExchange } from '../http/exchange-faults.ts'
import { ExchangeFaults } from '../http/exchange-faults.ts'
import type { WebSocketRelay } from '../websocket/relay.ts'
import { answerError } from './answer-error.ts'
import { finishCut } from './finish.ts'
import type { Session } from './session.ts'
import type { Transfer } from './transfer.ts'

/** An exchange as its faults see it. */
export function faultyTransfer(session: Session, transfer: Transfer): FaultyExchange {
  return {
    exchange: transfer.exchange,
    destination: transfer.destination,
    method: transfer.facts.method,
    get heldBytes() {
      return transfer.heldSize
    },
    get isOver() {
      return transfer.isOver
    },
    toClient: session.toClient,
    toServer: session.toServer,
    get passedBytes() {
      return transfer.status > 0 ? (transfer.exchange.response?.bodySize ?? 0) : undefined
    },
    flush: () => session.flush(),
    answerError: (error) => answerError(session, transfer, error),
    slowClose: (side, ms, acted) => session.closing.slow(side, ms, acted),
    finishCut: (faults, cut) => finishCut(session, transfer, faults, cut),
  }
}

/**
 * Lets faults act on what is under way, and with which nothing goes wrong yet: the exchange whose response is due, or the
 * one that became another protocol. Those that still wait here were asked for theirs when they came.
 */
export function adoptFaults(
  session: Session,
  upgraded: Transfer | undefined,
  webSocket: WebSocketRelay | undefined,
): void {
  const { flow } = session.connection
  if (upgraded && webSocket) webSocket.addHandlers(flow.lateWebSocket(upgraded.exchange))
  for (const intercepted of session.ledger.intercepted) {
    // One that was cut may have ended the connection, and the others with it.
    const feed = intercepted.isOver ? undefined : flow.lateFaults(intercepted.exchange)
    if (!feed) continue
    intercepted.faults?.add(feed)
    if (intercepted === upgraded) webSocket?.addFaults(feed)
  }
  const transfer = upgraded ?? session.ledger.oldest
  if (!transfer || transfer.isOver || transfer.faults) return
  const feed = flow.lateFaults(transfer.exchange)
  if (!feed) return
  transfer.isExclusive = true
  transfer.hasHead = transfer.status > 0
  transfer.plan = { ...transfer.plan, faults: feed }
  transfer.faults = new ExchangeFaults(faultyTransfer(session, transfer), feed, true)
  transfer.faults.client.update()
  transfer.faults.server.update()
  if (transfer === upgraded) webSocket?.addFaults(feed)
}
