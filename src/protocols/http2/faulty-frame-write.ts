/** Writes frames that faults describe, and that need not be legal. Does no I/O. */
import type { FaultyHttp2Frame } from '../../fault.ts'
import { writeFrame } from './frame-write.ts'
import { writeFieldBlock } from './hpack-encode.ts'

/** A frame as it is on the wire. @param streamId - That of the exchange. */
export function writeFaultyFrame(
  { type, flags, stream = 'exchange', payload = Buffer.alloc(0), fields, length }: FaultyHttp2Frame,
  streamId: number,
): Buffer {
  const block = fields && writeFieldBlock(fields, { emptiesTable: true })
  return writeFrame({
    type,
    flags,
    streamId: stream === 'exchange' ? streamId : stream === 'connection' ? 0 : streamId + stream.above,
    payload: block ? Buffer.concat([payload, block]) : payload,
    length,
  })
}
