/**
 * One direction of a WebSocket: from one side to the other. Octets pass as they came, until somebody touches its messages;
 * from the next message on they are then taken out of their frames, given to whoever wants to see them, one after the other,
 * and framed and compressed anew. What breaks the rules goes on as it came in either way, and so does all behind it.
 */
import { MitmError } from '../../errors.ts'
import type { Side } from '../../errors.ts'
import { isPromise } from '../../internal/maybe-promise.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import { DeflateCodec } from './deflate.ts'
import { agreedExtensions } from './handshake.ts'
import type { AgreedExtensions } from './handshake.ts'
import type { LaneFaults } from './lane-faults.ts'
import type { LaneHost } from './lane-host.ts'
import { WebSocketMessage } from '../../web-socket-message.ts'
import { MessageLane } from './message-lane.ts'
import { DirectionObserver } from './observe.ts'
import type { FramePart } from './parse.ts'
import { writeFaulty, writeMessage } from './write.ts'

/** What is sent between what passes. */
interface Insertion {
  readonly octets: Buffer
  /** Between which it may be sent: control frames between any frames, messages between messages only. */
  readonly between: 'frames' | 'messages'
  /** Called when it has been sent. */
  readonly sent?: (() => void) | undefined
}

/** How much is held behind a stop before the sender has to wait. */
const MAX_HELD_BYTES = 1024 * 1024

/** One direction of a WebSocket. */
export class Lane {
  readonly from: Side
  readonly to: Side
  readonly #host: LaneHost
  readonly #faults: LaneFaults
  readonly #observer: DirectionObserver
  /** What takes messages out of their frames, once something wants that. */
  #messages: MessageLane | undefined
  /** How many octets of the head of a frame have been sent before all of it had come. */
  #sentAhead = 0
  /** `stalled`: what comes is held; `shut`: it is thrown away. */
  #gate: 'open' | 'stalled' | 'shut' = 'open'
  #insertions: Insertion[] = []
  #held: Buffer[] = []
  #heldBytes = 0
  #onceRoom: (() => void)[] = []
  /** Whether there is nothing to do but to pass octets on. */
  #isPlain = true
  /** Whether octets are looked at that have been sent already. */
  #isBehind = false
  #isClosing = false
  #passed = 0
  readonly #extensions: AgreedExtensions
  #isUnreadable = false

