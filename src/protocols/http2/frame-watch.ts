/**
 * What a session of `node:http2` is about to read, and does not tell apart: whether a stream ended or was reset, and by which
 * code (NO_ERROR and CANCEL look like an end). And what would make it do more than it should, so that it does not get to see
 * it: at a GOAWAY it says one of its own, or gives up what is under way; and what comes between the frames of a field block
 * makes Node 20 abort the process. Does no I/O.
 */
import type { Side } from '../../errors.ts'
import { FLAG, FRAME, FRAME_HEAD_BYTES, PREFACE } from './frame.ts'

/** Octets of RST_STREAM, all of which must be there before it is handed on. */
const RESET_BYTES = FRAME_HEAD_BYTES + 4

/** Octets of a GOAWAY before its debug data. */
const GO_AWAY_BYTES = 8

/** More debug data than this is left to the session. */
const MAX_GO_AWAY_BYTES = 65_536

/** The frames of field blocks. */
const BLOCK_TYPES: ReadonlySet<number> = new Set([FRAME.headers, FRAME.pushPromise, FRAME.continuation])

/** What a GOAWAY says. */
export interface GoAway {
  readonly lastStreamId: number
  readonly code: number
  readonly debugData: Buffer
}

/** Looks at the frames that an endpoint sends, until the streams that they are of are forgotten. */
export class FrameWatch {
  readonly #ended = new Set<number>()
  readonly #resets = new Map<number, number>()
  /** The beginning of a frame that has come in part. */
  #rest: Buffer = Buffer.alloc(0)
  /** Octets of a frame that are still to come. */
  #left: number
  /** The stream whose field block has begun and not ended. */
  #blockOf: number | undefined
  #isBroken = false

  /** @param from - Whose frames they are: those of a client come behind its preface. */
  constructor(from: Side) {
    this.#left = from === 'client' ? PREFACE.length : 0
  }

  /** Whether the endpoint has said all that it has to say on a stream. */
  hasEnded(streamId: number): boolean {
    return this.#ended.has(streamId)
  }

  /** The code by which it has reset a stream. */
  resetOf(streamId: number): number | undefined {
    return this.#resets.get(streamId)
  }

  /** Whether a frame came that must not come between those of a field block (RFC 9113 section 6.10). Nothing passes from there on. */
  get isBroken(): boolean {
    return this.#isBroken
  }

  /** A stream is over. */
  forget(streamId: number): void {
    this.#ended.delete(streamId)
    this.#resets.delete(streamId)
  }

  /**
   * Takes octets, the last few of which may come out with the next ones.
   *
   * @returns What a session is to read, and what it is not to, in order. A reset begins a piece of its own: a session drops
   *   what it has just read of a stream when it comes to it.
   */
  pass(chunk: Buffer): readonly (Buffer | GoAway)[] {
    if (this.#isBroken) return []
    const octets = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk
    const pieces: (Buffer | GoAway)[] = []
    let from = 0
    let at = this.#left
    while (octets.length - at >= FRAME_HEAD_BYTES) {
      const end = at + FRAME_HEAD_BYTES + octets.readUIntBE(at, 3)
      const type = octets.readUInt8(at + 3)
      if (this.#interrupts(type, octets, at)) {
        this.#isBroken = true
        if (at > from) pieces.push(octets.subarray(from, at))
        return pieces
      }
      const isGoAway = type === FRAME.goAway && isReadable(end - at)
      const isReset = type === FRAME.reset && end - at === RESET_BYTES
      if ((isGoAway || isReset) && octets.length < end) break
      if ((isGoAway || isReset) && at > from) pieces.push(octets.subarray(from, at))
      if (isGoAway) pieces.push(readGoAway(octets.subarray(at + FRAME_HEAD_BYTES, end)))
      if (isGoAway) from = end
      else if (isReset) from = at
      this.#note(type, octets, at)
      at = end
    }
    this.#left = Math.max(0, at - octets.length)
    this.#rest = Buffer.from(octets.subarray(at))
    const to = Math.min(at, octets.length)
    if (to > from) pieces.push(from === 0 && to === octets.length ? octets : octets.subarray(from, to))
    return pieces
  }

  /** Whether a frame comes between those of a field block. */
  #interrupts(type: number, octets: Buffer, at: number): boolean {
    if (this.#blockOf !== undefined && (type !== FRAME.continuation || streamIdOf(octets, at) !== this.#blockOf)) {
      return true
    }
    if (BLOCK_TYPES.has(type)) {
      const isWhole = (octets.readUInt8(at + 4) & FLAG.endHeaders) !== 0
      this.#blockOf = isWhole ? undefined : streamIdOf(octets, at)
    }
    return false
  }

  #note(type: number, octets: Buffer, at: number): void {
    if (type === FRAME.data || type === FRAME.headers) {
      if (octets.readUInt8(at + 4) & FLAG.endStream) this.#ended.add(streamIdOf(octets, at))
    } else if (type === FRAME.reset && octets.length - at >= RESET_BYTES) {
      this.#resets.set(streamIdOf(octets, at), octets.readUInt32BE(at + FRAME_HEAD_BYTES))
    }
  }
}

/** Whether a GOAWAY of this length is one that can be told of. */
function isReadable(frameBytes: number): boolean {
  const length = frameBytes - FRAME_HEAD_BYTES
  return length >= GO_AWAY_BYTES && length <= MAX_GO_AWAY_BYTES
}

function readGoAway(payload: Buffer): GoAway {
  return {
    lastStreamId: payload.readUInt32BE(0) & 0x7fff_ffff,
    code: payload.readUInt32BE(4),
    debugData: Buffer.from(payload.subarray(GO_AWAY_BYTES)),
  }
}

function streamIdOf(octets: Buffer, at: number): number {
  return octets.readUInt32BE(at + 5) & 0x7fff_ffff
}
