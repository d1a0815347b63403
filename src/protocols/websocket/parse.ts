/**
 * Reads frames out of octets, however they are cut, and changes none: all parts, put together, are what came in. A frame
 * that breaks the rules is read like any other, and says what is wrong with it.
 *
 * ```text
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +-+-+-+-+-------+-+-------------+-------------------------------+
 * |F|R|R|R|       |M|             |                               |
 * |I|S|S|S| opcode|A| length      | length, 2 octets (126)        |
 * |N|V|V|V|       |S|             |         8 octets (127)        |
 * | |1|2|3|       |K|             |                               |
 * +-+-+-+-+-------+-+-------------+-------------------------------+
 * | mask, 4 octets, if MASK       | payload …                     |
 * +-------------------------------+-------------------------------+
 * ```
 *
 * @see RFC 6455 section 5.2: https://www.rfc-editor.org/rfc/rfc6455#section-5.2
 */
import type { Side } from '../../errors.ts'
import type { FrameProblem } from '../../web-socket-record.ts'

/** What a frame is (RFC 6455 section 11.8). */
export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

/** The head of a frame. */
export interface FrameHead {
  readonly isFinal: boolean
  /** The reserved bits: 4 for RSV1, 2 for RSV2, 1 for RSV3. */
  readonly reserved: number
  readonly opcode: number
  readonly isMasked: boolean
  /** The mask as a number, with a sign; 0 without one. */
  readonly mask: number
  /** Octets of the payload; infinite where the length is not one. */
  readonly length: number
  /** What is wrong with it. */
  readonly problem: FrameProblem | undefined
}

/** A frame, or as much of it as has come. */
export interface FramePart {
  readonly head: FrameHead
  /** The octets of this part, those of the head among them where the frame begins here. */
  readonly octets: Buffer
  /** Those of the payload among them, masked as they came. */
  readonly payload: Buffer
  /** Where in the payload of the frame they begin. */
  readonly offset: number
  readonly isFirst: boolean
  readonly isLast: boolean
}

/** What is to be expected of frames. */
export interface FrameRules {
  /** Who sends them: a client masks, a server does not. */
  readonly from: Side
  /** Reserved bits that an extension may use on the first frame of a message, as in {@link FrameHead.reserved}. */
  readonly reservedOnFirst: number
  /** Those that an unknown extension may use on any frame. */
  readonly reservedOnAny: number
}

/** The longest head: two octets, eight of length, four of mask. */
const MAX_HEAD_BYTES = 14
const MAX_CONTROL_BYTES = 125
const NO_OCTETS = Buffer.alloc(0)

/** Reads the frames of one direction. */
export class FrameParser {
  readonly #rules: FrameRules
  /** What was pushed and not read. */
  #octets: Buffer = NO_OCTETS
  /** The frame whose payload is being read. */
  #head: FrameHead | undefined
  /** How much of its payload has been read. */
  #offset = 0
  #isInMessage = false

  constructor(rules: FrameRules) {
    this.#rules = rules
  }

  /** Whether no message is under way, as far as has been read: another may come in between. */
  get isBetweenMessages(): boolean {
    return this.#head === undefined && !this.#isInMessage
  }

  /** Whether the frame that was read last is whole. */
  get isBetweenFrames(): boolean {
    return this.#head === undefined
  }

  /** What was pushed and not read. */
  get unread(): Buffer {
    return this.#octets
  }

  /** Takes octets. Those pushed before must have been read, as far as they could be. */
  push(octets: Buffer): void {
    this.#octets = this.#octets.length === 0 ? octets : Buffer.concat([this.#octets, octets])
  }

  /** The next part; undefined when more octets are needed. */
  read(): FramePart | undefined {
    const octets = this.#octets
    if (octets.length === 0) return undefined
    const known = this.#head
    if (known) return this.#part(known, 0)
    const headLength = headLengthOf(octets)
    if (octets.length < headLength) return undefined
    const head = this.#readHead(octets, headLength)
    if (head.problem === undefined && head.opcode < OPCODE.close) this.#isInMessage = !head.isFinal
    return this.#part(head, headLength)
  }

