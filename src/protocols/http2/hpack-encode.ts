/** Writes field blocks that need no table but the static one, so that they mean the same on every connection. */
import type { Field } from '../../exchange.ts'
import { STATIC_TABLE } from './hpack-table.ts'

/** How a field block is written. */
export interface FieldBlockOptions {
  /**
   * Whether the reader's table is emptied first. It must be where somebody else has written blocks before on this
   * connection, in case the reader has made its table smaller and waits to be told that this was heard.
   */
  readonly emptiesTable?: boolean | undefined
}

/** Empties the dynamic table: a size update to 0 (RFC 7541 section 6.3). */
const EMPTY_TABLE = Buffer.from([0x20])

/** By name: the first index, and the index of each value. Made with the first block. */
let indexes: Map<string, { readonly first: number; readonly values: Map<string, number> }> | undefined

/**
 * Writes a field block. Literals are marked as not to be kept by anybody, as whoever wrote them first may have wanted.
 * Nothing is checked: names may be upper-case, and fields in any order.
 *
 * @param fields - Pseudo-header fields first. Characters are octets (Latin-1).
 */
export function writeFieldBlock(fields: readonly Field[], { emptiesTable }: FieldBlockOptions = {}): Buffer {
  const known = (indexes ??= indexStatic())
  const parts: Buffer[] = emptiesTable ? [EMPTY_TABLE] : []
  for (const [name, value] of fields) {
    const entry = known.get(name)
    const index = entry?.values.get(value)
    if (index !== undefined) parts.push(writeInteger(index, 7, 0x80))
    else if (entry) parts.push(writeInteger(entry.first, 4, 0x10), writeText(value))
    else parts.push(Buffer.from([0x10]), writeText(name), writeText(value))
  }
  return Buffer.concat(parts)
}

/** A number, its highest bits behind a prefix (RFC 7541 section 5.1). */
export function writeInteger(value: number, prefixBits: number, firstOctet: number): Buffer {
  const most = (1 << prefixBits) - 1
  if (value < most) return Buffer.from([firstOctet | value])
  const octets = [firstOctet | most]
  let left = value - most
  for (; left >= 0x80; left = Math.floor(left / 0x80)) octets.push((left % 0x80) | 0x80)
  octets.push(left)
  return Buffer.from(octets)
}

function writeText(text: string): Buffer {
  const octets = Buffer.from(text, 'latin1')
  return Buffer.concat([writeInteger(octets.length, 7, 0), octets])
}

function indexStatic(): NonNullable<typeof indexes> {
  const made: NonNullable<typeof indexes> = new Map()
  for (const [at, [name, value]] of STATIC_TABLE.entries()) {
    const entry = made.get(name) ?? { first: at + 1, values: new Map<string, number>() }
    // An entry without a value stands for its name alone.
    if (value !== '') entry.values.set(value, at + 1)
    made.set(name, entry)
  }
  return made
}
