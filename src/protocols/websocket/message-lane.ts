/**
 * One direction of a WebSocket whose messages are looked at: takes them out of their frames, joins fragments, takes off
 * compression, asks handlers and faults what becomes of each, one after the other, and hands on what they say.
 *
 * A message larger than `maxBodyBytes` is not held: it streams on in fragments, and nobody is asked about it.
 */
import { errorText, MitmError } from '../../errors.ts'
import type { Side } from '../../errors.ts'
import type { MessageOnItsWay } from '../../fault.ts'
import { withMask } from '../../internal/mask.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import { Unless } from '../../internal/unless.ts'
import { WebSocketMessage } from '../../web-socket-message.ts'
import type { DeflateCodec } from './deflate.ts'
import type { LaneFaults } from './lane-faults.ts'
import type { LaneHost } from './lane-host.ts'
import { FrameOutput, MockOutput } from './lane-output.ts'
import type { LaneOutput } from './lane-output.ts'
import { LaneQueue } from './lane-queue.ts'
import type { ItemOf, LaneItem } from './lane-queue.ts'
import type { DirectionObserver } from './observe.ts'
import { OPCODE } from './parse.ts'
import type { FramePart } from './parse.ts'
import { Stop } from './stop.ts'
import { verdictOf } from './verdict.ts'

type DataKind = 'text' | 'binary'

/** A message of which not all has come. */
interface Partial {
  readonly kind: DataKind
  readonly isCompressed: boolean
  held: Buffer[]
  heldBytes: number
  wireBytes: number
  /** Where it streams on: its record. */
  streamed: WebSocketMessage | undefined
}

/** How long handlers may still take when the side whose messages they have has ended. */
const PATIENCE_MS = 1000

/** One direction of a WebSocket whose messages are looked at. */
export class MessageLane {
  readonly #from: Side
  readonly #host: LaneHost
  readonly #faults: LaneFaults
  readonly #observer: DirectionObserver
  readonly #onPassed: () => void
  readonly #codec: DeflateCodec | undefined
  readonly #output: LaneOutput
  readonly #stop = new Stop()
  readonly #handlers = new Unless()
  #patience: NodeJS.Timeout | undefined
  readonly #queue = new LaneQueue()
  #isWorking = false
  #isShut = false
  /** What is being read. */
  #reading: { readonly kind: DataKind; readonly isCompressed: boolean } | undefined
  #control: Buffer[] = []
  /** Whether something broke the rules, so that all that follows goes on as it comes. */
  #isBroken = false
  #partial: Partial | undefined
  #isMidMessage = false
  #arrived = 0

