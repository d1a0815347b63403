/** Writes frames, legal ones and others: what is wrong with them is the caller's to decide. Does no I/O. */
import { DEFAULT_MAX_FRAME_BYTES, FLAG, FRAME, FRAME_HEAD_BYTES } from './frame.ts'

const NO_OCTETS = Buffer.alloc(0)

/** What a frame is made of. Numbers are cut to the room they have on the wire. */
export interface FrameParts {
  readonly type: number
  /** @defaultValue 0 */
  readonly flags?: number | undefined
  /** With the reserved bit, if that is to be set. @defaultValue 0 */
  readonly streamId?: number | undefined
  /** @defaultValue none */
  readonly payload?: Uint8Array | undefined
  /** What the head says of the length, if not the truth. */
  readonly length?: number | undefined
}

/** The nine octets before a payload. */
export function writeFrameHead(length: number, type: number, flags: number, streamWord: number): Buffer {
  const head = Buffer.allocUnsafe(FRAME_HEAD_BYTES)
  fillHead(head, length, type, flags, streamWord)
  return head
}

/** Any frame. */
export function writeFrame({ type, flags = 0, streamId = 0, payload = NO_OCTETS, length }: FrameParts): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEAD_BYTES + payload.length)
  fillHead(frame, length ?? payload.length, type, flags, streamId)
  frame.set(payload, FRAME_HEAD_BYTES)
  return frame
}

function fillHead(frame: Buffer, length: number, type: number, flags: number, streamWord: number): void {
  frame.writeUIntBE(length & 0xff_ffff, 0, 3)
  frame.writeUInt8(type & 0xff, 3)
  frame.writeUInt8(flags & 0xff, 4)
  frame.writeUInt32BE(streamWord >>> 0, 5)
}

/** Octets of a body. */
export interface DataParts {
  readonly endStream?: boolean | undefined
  /** Octets of padding; undefined: the frame has no field for it. */
  readonly padding?: number | undefined
}

/** DATA: one frame, however long. */
export function writeData(streamId: number, octets: Uint8Array, { endStream, padding }: DataParts = {}): Buffer {
  const flags = (endStream ? FLAG.endStream : 0) | (padding === undefined ? 0 : FLAG.padded)
  const payload = padding === undefined ? octets : padded(octets, padding)
  return writeFrame({ type: FRAME.data, flags, streamId, payload })
}

function padded(octets: Uint8Array, padding: number): Buffer {
  return Buffer.concat([Buffer.from([padding]), octets, Buffer.alloc(padding)])
}

/** How a field block is put into frames. */
export interface HeadersParts {
  readonly endStream?: boolean | undefined
  /** What does not fit goes into CONTINUATION. @defaultValue 16384 */
  readonly maxFrameBytes?: number | undefined
}

/** HEADERS with a field block, and as many CONTINUATION as it needs. */
export function writeHeaders(
  streamId: number,
  block: Uint8Array,
  { endStream, maxFrameBytes }: HeadersParts = {},
): Buffer {
  return blockFrames(FRAME.headers, endStream ? FLAG.endStream : 0, streamId, block, maxFrameBytes)
}

/** PUSH_PROMISE of a stream, with the field block of the request that it promises to answer. */
export function writePushPromise(
  streamId: number,
  promisedId: number,
  block: Uint8Array,
  maxFrameBytes?: number,
): Buffer {
  return blockFrames(FRAME.pushPromise, 0, streamId, Buffer.concat([uint32(promisedId), block]), maxFrameBytes)
}

function blockFrames(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array,
  maxFrameBytes: number = DEFAULT_MAX_FRAME_BYTES,
): Buffer {
  const frames: Buffer[] = []
  let at = 0
  do {
    const part = payload.subarray(at, at + maxFrameBytes)
    const isFirst = at === 0
    at += part.length
    const ends = at === payload.length ? FLAG.endHeaders : 0
    frames.push(
      writeFrame({
        type: isFirst ? type : FRAME.continuation,
        flags: (isFirst ? flags : 0) | ends,
        streamId,
        payload: part,
      }),
    )
  } while (at < payload.length)
  const [only] = frames
  return only && frames.length === 1 ? only : Buffer.concat(frames)
}

/** RST_STREAM. */
export function writeReset(streamId: number, code: number): Buffer {
  return writeFrame({ type: FRAME.reset, streamId, payload: uint32(code) })
}

/** SETTINGS, in this order; the same one may be there more than once. */
export function writeSettings(settings: readonly (readonly [id: number, value: number])[] = []): Buffer {
  const payload = Buffer.alloc(settings.length * 6)
  for (const [at, [id, value]] of settings.entries()) {
    payload.writeUInt16BE(id & 0xffff, at * 6)
    payload.writeUInt32BE(value >>> 0, at * 6 + 2)
  }
  return writeFrame({ type: FRAME.settings, payload })
}

/** SETTINGS with the flag ACK. */
export function writeSettingsAck(): Buffer {
  return writeFrame({ type: FRAME.settings, flags: FLAG.ack })
}

/** PING, with eight octets unless somebody wants it otherwise. */
export function writePing(octets: Uint8Array, isAck = false): Buffer {
  return writeFrame({ type: FRAME.ping, flags: isAck ? FLAG.ack : 0, payload: octets })
}

/** GOAWAY. */
export function writeGoAway(lastStreamId: number, code: number, debugData: Uint8Array = NO_OCTETS): Buffer {
  const payload = Buffer.concat([uint32(lastStreamId), uint32(code), debugData])
  return writeFrame({ type: FRAME.goAway, payload })
}

/** WINDOW_UPDATE; stream 0 is the connection. */
export function writeWindowUpdate(streamId: number, increment: number): Buffer {
  return writeFrame({ type: FRAME.windowUpdate, streamId, payload: uint32(increment) })
}

function uint32(value: number): Buffer {
  const octets = Buffer.allocUnsafe(4)
  octets.writeUInt32BE(value >>> 0)
  return octets
}
