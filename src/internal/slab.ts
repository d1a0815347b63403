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

/** Octets that may be kept for as long as anybody likes: a part of a slab, or where they are large, themselves. */
export interface Kept {
  slab: Buffer
  at: number
  length: number
}

/** Keeps octets, and says in `kept` where. */
export function keepOctets(octets: Buffer, kept: Kept): void {
  const { length } = octets
  kept.length = length
  if (length > MAX_COPIED_BYTES) {
    kept.slab = octets
    kept.at = 0
    return
  }
  if (used + length > slab.length) {
    slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
    used = 0
  }
  slab.set(octets, used)
  kept.slab = slab
  kept.at = used
  used += length
}

/** Keeps octets right behind those that are kept already; tells whether there was room. */
export function keepBehind(octets: Buffer, kept: Kept): boolean {
  const { length } = octets
  const isLast = kept.slab === slab && kept.at + kept.length === used
  if (!isLast || length > MAX_COPIED_BYTES || used + length > slab.length) return false
  slab.set(octets, used)
  used += length
  kept.length += length
  return true
}
