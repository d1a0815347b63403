/**
 * Watches the frames of a WebSocket as they pass, and records its messages; changes nothing. Fed with the octets of both
 * directions, however they are cut. What breaks the rules is recorded as such, and nothing here throws for it.
 */
import type { ConnectionFlow } from '../../connection.ts'
import type { Side } from '../../errors.ts'
import type { Exchange } from '../../exchange.ts'
import { Inflation } from '../../internal/inflation.ts'
import { withMask } from '../../internal/mask.ts'
import { WebSocketMessage } from '../../web-socket-message.ts'
import { WebSocketRecord } from '../../web-socket-record.ts'
import type { FrameProblem, SocketEnder } from '../../web-socket-record.ts'
import { agreedExtensions, frameRulesOf } from './handshake.ts'
import type { AgreedExtensions } from './handshake.ts'
import { FrameParser, OPCODE, problemOfClose } from './parse.ts'
import type { FramePart } from './parse.ts'

/**
 * Notes that an exchange becomes a WebSocket. To be called when the response is known, before anybody is told of it: who
 * wants messages to be kept says so when he is.
 *
 * @param headers - Of the response, by lower-case name.
 */
export function beginWebSocket(exchange: Exchange, headers: Readonly<Record<string, string>>): void {
  exchange.webSocket = new WebSocketRecord(
    headers['sec-websocket-protocol'] ?? '',
    headers['sec-websocket-extensions'] ?? '',
  )
}

/** Watches both directions of one WebSocket. */
export class WebSocketObserver {
  readonly #directions: { readonly [From in Side]: DirectionObserver }
  readonly #record: WebSocketRecord | undefined

  /** @param exchange - One with a `webSocket`: see {@link beginWebSocket}. */
  constructor(exchange: Exchange) {
    this.#record = exchange.webSocket
    const extensions = agreedExtensions(this.#record?.extensions ?? '')
    this.#directions = {
      client: new DirectionObserver(exchange, 'client', extensions),
      server: new DirectionObserver(exchange, 'server', extensions),
    }
  }

  /** Takes octets that have come from a side. */
  data(from: Side, octets: Buffer): void {
    this.#directions[from].data(octets)
  }

  /** The connection is over. @param by - Who ended it. */
  ended(by: SocketEnder): void {
    for (const direction of Object.values(this.#directions)) direction.broken()
    this.#record?.ended(by)
  }
}

/** What a {@link DirectionObserver} tells of what it has seen. */
export interface ObserverCalls {
  /** A message has come whole. */
  message?(): void
  /** A close frame has come. */
  close?(payload: Buffer): void
}

/** Watches one direction. */
export class DirectionObserver {
  readonly parser: FrameParser
  /** What inflates the messages that come compressed. */
  readonly inflation: Inflation | undefined
  readonly #exchange: Exchange
  readonly #flow: ConnectionFlow
  readonly #record: WebSocketRecord
  readonly #from: Side
  readonly #calls: ObserverCalls
  #message: WebSocketMessage | undefined
  /** The payload so far of a control frame. */
  #control: Buffer[] = []

  constructor(exchange: Exchange, from: Side, extensions: AgreedExtensions, calls: ObserverCalls = {}) {
    const { webSocket } = exchange
    if (!webSocket) throw new TypeError('The exchange is no WebSocket: beginWebSocket() was not called')
    this.#exchange = exchange
    this.#flow = exchange.connection.flow
    this.#record = webSocket
    this.#from = from
    this.#calls = calls
    this.parser = new FrameParser(frameRulesOf(from, extensions))
    const deflate = extensions.deflate?.[from]
    if (deflate) this.inflation = new Inflation(deflate.takesOver)
  }

  /** Takes octets. */
  data(octets: Buffer): void {
    const { parser } = this
    parser.push(octets)
    for (let part = parser.read(); part; part = parser.read()) this.take(part, 'passed')
  }

  /**
   * Takes a part that {@link DirectionObserver.parser} has read.
   *
   * @param outcome - What became of it.
   */
  take(part: FramePart, outcome: 'passed' | 'dropped'): void {
    const { head } = part
    if (head.problem !== undefined) {
      if (part.isFirst) this.noteInvalid(head.problem, head.opcode)
    } else if (head.opcode >= OPCODE.close) this.#takeControl(part)
    else this.#takeData(part, outcome)
  }

  /** Nothing more comes: a message that has not come whole is recorded as it is. */
  broken(): void {
    const message = this.#message
    if (!message) return
    this.#message = undefined
    message.finish(false)
    this.#add(message)
  }

  /** Records a control frame. @param isSentByRule - Whether it is not of the side from which this comes. */
  noteControl(opcode: number, octets: Buffer, isSentByRule = false): void {
    const kind = opcode === OPCODE.close ? 'close' : opcode === OPCODE.ping ? 'ping' : 'pong'
    const problem = kind === 'close' ? problemOfClose(octets) : undefined
    if (problem) this.#record.addInvalid({ from: this.#from, at: Date.now(), problem, opcode })
    this.#record.addControl({ from: this.#from, kind, at: Date.now(), octets, isSentByRule })
    this.#changed()
    if (kind === 'close') this.#calls.close?.(octets)
  }

  /** Records a frame that breaks the rules. */
  noteInvalid(problem: FrameProblem, opcode: number): void {
    this.#record.addInvalid({ from: this.#from, at: Date.now(), problem, opcode })
    this.#changed()
  }

  #takeData(part: FramePart, outcome: 'passed' | 'dropped'): void {
    const { head } = part
    let message = this.#message
    if (!message || (part.isFirst && head.opcode !== OPCODE.continuation)) {
      const kind = head.opcode === OPCODE.text ? 'text' : 'binary'
      const isCompressed = (head.reserved & 4) !== 0
      message = new WebSocketMessage(this.#from, kind, this.#record.limit, isCompressed ? this.inflation : undefined)
      message.outcome = outcome
      this.#message = message
    }
    message.add(part.payload, head.mask, part.offset & 3)
    if (!part.isLast || !head.isFinal) return
    this.#message = undefined
    message.finish()
    this.#add(message)
    this.#calls.message?.()
  }

  #add(message: WebSocketMessage): void {
    this.#record.addMessage(message)
    this.#flow.notify('messageReceived', this.#exchange, message)
  }

  #takeControl(part: FramePart): void {
    const { head, payload, offset } = part
    this.#control.push(withMask(Buffer.from(payload), head.mask, offset & 3))
    if (part.isLast) this.noteControl(head.opcode, Buffer.concat(this.#control.splice(0)))
  }

  #changed(): void {
    this.#flow.notify('webSocketChanged', this.#exchange)
  }
}
