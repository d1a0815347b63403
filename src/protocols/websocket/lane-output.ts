/** Where the messages of one direction go: into frames for the other side, or to a mock. */
import { isUtf8 } from 'node:buffer'

import type { Side } from '../../errors.ts'
import type { Unless } from '../../internal/unless.ts'
import { WebSocketMessage } from '../../web-socket-message.ts'
import type { DeflateCodec } from './deflate.ts'
import type { LaneHost } from './lane-host.ts'
import { OPCODE } from './parse.ts'
import { writeFrame } from './write.ts'

/** A message, or a part of one, that goes on. */
export interface Outgoing {
  readonly kind: 'text' | 'binary'
  readonly octets: Buffer
  /** Whether it is to be compressed, as it was when it came. */
  readonly isCompressed: boolean
  readonly isFirst: boolean
  readonly isLast: boolean
}

/** Takes what goes on in one direction. Each promise is to be awaited before the next call. */
export interface LaneOutput {
  data(outgoing: Outgoing, source: WebSocketMessage | undefined): Promise<void>
  control(opcode: number, payload: Buffer): Promise<void>
  /** What breaks the rules, as it came. */
  raw(octets: Buffer): Promise<void>
  /** What could not be decompressed. */
  undecodable(kind: 'text' | 'binary'): Promise<void>
}

/** No block of DEFLATE is of this type (RFC 1951 section 3.2.3): nobody can inflate it. */
const NO_BLOCK = Buffer.from([0xff, 0xff])

/** Frames messages, in the name of who sends them. */
export class FrameOutput implements LaneOutput {
  readonly #from: Side
  readonly #codec: DeflateCodec | undefined
  readonly #send: (octets: Buffer) => Promise<void>

  /** @param send - Sends octets, and waits for room. */
  constructor(from: Side, codec: DeflateCodec | undefined, send: (octets: Buffer) => Promise<void>) {
    this.#from = from
    this.#codec = codec
    this.#send = send
  }

  async data({ kind, octets, isCompressed, isFirst, isLast }: Outgoing): Promise<void> {
    const codec = isCompressed && this.#codec?.canDeflate ? this.#codec : undefined
    const payload = codec ? await codec.deflate(octets, isLast) : octets
    await this.#frame(isFirst ? OPCODE[kind] : OPCODE.continuation, payload, isLast, codec && isFirst ? 4 : 0)
  }

  control(opcode: number, payload: Buffer): Promise<void> {
    return this.#frame(opcode, payload)
  }

  raw(octets: Buffer): Promise<void> {
    return this.#send(octets)
  }

  undecodable(kind: 'text' | 'binary'): Promise<void> {
    return this.#frame(OPCODE[kind], NO_BLOCK, true, 4)
  }

  #frame(opcode: number, payload: Buffer, isFinal = true, reserved = 0): Promise<void> {
    return this.#send(writeFrame({ opcode, payload, isFinal, reserved, isMasked: this.#from === 'client' }))
  }
}

/** Hands messages to a mock. */
export class MockOutput implements LaneOutput {
  readonly #host: LaneHost
  readonly #waiting: Unless
  #pieces: Buffer[] = []

  /** @param waiting - Waits for the mock. */
  constructor(host: LaneHost, waiting: Unless) {
    this.#host = host
    this.#waiting = waiting
  }

  async data({ kind, octets, isLast }: Outgoing, source: WebSocketMessage | undefined): Promise<void> {
    this.#pieces.push(octets)
    if (!isLast) return
    const whole = this.#pieces.length === 1 ? octets : Buffer.concat(this.#pieces)
    this.#pieces = []
    if (kind === 'text' && !isUtf8(whole)) this.#host.mockFails(1007)
    else await this.#waiting.settled(this.#host.deliver(source ?? WebSocketMessage.of('client', kind, whole)))
  }

  control(opcode: number, payload: Buffer): Promise<void> {
    if (opcode === OPCODE.ping) this.#host.pong(payload)
    return Promise.resolve()
  }

  raw(): Promise<void> {
    this.#host.mockFails(1002)
    return Promise.resolve()
  }

  undecodable(): Promise<void> {
    this.#host.mockFails(1007)
    return Promise.resolve()
  }
}
