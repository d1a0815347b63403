/** XOR masks of four octets (RFC 6455 section 5.3). */

/** Below this many octets one by one is as fast as four by four. */
const FEW_BYTES = 48

/**
 * Masks octets, or takes a mask off them: the same thing.
 *
 * @param mask - The four octets of the mask as a number, with or without a sign, the first of them highest; 0 changes nothing.
 * @param phase - With which octet of the mask to begin, from 0 to 3.
 * @returns New octets, or the same ones where the mask changes nothing.
 */
export function withMask(octets: Buffer, mask: number, phase = 0): Buffer {
  if (mask === 0 || octets.length === 0) return octets
  const masked = Buffer.allocUnsafe(octets.length)
  maskInto(masked, 0, octets, mask, phase)
  return masked
}

/** Writes octets, masked, to `at` of `target`. */
export function maskInto(target: Buffer, at: number, octets: Buffer, mask: number, phase = 0): void {
  const { length } = octets
  let from = 0
  if (length >= FEW_BYTES) {
    octets.copy(target, at)
    // Four by four, from where the target's memory lets words be.
    const ahead = -(target.byteOffset + at) & 3
    for (; from < ahead; from++) target[at + from] = (octets[from] ?? 0) ^ octetOf(mask, phase + from)
    const key = wordOf(mask, phase + from)
    const words = new Uint32Array(target.buffer, target.byteOffset + at + from, (length - from) >>> 2)
    for (let index = 0; index < words.length; index++) words[index] = (words[index] ?? 0) ^ key
    from += words.length * 4
  }
  for (; from < length; from++) target[at + from] = (octets[from] ?? 0) ^ octetOf(mask, phase + from)
}

const word = new Uint32Array(1)
const octetsOfWord = new Uint8Array(word.buffer)

/** The mask as a number of this machine's own order, beginning with one of its octets. */
function wordOf(mask: number, phase: number): number {
  for (let at = 0; at < 4; at++) octetsOfWord[at] = octetOf(mask, at + phase)
  return word[0] ?? 0
}

function octetOf(mask: number, place: number): number {
  return (mask >>> (24 - 8 * (place & 3))) & 0xff
}
