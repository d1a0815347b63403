/** The Huffman code of HPACK (RFC 7541 appendix B). */

/**
 * How many bits the code of each octet has, and, last, that of the end. The code is canonical: of one length, codes are in
 * the order of the octets, so the lengths say it all.
 */
const CODE_BITS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
  28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6,
  5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23,
  22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22,
  23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26,
  20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27,
  27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27,
  27, 27, 27, 26, 30,
]
const END = 256

/** In a step: the node that it leads to, in the lowest 8 bits; the octet that it ends, in the next 8; and these. */
const EMITS = 1 << 16
const FAILS = 1 << 17

/** The steps of the decoder: for each inner node of the code's tree, one for each four bits. */
let steps: Uint32Array | undefined
/** Which nodes text may end at: those that a few bits 1 lead to. */
let mayEnd: Uint8Array | undefined
let scratch: Buffer = Buffer.allocUnsafe(4096)

/**
 * Decodes text.
 *
 * @returns It as Latin-1; undefined when it breaks the rules: the code of the end in it, or behind it anything but fewer
 *   than eight bits 1.
 */
export function decodeHuffman(octets: Buffer, start: number, end: number): string | undefined {
  if (!steps || !mayEnd) build()
  const table = steps
  if (!table || !mayEnd) return undefined
  // The shortest codes have five bits.
  const most = Math.ceil(((end - start) * 8) / 5)
  if (scratch.length < most) scratch = Buffer.allocUnsafe(most * 2)
  const out = scratch
  let node = 0
  let length = 0
  let failed = 0
  for (let at = start; at < end; at++) {
    const octet = octets[at] ?? 0
    const first = table[(node << 4) | (octet >> 4)] ?? FAILS
    if ((first & EMITS) !== 0) out[length++] = first >> 8
    const second = table[((first & 0xff) << 4) | (octet & 0xf)] ?? FAILS
    if ((second & EMITS) !== 0) out[length++] = second >> 8
    failed |= first | second
    node = second & 0xff
  }
  if ((failed & FAILS) !== 0 || mayEnd[node] === 0) return undefined
  return out.toString('latin1', 0, length)
}

/** Builds the table of steps: a millisecond, once, and only where somebody speaks HTTP/2. */
function build(): void {
  const children = tree()
  const nodes = children.length
  const table = new Uint32Array(nodes << 4)
  for (let node = 0; node < nodes; node++) {
    for (let bits = 0; bits < 16; bits++) table[(node << 4) | bits] = stepOf(children, node, bits)
  }
  const ends = new Uint8Array(nodes)
  for (let node = 0, depth = 0; depth < 8 && node >= 0; depth++) {
    ends[node] = 1
    node = children[node]?.[1] ?? -1
  }
  steps = table
  mayEnd = ends
}

function stepOf(children: readonly (readonly [number, number])[], from: number, bits: number): number {
  let node = from
  let emitted = 0
  for (let bit = 3; bit >= 0; bit--) {
    const next = children[node]?.[((bits >> bit) & 1) as 0 | 1] ?? 0
    if (next >= 0) node = next
    else {
      const octet = -1 - next
      if (octet === END) return FAILS
      emitted = EMITS | (octet << 8)
      node = 0
    }
  }
  return emitted | node
}

/** The code as a tree: for each inner node what 0 and 1 lead to; another node, or below 0 an octet. */
function tree(): [number, number][] {
  const nodes: [number, number][] = [[0, 0]]
  const byLength = CODE_BITS.map((bits, octet) => ({ bits, octet })).toSorted(
    (one, other) => one.bits - other.bits || one.octet - other.octet,
  )
  let code = 0
  let length = 0
  for (const { bits, octet } of byLength) {
    code = length === 0 ? 0 : (code + 1) << (bits - length)
    length = bits
    let node = nodes[0]
    for (let bit = bits - 1; bit >= 0 && node; bit--) {
      const way: 0 | 1 = ((code >> bit) & 1) as 0 | 1
      if (bit === 0) node[way] = -1 - octet
      else {
        if (node[way] === 0) node[way] = nodes.push([0, 0]) - 1
        node = nodes[node[way]]
      }
    }
  }
  return nodes
}