  constructor(
    from: Side,
    host: LaneHost,
    {
      faults,
      observer,
      codec,
      onPassed,
    }: {
      readonly faults: LaneFaults
      readonly observer: DirectionObserver
      readonly codec: DeflateCodec | undefined
      readonly onPassed: () => void
    },
  ) {
    this.#from = from
    this.#host = host
    this.#faults = faults
    this.#observer = observer
    this.#codec = codec
    this.#onPassed = onPassed
    const to = from === 'client' ? 'server' : 'client'
    this.#output = host.isMock(to)
      ? new MockOutput(host, this.#handlers)
      : new FrameOutput(from, codec, async (octets) => {
          await this.#stop.whenOpen()
          if (!this.#isShut && !host.isOver) await host.send(to, octets)
        })
  }

  /** Whether a message is on its way out of which not all has left. */
  get isMidMessage(): boolean {
    return this.#isMidMessage
  }

  /** Takes octets; a promise when the sender has to wait. */
  data(octets: Buffer): MaybePromise<void> {
    if (this.#isBroken) this.#add({ kind: 'raw', octets })
    else {
      const { parser } = this.#observer
      parser.push(octets)
      for (let part = parser.read(); part; part = parser.read()) this.#take(part)
    }
    return this.#queue.whenRoom()
  }

  /** Adds a message of a mock. */
  push(of: DataKind, octets: Buffer): void {
    this.#add({ kind: 'own', of, octets })
  }

  /** Adds a control frame of a mock. */
  pushControl(opcode: number, payload: Buffer): void {
    this.#add({ kind: 'control', opcode, payload, isOwn: true })
  }

  /** All has come. Resolves when it has been passed on; undefined when it has. */
  end(): Promise<void> | undefined {
    if (this.#host.isOver) return undefined
    this.#patience ??= setTimeout(() => this.#handlers.stop(), PATIENCE_MS)
    return new Promise((resolve) => {
      this.#add({ kind: 'end', resolve })
    })
  }

  /** Lets nothing out, or does again. */
  stall(isStalled: boolean): void {
    this.#stop.set(isStalled)
  }

  /** Lets nothing out any more. */
  shut(): void {
    this.#isShut = true
    this.#stop.wake()
  }

  /** Faults have changed. */
  update(): void {
    this.#add({ kind: 'released' })
    this.#stop.wake()
  }

  /** Lets go of everything. */
  close(): void {
    clearTimeout(this.#patience)
    this.#handlers.stop()
    this.#stop.close()
    this.#queue.close()
    if (!this.#isWorking) this.#codec?.close()
  }

  #take(part: FramePart): void {
    const { head, payload, offset } = part
    if (head.problem !== undefined) {
      // What follows cannot be told apart by whoever gets it, either.
      this.#observer.noteInvalid(head.problem, head.opcode)
      this.#isBroken = true
      this.#add({ kind: 'raw', octets: Buffer.concat([part.octets, this.#observer.parser.rest()]) })
      return
    }
    const plain = withMask(payload, head.mask, offset & 3)
    if (head.opcode >= OPCODE.close) {
      this.#control.push(plain)
      if (!part.isLast) return
      const control = Buffer.concat(this.#control.splice(0))
      this.#add({ kind: 'control', opcode: head.opcode, payload: control, isOwn: false })
      return
    }
    const isFirst = part.isFirst && head.opcode !== OPCODE.continuation
    if (isFirst) {
      const isCompressed = (head.reserved & 4) !== 0 && this.#codec !== undefined
      this.#reading = { kind: head.opcode === OPCODE.text ? 'text' : 'binary', isCompressed }
    }
    if (!this.#reading) return
    const { kind: of, isCompressed } = this.#reading
    this.#add({ kind: 'piece', of, isCompressed, isFirst, isLast: part.isLast && head.isFinal, payload: plain })
  }

  #add(item: LaneItem): void {
    if (this.#host.isOver) return
    this.#queue.add(item)
    if (!this.#isWorking) void this.#work()
  }

  /** Handles what waits, one after the other. Never rejects. */
  async #work(): Promise<void> {
    this.#isWorking = true
    try {
      for (let item = this.#queue.next(); item && !this.#host.isOver; item = this.#queue.next()) {
        await this.#handle(item)
        this.#queue.done(item)
      }
    } catch (error) {
      const text = `Cannot relay the WebSocket ${this.#host.exchange.request.url}: ${errorText(error)}`
      if (!this.#host.isOver) this.#host.failed(new MitmError('MITM_PROTOCOL_FAILED', text, { cause: error }))
    } finally {
      this.#isWorking = false
      if (this.#host.isOver) this.close()
    }
  }

  async #handle(item: LaneItem): Promise<void> {
    switch (item.kind) {
      case 'piece':
        return this.#takePiece(item)
      case 'own':
        return this.#decide(this.#ownMessage(item.of, item.octets))
      case 'control':
        return this.#passControl(item)
      case 'raw':
        await this.#flushPartial()
        return this.#output.raw(item.octets)
      case 'released':
        return this.#emit(this.#faults.released(false))
      case 'end':
        await this.#emit(this.#faults.released(true))
        await this.#flushPartial()
        await this.#flushHead()
        item.resolve()
    }
  }

  async #takePiece({ of, isCompressed, isFirst, isLast, payload }: ItemOf<'piece'>): Promise<void> {
    if (isFirst) {
      this.#partial = { kind: of, isCompressed, held: [], heldBytes: 0, wireBytes: 0, streamed: undefined }
    }
    const partial = this.#partial
    if (!partial) return
    partial.wireBytes += payload.length
    let octets = payload
    if (isCompressed && this.#codec) {
      try {
        octets = await this.#codec.inflate(payload, isLast)
      } catch {
        if (!this.#host.isOver) await this.#breakOff(of)
        return
      }
    }
    if (partial.streamed) {
      await this.#stream(partial, partial.streamed, octets, isLast)
      return
    }
    partial.held.push(octets)
    partial.heldBytes += octets.length
    if (partial.heldBytes > this.#host.maxMessageBytes) {
      this.#tooLarge(partial)
      partial.streamed = new WebSocketMessage(this.#from, of, this.#host.record.limit)
      await this.#stream(partial, partial.streamed, Buffer.concat(partial.held), isLast)
      return
    }
    if (!isLast) return
    this.#partial = undefined
    const whole = partial.held.length === 1 ? octets : Buffer.concat(partial.held)
    const message = WebSocketMessage.of(this.#from, of, whole, isCompressed ? partial.wireBytes : undefined)
    message.outcome = 'held'
    this.#host.received(message)
    await this.#decide(message)
  }

  /** Passes a part of a message on that is too large to be held. */
  async #stream(partial: Partial, record: WebSocketMessage, octets: Buffer, isLast: boolean): Promise<void> {
    const isFirst = partial.held.length > 0
    partial.held = []
    record.add(octets, 0, 0)
    this.#isMidMessage = !isLast
    await this.#output.data(
      { kind: partial.kind, octets, isCompressed: partial.isCompressed, isFirst, isLast },
      undefined,
    )
    if (!isLast) return
    this.#partial = undefined
    record.finish()
    this.#host.received(record)
    this.#arrived++
    this.#onPassed()
  }

  #ownMessage(of: DataKind, octets: Buffer): WebSocketMessage {
    const message = WebSocketMessage.of(this.#from, of, octets)
    message.outcome = 'held'
    this.#host.received(message)
    return message
  }

  /** Asks handlers and faults what becomes of a message, and does it. */
  async #decide(message: WebSocketMessage): Promise<void> {
    const atMs = performance.now()
    const isOwn = this.#host.isMock(this.#from)
    const decided = await verdictOf(message, this.#host, this.#handlers)
    if (!decided || this.#host.isOver) return
    const going: MessageOnItsWay[] = []
    let isHeld = false
    for (const each of decided) {
      const given: MessageOnItsWay = { kind: each.kind, octets: each.octets, atMs, source: each }
      const made = this.#faults.change(given, this.#arrived)
      going.push(...made.messages)
      isHeld ||= made.isHeld
    }
    this.#arrived++
    if (!isHeld && going.every(({ source }) => source !== message)) message.outcome = 'dropped'
    await this.#emit(going, isOwn ? 'sent' : 'passed')
    for (const each of [message, ...decided]) each.keepOnly(this.#host.record.limit)
    this.#host.changed()
  }

  /** Hands messages on, each at its time. */
  async #emit(going: readonly MessageOnItsWay[], outcome: 'passed' | 'sent' = 'passed'): Promise<void> {
    const seen = new Set<WebSocketMessage>()
    const { generation } = this.#faults
    for (const { kind, octets, atMs, source } of going) {
      await this.#stop.until(atMs, () => this.#faults.generation === generation)
      await this.#stop.whenOpen()
      if (this.#host.isOver) return
      let sent = source
      if (!source || seen.has(source)) {
        sent = WebSocketMessage.of(this.#from, kind, octets)
        sent.outcome = 'sent'
        this.#host.received(sent)
      } else {
        seen.add(source)
        if (octets !== source.octets || kind !== source.kind) source.changeTo(kind, octets)
        else if (source.outcome !== 'changed' && source.outcome !== 'sent') source.outcome = outcome
      }
      if (this.#isShut && sent) sent.outcome = 'dropped'
      const isCompressed = source?.isCompressed === true
      await this.#output.data({ kind, octets, isCompressed, isFirst: true, isLast: true }, sent)
      if (!this.#host.isOver) this.#onPassed()
    }
  }

  async #passControl({ opcode, payload, isOwn }: ItemOf<'control'>): Promise<void> {
    if (opcode === OPCODE.close) await this.#emit(this.#faults.released(true))
    await this.#stop.whenOpen()
    if (this.#host.isOver) return
    await this.#output.control(opcode, payload)
    this.#observer.noteControl(opcode, payload, isOwn)
  }

  /** What has come cannot be decompressed: the other side gets something of which that holds as well. */
  async #breakOff(kind: DataKind): Promise<void> {
    this.#isBroken = true
    this.#partial = undefined
    this.#observer.noteInvalid('compression', OPCODE[kind])
    await this.#output.undecodable(kind)
  }

  /** What has come of a message of which nothing more comes. */
  async #flushPartial(): Promise<void> {
    const partial = this.#partial
    this.#partial = undefined
    if (!partial) return
    const { kind, isCompressed, held, streamed } = partial
    const record = streamed ?? new WebSocketMessage(this.#from, kind, this.#host.record.limit)
    if (held.length > 0) {
      const octets = Buffer.concat(held)
      record.add(octets, 0, 0)
      this.#isMidMessage = true
      await this.#output.data({ kind, octets, isCompressed, isFirst: true, isLast: false }, undefined)
    }
    record.finish(false)
    this.#host.received(record)
  }

  /** What has come of the head of a frame. */
  async #flushHead(): Promise<void> {
    const octets = this.#observer.parser.rest()
    if (octets.length > 0) await this.#output.raw(octets)
  }

  #tooLarge({ heldBytes }: Partial): void {
    if (this.#host.handlersOf(this.#from).length === 0) return
    const { exchange, maxMessageBytes } = this.#host
    const text =
      `Cannot hold a message of the ${this.#from} of ${exchange.request.url}: ${heldBytes} octets have come, ` +
      `maxBodyBytes is ${maxMessageBytes}; it passes unseen by rules`
    this.#host.report(new MitmError('MITM_BODY_TOO_LARGE', text, { side: this.#from }))
  }
}
