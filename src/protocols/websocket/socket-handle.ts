/** An open WebSocket, as rules and tests have it. */
import type { Side } from '../../errors.ts'
import { MitmError } from '../../errors.ts'
import type { Exchange } from '../../exchange.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import type { MockedWebSocket, WebSocketData, WebSocketPeer } from '../../web-socket.ts'
import { webSocketUrl } from '../../web-socket-handshake.ts'
import type { WebSocketMessage } from '../../web-socket-message.ts'
import type { Lane } from './lane.ts'
import { isCloseCode, OPCODE } from './parse.ts'
import type { WebSocketRelay } from './relay.ts'
import { contentOf, demandContent } from './verdict.ts'
import { writeFrame } from './write.ts'

const MAX_CONTROL_BYTES = 125

/** An open WebSocket. */
export class SocketHandle implements MockedWebSocket {
  readonly exchange: Exchange
  readonly client: WebSocketPeer
  readonly server: WebSocketPeer
  readonly #relay: WebSocketRelay
  readonly #lanes: { readonly [From in Side]: Lane }
  /** What a mock does with messages. */
  listener: ((message: WebSocketMessage) => MaybePromise<WebSocketData | null | undefined | void>) | undefined
  /** What a mock does when it is closed. */
  closeListener: ((code: number, reason: string) => void) | undefined

  /** @param lanes - By who sends the messages. */
  constructor(relay: WebSocketRelay, lanes: { readonly [From in Side]: Lane }) {
    this.#relay = relay
    this.#lanes = lanes
    this.exchange = relay.exchange
    this.client = new Peer('client', relay, lanes.server)
    this.server = new Peer('server', relay, lanes.client)
  }

  get url(): string {
    return webSocketUrl(this.exchange.request.url)
  }

  get subprotocol(): string {
    return this.#relay.record.subprotocol
  }

  get isOpen(): boolean {
    return !this.#relay.isOver && !this.#lanes.client.isClosing && !this.#lanes.server.isClosing
  }

  send(data: WebSocketData): boolean {
    return this.client.send(data)
  }

  close(code?: number, reason?: string): boolean {
    const isClientClosed = this.client.close(code, reason)
    return this.server.close(code, reason) || isClientClosed
  }

  whenClosed(): Promise<void> {
    return this.#relay.whenOver
  }

  onMessage(listener: NonNullable<SocketHandle['listener']>): void {
    if (typeof listener !== 'function') throw invalid('onMessage', 'it is not a function')
    this.listener = listener
  }

  onClose(listener: NonNullable<SocketHandle['closeListener']>): void {
    if (typeof listener !== 'function') throw invalid('onClose', 'it is not a function')
    this.closeListener = listener
  }

  toString(): string {
    return `WebSocket ${this.url}${this.isOpen ? '' : ' (closed)'}`
  }
}

/** One end of an open WebSocket. */
class Peer implements WebSocketPeer {
  readonly #side: Side
  readonly #relay: WebSocketRelay
  /** In which messages go to it. */
  readonly #lane: Lane

  constructor(side: Side, relay: WebSocketRelay, lane: Lane) {
    this.#side = side
    this.#relay = relay
    this.#lane = lane
  }

  get #isClosed(): boolean {
    return this.#relay.isOver || this.#lane.isClosing || this.#relay.isMock(this.#side)
  }

  send(data: WebSocketData): boolean {
    const { kind, octets } = demandContent(`send to the ${this.#side}`, data)
    if (this.#isClosed) return false
    // What a mock sends is a message of its server, like any other.
    if (!this.#relay.isMock(this.#lane.from)) return this.#lane.send(kind, octets)
    this.#lane.messages?.push(kind, octets)
    return true
  }

  ping(data: string | Uint8Array = ''): boolean {
    const payload = contentOf(data)?.octets
    if (!payload || payload.length > MAX_CONTROL_BYTES) {
      throw invalid(
        'ping',
        `its data are ${payload ? `${payload.length} octets` : 'none'}, expected at most 125 octets`,
      )
    }
    if (this.#isClosed) return false
    const { from } = this.#lane
    return this.#lane.insert(
      writeFrame({ opcode: OPCODE.ping, payload, isMasked: from === 'client' }),
      'frames',
      () => {
        this.#relay.record.addControl({ from, kind: 'ping', at: Date.now(), octets: payload, isSentByRule: true })
        this.#relay.changed()
      },
    )
  }

  close(code?: number, reason: string = ''): boolean {
    demandClose(code, reason)
    return this.#relay.closePeer(this.#side, code, reason)
  }
}

/** @throws {@link MitmError} `MITM_INVALID_RULE` when a socket cannot be closed so */
function demandClose(code: number | undefined, reason: string): void {
  if (code !== undefined && !(typeof code === 'number' && isCloseCode(code))) {
    throw invalid('close', `the code is ${JSON.stringify(code)}, expected 1000 to 1003, 1007 to 1014, or 3000 to 4999`)
  }
  if (typeof reason !== 'string' || Buffer.byteLength(reason) > MAX_CONTROL_BYTES - 2) {
    throw invalid('close', 'the reason is too long, expected a text of at most 123 octets')
  }
  if (reason !== '' && code === undefined) throw invalid('close', 'it has a reason and no code, expected both')
}

function invalid(method: string, problem: string): MitmError {
  return new MitmError('MITM_INVALID_RULE', `Cannot ${method} a WebSocket: ${problem}`)
}
