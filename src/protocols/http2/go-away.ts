/** What a GOAWAY says (RFC 9113 section 6.8). */

/** Octets of a GOAWAY before its debug data. */
const FIXED_BYTES = 8

/** What a GOAWAY says. */
export interface GoAway {
  readonly lastStreamId: number
  readonly code: number
  readonly debugData: Buffer
}

/** Reads the payload of a GOAWAY; undefined when it is too short to be one. */
export function readGoAway(payload: Buffer): GoAway | undefined {
  if (payload.length < FIXED_BYTES) return undefined
  return {
    lastStreamId: payload.readUInt32BE(0) & 0x7fff_ffff,
    code: payload.readUInt32BE(4),
    debugData: Buffer.from(payload.subarray(FIXED_BYTES)),
  }
}
