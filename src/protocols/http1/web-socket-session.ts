/** WebSockets on an HTTP/1 connection: what carries them is the connection itself, behind `101`. */
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import type { Side } from '../../errors.ts'
import type { ExchangeEndReason, HttpResponse } from '../../exchange.ts'
import { beginWebSocket } from '../websocket/observe.ts'
import { WebSocketRelay } from '../websocket/relay.ts'
import type { WebSocketTransport } from '../websocket/relay.ts'
import type { Session } from './session.ts'
import type { Sink, Transfer } from './transfer.ts'

/** Notes that an exchange becomes a WebSocket, if that is what its response says. */
export function noteWebSocket({ exchange, facts }: Transfer, response: HttpResponse): void {
  if (facts.upgrade === undefined || !isWebSocket(facts.upgrade)) return
  if (response.status === 101 && isWebSocket(response.header('upgrade') ?? ''))
    beginWebSocket(exchange, response.headers)
}

/** What relays what follows a response; undefined when that is no WebSocket. */
export function webSocketOf(session: Session, transfer: Transfer): WebSocketRelay | undefined {
  const { exchange, plan } = transfer
  if (!exchange.webSocket) return undefined
  return new WebSocketRelay({
    exchange,
    transport: new Http1Transport(session, transfer),
    handlers: plan?.webSocket,
    faults: plan?.faults,
  })
}

/** The connection behind `101`. */
class Http1Transport implements WebSocketTransport {
  readonly #session: Session
  readonly #transfer: Transfer

  constructor(session: Session, transfer: Transfer) {
    this.#session = session
    this.#transfer = transfer
  }

  send(to: Side, octets: Buffer): MaybePromise<void> {
    const { passage } = this.#session
    const sink: Sink = this.#transfer.faults?.[to] ?? (to === 'client' ? passage.toClient : passage.toServer)
    return sink.add(octets)
  }

  end(to: Side): void {
    this.#session.connection[to].writer?.end()
  }

  finish(how: 'close' | 'reset', reason: ExchangeEndReason): void {
    const { connection, ledger } = this.#session
    ledger.end(this.#transfer, reason)
    connection.end(reason === 'fault' ? 'fault' : 'mitm-closed')
    if (how === 'reset') {
      connection.reset('client')
      connection.reset('server')
    }
    this.#session.fail()
  }
}

function isWebSocket(upgrade: string): boolean {
  return upgrade.split(',').some((token) => token.trim().toLowerCase() === 'websocket')
}
