/** What is recorded of a WebSocket beside its handshake. */
import type { Side } from './errors.ts'
import type { WebSocketMessage } from './web-socket-message.ts'

/** A control frame that came: ping, pong or close (RFC 6455 section 5.5). */
export interface WebSocketControl {
  readonly from: Side
  readonly kind: 'ping' | 'pong' | 'close'
  /** Milliseconds since 1970. */
  readonly at: number
  /** Its payload; of a close, its status code and its reason. */
  readonly octets: Buffer
  /** Whether a rule or a fault sent it, and not who it is from. */
  readonly isSentByRule: boolean
}

/** A frame that breaks RFC 6455. It went on as it came. */
export interface InvalidFrame {
  readonly from: Side
  /** Milliseconds since 1970. */
  readonly at: number
  /** What is wrong with it. */
  readonly problem: FrameProblem
  readonly opcode: number
}

/** What can be wrong with a frame. */
export type FrameProblem =
  /** Of a client, without a mask; of a server, with one (section 5.1). */
  | 'mask'
  /** A reserved bit that no extension explains (section 5.2). */
  | 'reserved-bit'
  /** An opcode that does not exist (section 5.2). */
  | 'opcode'
  /** A control frame of more than 125 octets (section 5.5). */
  | 'control-length'
  /** A control frame in fragments (section 5.5). */
  | 'control-fragment'
  /** A continuation of nothing (section 5.4). */
  | 'continuation'
  /** A new message in the midst of another (section 5.4). */
  | 'interleaved'
  /** A length of 2^63 or more (section 5.2): nothing behind it can be told apart. */
  | 'length'
  /** A status code that must not be sent, or half of one (section 7.4). */
  | 'close-code'
  /** What cannot be decompressed (RFC 7692 section 7.2.2). Found only where a rule or a fault changes messages. */
  | 'compression'

/** Who closes a WebSocket: an end, a rule or a fault, or the mitm, which was closed itself. */
export type SocketEnder = Side | 'rule' | 'mitm'

/** How many control frames, and invalid ones, are kept: of the others only the messages. */
const MAX_KEPT = 1000

/**
 * What is recorded of a WebSocket: `exchange.webSocket`. It fills while the socket is open. The end of the connection is
 * `exchange.endReason`.
 */
export class WebSocketRecord {
  /** What the server chose of the subprotocols; empty for none. */
  readonly subprotocol: string
  /** The extensions agreed, as in the response; empty for none. */
  readonly extensions: string
  /**
   * The status code of the first close frame; 1005 when it had none, 1006 when the connection ended without a close frame;
   * undefined as long as neither has happened.
   */
  closeCode: number | undefined
  /** The reason of the first close frame; empty for none. */
  closeReason = ''
  /** Who sent the first close frame, or ended the connection without one. */
  closedBy: SocketEnder | undefined
  /** Whether both sides have sent a close frame. */
  wasClean = false
  #messages: WebSocketMessage[] = []
  readonly #controls: WebSocketControl[] = []
  readonly #invalidFrames: InvalidFrame[] = []
  #limit = 0
  #isKept = false

  constructor(subprotocol = '', extensions = '') {
    this.subprotocol = subprotocol
    this.extensions = extensions
  }

  /** The messages, in the order in which they came whole. */
  get messages(): readonly WebSocketMessage[] {
    return this.#messages
  }

  /** Pings, pongs and closes; of very many, the first thousand. */
  get controls(): readonly WebSocketControl[] {
    return this.#controls
  }

  /** The frames that break RFC 6455; of very many, the first thousand. */
  get invalidFrames(): readonly InvalidFrame[] {
    return this.#invalidFrames
  }

  /** How many octets are kept of each message. */
  get limit(): number {
    return this.#limit
  }

  /** The messages of the client. */
  get fromClient(): readonly WebSocketMessage[] {
    return this.#messages.filter(({ from }) => from === 'client')
  }

  /** The messages of the server. */
  get fromServer(): readonly WebSocketMessage[] {
    return this.#messages.filter(({ from }) => from === 'server')
  }

  /** Keeps messages from now on, up to `limit` octets of each. Ask before any have come: in `responseStarted`, say. */
  keepMessages(limit: number): void {
    this.#isKept = true
    this.#limit = Math.max(this.#limit, limit)
  }

  /** Forgets the messages so far. Those to come are kept as before. */
  forgetMessages(): void {
    // What is compressed and still to come may refer to them.
    for (const side of ['client', 'server'] as const) {
      this.#messages.findLast(({ from, isCompressed }) => isCompressed && from === side)?.decompress()
    }
    this.#messages = []
  }

  /** For protocols: a message has come, or was sent. */
  addMessage(message: WebSocketMessage): void {
    if (this.#isKept) this.#messages.push(message)
  }

  /** For protocols: a control frame has come, or was sent. */
  addControl(control: WebSocketControl): void {
    if (this.#controls.length < MAX_KEPT) this.#controls.push(control)
    if (control.kind !== 'close') return
    if (this.closeCode === undefined) {
      const { octets } = control
      this.closeCode = octets.length >= 2 ? octets.readUInt16BE(0) : 1005
      this.closeReason = octets.toString('utf8', 2)
      this.closedBy = control.isSentByRule ? 'rule' : control.from
    }
    this.wasClean ||= this.controls.some(({ kind, from }) => kind === 'close' && from !== control.from)
  }

  /** For protocols: a frame that breaks the protocol has come. */
  addInvalid(frame: InvalidFrame): void {
    if (this.#invalidFrames.length < MAX_KEPT) this.#invalidFrames.push(frame)
  }

  /** For protocols: the connection has ended. */
  ended(by: SocketEnder): void {
    if (this.closeCode !== undefined) return
    this.closeCode = 1006
    this.closedBy = by
  }
}
