/** WebSockets on an HTTP/1 connection: what carries them is the connection itself, behind `101`. */
import type { Side } from '../../errors.ts'
import { HttpResponse } from '../../exchange.ts'
import type { ExchangeEndReason, Field } from '../../exchange.ts'
import { isPromise } from '../../internal/maybe-promise.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import type { WebSocketMock } from '../../web-socket.ts'
import { hasToken } from '../../web-socket-handshake.ts'
import { acceptKey, offeredSubprotocols } from '../websocket/handshake.ts'
import { beginWebSocket } from '../websocket/observe.ts'
import { WebSocketRelay } from '../websocket/relay.ts'
import type { WebSocketTransport } from '../websocket/relay.ts'
import type { Session } from './session.ts'
import type { Sink, Transfer } from './transfer.ts'
import { writeResponseHead } from './write.ts'

/** Notes that an exchange becomes a WebSocket, if that is what its response says. */
export function noteWebSocket({ exchange, facts }: Transfer, response: HttpResponse): void {
  if (facts.upgrade === undefined || !hasToken(facts.upgrade, 'websocket')) return
  if (response.status === 101 && hasToken(response.header('upgrade') ?? '', 'websocket'))
    beginWebSocket(exchange, response.headers)
}

/** What relays what follows a response; undefined when that is no WebSocket. */
export function webSocketOf(
  session: Session,
  transfer: Transfer,
  mock: WebSocketMock | undefined,
): WebSocketRelay | undefined {
  const { exchange, plan } = transfer
  if (!exchange.webSocket) return undefined
  return new WebSocketRelay({
    exchange,
    transport: new Http1Transport(session, transfer),
    mock,
    handlers: plan?.webSocket,
    faults: plan?.faults,
  })
}

/** Resolves when all that has come from a side has been passed on, and what follows that as well; undefined when it has. */
export function settledBehind(
  webSocket: WebSocketRelay | undefined,
  from: Side,
  after: () => Promise<void> | undefined,
): Promise<void> | undefined {
  const settled = webSocket?.settled(from)
  return settled ? settled.then(after) : after()
}

/** Why a request cannot be answered by a WebSocket; undefined when it can (RFC 6455 section 4.2.1). */
export function problemWithHandshake({ exchange: { request }, facts }: Transfer): string | undefined {
  if (facts.upgrade === undefined || !hasToken(facts.upgrade, 'websocket'))
    return 'it does not ask for one (Upgrade: websocket)'
  if (facts.method !== 'GET') return `its method is ${facts.method}, expected GET`
  const key = request.header('sec-websocket-key') ?? ''
  if (Buffer.from(key, 'base64').length !== 16)
    return `its Sec-WebSocket-Key is ${JSON.stringify(key)}, expected 16 octets in base64`
  const version = request.header('sec-websocket-version')
  return version === '13' ? undefined : `its Sec-WebSocket-Version is ${version ?? 'missing'}, expected 13`
}

/** Opens a WebSocket in place of the server. The request has come whole, and what is before it has been answered. */
export async function openMock(session: Session, transfer: Transfer, mock: WebSocketMock): Promise<void> {
  const { exchange } = transfer
  const { request } = exchange
  const subprotocol = mock.subprotocol(offeredSubprotocols(request))
  const fields: Field[] = [
    ['upgrade', 'websocket'],
    ['connection', 'Upgrade'],
    ['sec-websocket-accept', acceptKey(request.header('sec-websocket-key') ?? '')],
  ]
  if (subprotocol !== undefined) fields.push(['sec-websocket-protocol', subprotocol])
  const head = { status: 101, statusText: 'Switching Protocols', httpVersion: 'HTTP/1.1', fields }
  const response = new HttpResponse(head)
  response.finish()
  transfer.status = 101
  session.ledger.respondWith(transfer, response, mock.answeredBy ?? 'rule')
  await session.sendToClient(transfer, writeResponseHead(head))
  session.flush()
  await session.passage.responseSettled(transfer)
  if (transfer.isOver || session.isOver) return
  session.ledger.answered(transfer)
  await session.upgrade(transfer, mock)
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
    const outbox = to === 'client' ? passage.toClient : passage.toServer
    const sink: Sink = this.#transfer.faults?.[to] ?? outbox
    const wait = sink.add(octets)
    this.#session.flush()
    const { writer } = this.#session.connection[to]
    return isPromise(wait) ? wait : outbox.whenRoom(writer)
  }

  end(to: Side): void {
    this.#later(() => this.#session.connection[to].writer?.end())
  }

  finish(how: 'close' | 'reset', reason: ExchangeEndReason): void {
    this.#later(() => {
      const { connection, ledger } = this.#session
      ledger.end(this.#transfer, reason)
      connection.end(reason === 'fault' ? 'fault' : 'server-closed')
      if (how === 'reset') {
        connection.reset('client')
        connection.reset('server')
      }
      this.#session.fail()
    })
  }

  /** When all that was sent to the client has left. */
  #later(then: () => void): void {
    const sent = this.#session.passage.responseSettled(this.#transfer)
    if (sent) void sent.then(then)
    else then()
  }
}
