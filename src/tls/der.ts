/**
 * The little of DER (X.690) that is needed to take a certificate apart and put it together again. It is only given
 * certificates that OpenSSL has parsed already, so it has no limits of its own.
 *
 * ```
 * element      tag (1) | length (1, or 1 + n when it is 128 or more) | content
 * ```
 */

/** Tags used in certificates. */
export const TAG = {
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  objectId: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
  /** `[3] EXPLICIT` in TBSCertificate. */
  extensions: 0xa3,
} as const

/** An element: `whole` is the header and the content. */
export interface Element {
  readonly tag: number
  readonly content: Buffer
  readonly whole: Buffer
}

/**
 * The elements that stand one after the other in `octets`.
 *
 * @throws RangeError when they end too early.
 */
export function readElements(octets: Buffer): Element[] {
  const elements: Element[] = []
  for (let at = 0; at < octets.length;) {
    const tag = octets.readUInt8(at)
    const first = octets.readUInt8(at + 1)
    const lengthOctets = first < 0x80 ? 0 : first & 0x7f
    const length = lengthOctets === 0 ? first : octets.readUIntBE(at + 2, lengthOctets)
    const start = at + 2 + lengthOctets
    const end = start + length
    if (end > octets.length) throw new RangeError('A DER element points past its end')
    elements.push({ tag, content: octets.subarray(start, end), whole: octets.subarray(at, end) })
    at = end
  }
  return elements
}

/** The content of the only element in `octets`, taken as elements itself. */
export function readChildren(octets: Buffer): Element[] {
  return readElements(readElements(octets)[0]?.content ?? Buffer.alloc(0))
}

/** An element made of `parts`. */
export function writeElement(tag: number, ...parts: readonly Buffer[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  return Buffer.concat([Buffer.from([tag, ...writeLength(length)]), ...parts])
}

/**
 * An extension of a certificate that is not critical (RFC 5280 section 4.2).
 *
 * @param id - The content of its OBJECT IDENTIFIER.
 * @param value - The element that it holds.
 */
export function writeExtension(id: Buffer, value: Buffer): Buffer {
  return writeElement(TAG.sequence, writeElement(TAG.objectId, id), writeElement(TAG.octetString, value))
}

function writeLength(length: number): number[] {
  if (length < 0x80) return [length]
  const octets: number[] = []
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest % 256)
  return [0x80 | octets.length, ...octets]
}