  constructor(from: Side, host: LaneHost, faults: LaneFaults) {
    this.from = from
    this.to = from === 'client' ? 'server' : 'client'
    this.#host = host
    this.#faults = faults
    this.#extensions = agreedExtensions(host.record.extensions)
    this.#observer = new DirectionObserver(host.exchange, from, this.#extensions, {
      message: () => this.#onPassed(),
      close: (octets) => this.#onClose(octets),
    })
  }

  /** Whether a fault lets nothing pass. */
  get isStalled(): boolean {
    return this.#gate === 'stalled'
  }

  /** Whether a close frame has been sent in this direction, or is about to be. */
  get isClosing(): boolean {
    return this.#isClosing
  }

  /** Takes octets; a promise when the sender has to wait. */
  data(octets: Buffer): MaybePromise<void> {
    if (this.#gate === 'stalled') return this.#hold(octets)
    if (this.#messages) return this.#messages.data(octets)
    if (!this.#isPlain) return this.#passParts(octets)
    const wait = this.#host.send(this.to, octets)
    this.#isBehind = true
    this.#observer.data(octets)
    this.#isBehind = false
    this.#sentAhead = this.#observer.parser.unread.length
    if (!this.#isPlain) this.update()
    return wait
  }

  /** Resolves when all that has come has been passed on; undefined when it has. */
  settled(): Promise<void> | undefined {
    if (this.#gate === 'stalled') {
      return new Promise<void>((resolve) => {
        this.#onceRoom.push(resolve)
      }).then(() => this.settled())
    }
    return this.#messages?.end()
  }

  /** What takes messages out of their frames; undefined as long as nothing does. */
  get messages(): MessageLane | undefined {
    return this.#messages
  }

  /**
   * Sends something in between, in the name of the side from which messages come.
   *
   * @returns Whether it will be sent.
   */
  insert(octets: Buffer, between: Insertion['between'], sent?: () => void): boolean {
    if (this.#gate === 'shut') return false
    this.#insertions.push({ octets, between, sent })
    this.#isPlain = false
    if (!this.#isBehind) this.update()
    return true
  }

  /** Sends a message that nobody has sent, between others. @returns Whether it will be sent */
  send(kind: 'text' | 'binary', octets: Buffer): boolean {
    const message = WebSocketMessage.of(this.from, kind, octets)
    message.outcome = 'sent'
    return this.insert(writeMessage(this.from, kind, octets), 'messages', () => {
      message.keepOnly(this.#host.record.limit)
      this.#host.received(message)
    })
  }

  /** Sends a close frame, and nothing more. @param sent - Called when it has been. */
  close(frame: Buffer, sent: () => void): void {
    this.#isClosing = true
    this.insert(frame, 'frames', () => {
      this.#gate = 'shut'
      this.#messages?.shut()
      sent()
    })
  }

  /** A close frame is about to be sent. */
  closing(): void {
    this.#isClosing = true
  }

  /** Throws away what comes from now on. */
  shut(): void {
    this.#gate = 'shut'
    this.#isPlain = false
    this.#isClosing = true
    this.#insertions = []
    this.#messages?.shut()
    this.#release()
  }

  /** Handlers or faults have changed, or something may be sent in between. */
  update(): void {
    if (this.#host.isOver) return
    this.#faults.update()
    this.#actFaults()
    this.#atBoundary()
    this.#messages?.update()
    this.#isPlain =
      this.#faults.isEmpty && this.#insertions.length === 0 && this.#gate === 'open' && !this.#wantsMessages
    if (this.#gate === 'open') this.#release()
  }

  /** The connection is over. */
  ended(): void {
    if (this.#messages) this.#messages.close()
    else this.#observer.broken()
    this.#gate = 'shut'
    this.#release()
  }

  #passParts(octets: Buffer): MaybePromise<void> {
    const { parser } = this.#observer
    parser.push(octets)
    let wait: MaybePromise<void> = undefined
    for (let part = parser.read(); part; part = parser.read()) {
      wait = this.#pass(part) ?? wait
      this.#atBoundary()
      if (this.#gate === 'stalled') return this.#hold(parser.rest())
      if (this.#messages) return this.#messages.data(parser.rest())
    }
    const { unread } = parser
    if (this.#gate === 'open' && unread.length > this.#sentAhead) {
      wait = this.#host.send(this.to, unread.subarray(this.#sentAhead)) ?? wait
    }
    this.#sentAhead = unread.length
    return wait
  }

  #pass(part: FramePart): MaybePromise<void> {
    const octets = this.#sentAhead > 0 ? part.octets.subarray(this.#sentAhead) : part.octets
    this.#sentAhead = 0
    const isOpen = this.#gate === 'open'
    const wait = isOpen ? this.#host.send(this.to, octets) : undefined
    this.#observer.take(part, isOpen ? 'passed' : 'dropped')
    return wait
  }

  /** Does what may be done between two frames, or two messages. */
  #atBoundary(): void {
    for (let next = this.#insertions[0]; next && this.#gate === 'open' && this.#isBetween(next.between);) {
      this.#insertions.shift()
      // A writer that has enough is waited for by whoever reads; what is sent in between is little.
      void this.#host.send(this.to, next.octets)
      next.sent?.()
      next = this.#insertions[0]
    }
    if (this.#gate !== 'shut' && this.#wantsMessages && this.#isBetween('messages')) this.#openMessages()
  }

  get #wantsMessages(): boolean {
    if (this.#messages || this.#isUnreadable) return false
    const { from } = this
    const isMocked = this.#host.isMock(from) || this.#host.isMock(this.to)
    return (
      isMocked || this.#host.handlersOf(from).some((handler) => 'message' in handler) || this.#faults.changesMessages
    )
  }

  /** Takes messages out of their frames from here on. */
  #openMessages(): void {
    const { deflate, hasUnknown } = this.#extensions
    const { inflation } = this.#observer
    if (hasUnknown || (inflation?.isLost && deflate?.[this.from].takesOver)) {
      this.#isUnreadable = true
      this.#host.report(unreadable(this.from, this.#host))
      return
    }
    this.#messages = new MessageLane(this.from, this.#host, {
      faults: this.#faults,
      observer: this.#observer,
      codec: deflate && new DeflateCodec(this.from, deflate, inflation),
      onPassed: () => this.#onPassed(),
    })
    this.#messages.stall(this.isStalled)
  }

  #isBetween(what: Insertion['between']): boolean {
    if (this.#messages) return what === 'frames' || !this.#messages.isMidMessage
    if (this.#isBehind || this.#sentAhead > 0) return false
    const { parser } = this.#observer
    return what === 'frames' ? parser.isBetweenFrames : parser.isBetweenMessages
  }

  /** A message has passed. */
  #onPassed(): void {
    if (this.#gate === 'shut') return
    this.#passed++
    if (!this.#faults.isEmpty) this.#actFaults()
  }

  #actFaults(): void {
    if (this.#gate === 'shut') return
    for (const { part } of this.#faults.due(this.#passed)) {
      const { action } = part
      if (action.kind === 'close') this.#host.closeByFault(this.to, action)
      else if (action.kind === 'send') {
        this.send(action.message, action.octets)
      } else if (action.kind === 'frames' || action.kind === 'end') {
        const frames = action.frames.map((frame) => writeFaulty(this.from, frame))
        const sent = action.kind === 'end' ? (): void => this.#host.finish(action.end, 'fault') : undefined
        if (frames.length === 0 && sent) sent()
        else this.insert(Buffer.concat(frames), 'messages', sent)
      }
    }
    const stalls = this.#faults.stalls(this.#passed)
    // Whoever called this lets go of what is held.
    if (stalls && this.#gate === 'open') this.#gate = 'stalled'
    else if (!stalls && this.#gate === 'stalled') this.#gate = 'open'
    this.#messages?.stall(this.#gate === 'stalled')
  }

  #onClose(octets: Buffer): void {
    this.#isClosing = true
    this.#host.closed(this.from, octets)
  }

  #hold(octets: Buffer): MaybePromise<void> {
    if (octets.length > 0) this.#held.push(octets)
    this.#heldBytes += octets.length
    if (this.#heldBytes <= MAX_HELD_BYTES) return undefined
    return new Promise((resolve) => {
      this.#onceRoom.push(resolve)
    })
  }

  /** Goes on with what was held. */
  #release(): void {
    const held = this.#held.splice(0)
    this.#heldBytes = 0
    for (const octets of held) {
      const wait = this.data(octets)
      if (isPromise(wait)) void wait
    }
    if (this.#gate === 'stalled') return
    for (const resolve of this.#onceRoom.splice(0)) resolve()
  }
}

function unreadable(from: Side, { exchange, record }: LaneHost): MitmError {
  const why = record.extensions.toLowerCase().includes('permessage-deflate')
    ? 'they refer to earlier ones, which were not kept'
    : `they are coded by an extension that is not known here, ${JSON.stringify(record.extensions)}`
  return new MitmError(
    'MITM_BODY_UNDECODABLE',
    `Cannot look at the messages of the ${from} of ${exchange.request.url}: ${why}; they pass unseen by rules`,
    { side: from },
  )
}