  /** Gives back what was pushed and not read. */
  rest(): Buffer {
    const octets = this.#octets
    this.#octets = NO_OCTETS
    return octets
  }

  #part(head: FrameHead, headLength: number): FramePart {
    const octets = this.#octets
    const offset = this.#offset
    const end = Math.min(octets.length, headLength + head.length - offset)
    const isLast = offset + end - headLength === head.length
    this.#head = isLast ? undefined : head
    this.#offset = isLast ? 0 : offset + end - headLength
    this.#octets = end === octets.length ? NO_OCTETS : octets.subarray(end)
    return {
      head,
      octets: end === octets.length ? octets : octets.subarray(0, end),
      payload: headLength === 0 && end === octets.length ? octets : octets.subarray(headLength, end),
      offset,
      isFirst: headLength > 0,
      isLast,
    }
  }

  #readHead(octets: Buffer, headLength: number): FrameHead {
    const first = octets[0] ?? 0
    const second = octets[1] ?? 0
    const isFinal = (first & 0x80) !== 0
    const reserved = (first & 0x70) >> 4
    const opcode = first & 0x0f
    const isMasked = (second & 0x80) !== 0
    const length = lengthOf(octets, second & 0x7f)
    // With a sign it is a small integer, which takes no memory of its own.
    const mask = isMasked ? octets.readInt32BE(headLength - 4) : 0
    const problem = this.#problemOf(isFinal, reserved, opcode, isMasked, length)
    return { isFinal, reserved, opcode, isMasked, mask, length, problem }
  }

  #problemOf(
    isFinal: boolean,
    reserved: number,
    opcode: number,
    isMasked: boolean,
    length: number,
  ): FrameProblem | undefined {
    const { from, reservedOnFirst, reservedOnAny } = this.#rules
    if (length === Number.POSITIVE_INFINITY) return 'length'
    const explained =
      opcode === OPCODE.text || opcode === OPCODE.binary ? reservedOnFirst | reservedOnAny : reservedOnAny
    if ((reserved & ~explained) !== 0) return 'reserved-bit'
    if (isMasked !== (from === 'client')) return 'mask'
    if (opcode >= OPCODE.close) {
      if (opcode > OPCODE.pong) return 'opcode'
      if (length > MAX_CONTROL_BYTES) return 'control-length'
      return isFinal ? undefined : 'control-fragment'
    }
    if (opcode > OPCODE.binary) return 'opcode'
    if (opcode === OPCODE.continuation) return this.#isInMessage ? undefined : 'continuation'
    return this.#isInMessage ? 'interleaved' : undefined
  }
}

/** How long the head is, as far as can be told; the longest there is while nothing can. */
function headLengthOf(octets: Buffer): number {
  const second = octets[1]
  if (second === undefined) return MAX_HEAD_BYTES
  const short = second & 0x7f
  return 2 + (short === 127 ? 8 : short === 126 ? 2 : 0) + ((second & 0x80) === 0 ? 0 : 4)
}

function lengthOf(octets: Buffer, short: number): number {
  if (short < 126) return short
  if (short === 126) return octets.readUInt16BE(2)
  const high = octets.readUInt32BE(2)
  return high >= 2 ** 31 ? Number.POSITIVE_INFINITY : high * 2 ** 32 + octets.readUInt32BE(6)
}

/** Whether a status code may be sent in a close frame (RFC 6455 section 7.4, and IANA's registry). */
export function isCloseCode(code: number): boolean {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999)
}

/** What is wrong with the payload of a close frame. */
export function problemOfClose(payload: Buffer): FrameProblem | undefined {
  if (payload.length === 0) return undefined
  return payload.length >= 2 && isCloseCode(payload.readUInt16BE(0)) ? undefined : 'close-code'
}
