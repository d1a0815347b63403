/** Writes frames: well-formed ones, and any other. */
import { randomBytes } from 'node:crypto'

import type { Side } from '../../errors.ts'
import type { FaultyFrame } from '../../fault.ts'
import { maskInto } from '../../internal/mask.ts'
import { OPCODE } from './parse.ts'

/** What a frame is to be. */
export interface FrameToWrite {
  readonly opcode: number
  readonly payload: Buffer
  /** @defaultValue `true` */
  readonly isFinal?: boolean
  /** The reserved bits: 4 for RSV1, 2 for RSV2, 1 for RSV3. @defaultValue 0 */
  readonly reserved?: number
  /** Whether it is masked, with a mask that nobody can foresee (RFC 6455 section 10.3). */
  readonly isMasked: boolean
}

/** The frame as octets. */
export function writeFrame({ opcode, payload, isFinal = true, reserved = 0, isMasked }: FrameToWrite): Buffer {
  const { length } = payload
  const lengthBytes = length > 0xffff ? 8 : length > 125 ? 2 : 0
  const at = 2 + lengthBytes + (isMasked ? 4 : 0)
  const octets = Buffer.allocUnsafe(at + length)
  octets[0] = (isFinal ? 0x80 : 0) | (reserved << 4) | opcode
  octets[1] = (isMasked ? 0x80 : 0) | (lengthBytes === 8 ? 127 : lengthBytes === 2 ? 126 : length)
  if (lengthBytes === 2) octets.writeUInt16BE(length, 2)
  else if (lengthBytes === 8) octets.writeBigUInt64BE(BigInt(length), 2)
  if (!isMasked) {
    octets.set(payload, at)
    return octets
  }
  const mask = nextMask()
  octets.writeUInt32BE(mask, at - 4)
  maskInto(octets, at, payload, mask)
  return octets
}

/** A frame that need not be well-formed, as `from` sends it. */
export function writeFaulty(from: Side, { hasWrongMask = false, statedLength, ...frame }: FaultyFrame): Buffer {
  const isMasked = (from === 'client') !== hasWrongMask
  if (statedLength === undefined) return writeFrame({ ...frame, isMasked })
  const octets = writeFrame({ ...frame, payload: frame.payload.subarray(0, 0), isMasked })
  const head = Buffer.alloc(10 + (isMasked ? 4 : 0))
  head[0] = octets[0] ?? 0
  head[1] = ((octets[1] ?? 0) & 0x80) | 127
  head.writeBigUInt64BE(statedLength, 2)
  // The mask is all zeros: it has to be there, and changes nothing.
  return Buffer.concat([head, frame.payload])
}

/** A whole message in one frame, not compressed, as `from` sends it. */
export function writeMessage(from: Side, kind: 'text' | 'binary', payload: Buffer): Buffer {
  return writeFrame({ opcode: OPCODE[kind], payload, isMasked: from === 'client' })
}

/** A close frame as `from` sends it. @param code - Undefined: without a code, and then without a reason. */
export function writeClose(from: Side, code: number | undefined, reason: string): Buffer {
  return writeFrame({ opcode: OPCODE.close, payload: closePayload(code, reason), isMasked: from === 'client' })
}

/** The payload of a close frame. */
export function closePayload(code: number | undefined, reason = ''): Buffer {
  if (code === undefined) return Buffer.alloc(0)
  const payload = Buffer.from(`\0\0${reason}`)
  payload.writeUInt16BE(code, 0)
  return payload
}

const POOL_MASKS = 1024
let pool: Buffer = Buffer.alloc(0)
let poolAt = 0

function nextMask(): number {
  if (poolAt >= pool.length) {
    pool = randomBytes(POOL_MASKS * 4)
    poolAt = 0
  }
  const mask = pool.readUInt32BE(poolAt)
  poolAt += 4
  return mask
}
