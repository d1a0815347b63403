/**
 * Keeps small octets for long: copied side by side into large pieces of memory.
 *
 * A chunk from a socket is a piece of memory of its own. Thousands of them, each kept for a few hundred octets, slow the
 * garbage collector down and leave the memory in holes; so small ones are copied together.
 */

const SLAB_BYTES = 64 * 1024
/** Copying costs less than what it saves up to about here. */
const MAX_COPIED_BYTES = 4096

let slab: Buffer = Buffer.alloc(0)
let used = 0

/** Where the octets of the last {@link keepOctets} lie. One object for all, as every message of every exchange asks. */
export const place: { slab: Buffer; at: number } = { slab, at: 0 }

/** Keeps octets for as long as anybody likes, in a slab or, where they are large, as they are; {@link place} says where. */
export function keepOctets(octets: Buffer): void {
  const { length } = octets
  if (length > MAX_COPIED_BYTES) {
    place.slab = octets
    place.at = 0
    return
  }
  if (used + length > slab.length) {
    slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
    used = 0
  }
  slab.set(octets, used)
  place.slab = slab
  place.at = used
  used += length
}

/** Keeps octets right behind those that end at `end` of a slab; tells whether there was room. */
export function keepBehind(kept: Buffer, end: number, octets: Buffer): boolean {
  const { length } = octets
  if (kept !== slab || end !== used || length > MAX_COPIED_BYTES || used + length > slab.length) return false
  slab.set(octets, used)
  used += length
  return true
}
