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
  /**
   * The names of fields that may be kept in no table by anybody (RFC 7541 section 7.1.3).
   *
   * @defaultValue all, as whoever wrote them first may have wanted
   */
  readonly sensitive?: readonly string[] | undefined
}

/** Empties the dynamic table: a size update to 0 (RFC 7541 section 6.3). */
const EMPTY_TABLE = 0x20
/** Of an entry of a table, of a literal that is kept nowhere here, and of one that is to be kept nowhere at all. */
const INDEXED = 0x80
const LITERAL = 0x00
const NEVER_KEPT = 0x10

/** The most octets that a number takes, each of those in front of a text and of a field. */
const NUMBER_BYTES = 6
/** Longer texts are written by Node, shorter ones are faster written here. */
const LONG_TEXT = 32

/** By name: the first index, and the index of each value. Made with the first block. */
let indexes: Map<string, { readonly first: number; readonly values: Map<string, number> }> | undefined
/** Blocks are written here, and copied when they are done. */
let scratch: Buffer = Buffer.allocUnsafe(4096)
let end = 0

/**
 * Writes a field block. Nothing is checked: names may be upper-case, and fields in any order.
 *
 * @param fields - Pseudo-header fields first. Characters are octets (Latin-1).
 */
export function writeFieldBlock(fields: readonly Field[], { emptiesTable, sensitive }: FieldBlockOptions = {}): Buffer {
  const known = (indexes ??= indexStatic())
  reserve(fields)
  if (emptiesTable) scratch[end++] = EMPTY_TABLE
  for (const [name, value] of fields) {
    const entry = known.get(name)
    const index = entry?.values.get(value)
    if (index !== undefined) {
      putInteger(index, 7, INDEXED)
      continue
    }
    putInteger(entry?.first ?? 0, 4, !sensitive || sensitive.includes(name) ? NEVER_KEPT : LITERAL)
    if (!entry) putText(name)
    putText(value)
  }
  return Buffer.from(scratch.subarray(0, end))
}

/** Begins a block, with room for these fields. */
function reserve(fields: readonly Field[]): void {
  let most = 1
  for (const [name, value] of fields) most += name.length + value.length + 3 * NUMBER_BYTES
  if (scratch.length < most) scratch = Buffer.allocUnsafe(most * 2)
  end = 0
}

/** A number, its highest bits behind a prefix (RFC 7541 section 5.1). */
export function writeInteger(value: number, prefixBits: number, firstOctet: number): Buffer {
  end = 0
  putInteger(value, prefixBits, firstOctet)
  return Buffer.from(scratch.subarray(0, end))
}

function putInteger(value: number, prefixBits: number, firstOctet: number): void {
  const most = (1 << prefixBits) - 1
  if (value < most) {
    scratch[end++] = firstOctet | value
    return
  }
  scratch[end++] = firstOctet | most
  let left = value - most
  for (; left >= 0x80; left = Math.floor(left / 0x80)) scratch[end++] = (left % 0x80) | 0x80
  scratch[end++] = left
}

function putText(text: string): void {
  const { length } = text
  putInteger(length, 7, 0)
  if (length > LONG_TEXT) scratch.write(text, end, 'latin1')
  else for (let at = 0; at < length; at++) scratch[end + at] = text.charCodeAt(at)
  end += length
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
