/** Decodes the field blocks of one direction of a connection (RFC 7541). */
import type { Field } from '../../exchange.ts'
import { DEFAULT_TABLE_BYTES } from './frame.ts'
import { decodeHuffman } from './hpack-huffman.ts'
import { DynamicTable, sizeOf, STATIC_TABLE } from './hpack-table.ts'

const STATIC_COUNT = STATIC_TABLE.length
/** Of literals that go into the table. */
const INDEXED_PREFIX_BITS = 6
const NONE: readonly string[] = Object.freeze([])
/** Larger numbers than this are of nobody that means well. */
const MAX_INTEGER = 2 ** 28

/**
 * Decodes field blocks, in the order in which they come: each may change what the next ones mean. After a problem nothing
 * can be decoded any more.
 */
export class HpackDecoder {
  /** Why nothing can be decoded any more, if so. */
  problem: string | undefined
  /** The most that the table may be set to hold, which is the receiver's to say (SETTINGS_HEADER_TABLE_SIZE). */
  maxTableBytes: number = DEFAULT_TABLE_BYTES
  /** The names of the fields of the last list that may be in no table (RFC 7541 section 7.1.3). */
  sensitive: readonly string[] = NONE
  /** The size of the last list. */
  listBytes = 0

  readonly #maxListBytes: number
  readonly #table = new DynamicTable()
  /** By the index of their name, the last literals that did not go into the table. */
  readonly #lastLiterals: Field[] = []
  // What is being read. Not parameters: every function reads on where the one before has stopped.
  #octets: Buffer = Buffer.alloc(0)
  #at = 0
  #end = 0

  /** @param maxListBytes - Largest field list, each field counted with 32 octets more (RFC 9113 section 10.5.1). */
  constructor(maxListBytes: number) {
    this.#maxListBytes = maxListBytes
  }

  /** What its table holds, newest first; for tests. */
  get table(): readonly Field[] {
    return Array.from({ length: this.#table.count }, (_, at) => this.#table.at(at) ?? ['', ''])
  }

  /** The size of its table; for tests. */
  get tableBytes(): number {
    return this.#table.bytes
  }

  /**
   * Decodes a whole field block.
   *
   * @returns The fields, in order, pseudo-header fields among them; undefined when there is a `problem`. Those that the
   *   tables have are the same objects each time.
   */
  decode(octets: Buffer, start = 0, end: number = octets.length): Field[] | undefined {
    if (this.problem !== undefined) return undefined
    this.#octets = octets
    this.#at = start
    this.#end = end
    const fields: Field[] = []
    let sensitive: string[] | undefined
    let bytes = 0
    while (this.#at < end) {
      const first = octets[this.#at] ?? 0
      let field: Field | undefined
      if ((first & 0x80) !== 0) field = this.#indexed(first)
      else if ((first & 0xe0) === 0x20) {
        if (!this.#resize(fields.length > 0)) return undefined
        continue
      } else {
        const isKept = (first & 0xc0) === 0x40
        field = this.#literal(isKept ? INDEXED_PREFIX_BITS : 4)
        if (isKept && field) this.#table.add(field)
        if ((first & 0xf0) === 0x10 && field) (sensitive ??= []).push(field[0])
      }
      if (!field) return undefined
      bytes += sizeOf(field)
      if (bytes > this.#maxListBytes) return this.#fail(`a field section larger than ${this.#maxListBytes} octets`)
      fields.push(field)
    }
    this.sensitive = sensitive ?? NONE
    this.listBytes = bytes
    return fields
  }

  #indexed(first: number): Field | undefined {
    let index = first & 0x7f
    if (index === 0x7f) index = this.#integer(7)
    else this.#at++
    if (index < 0) return undefined
    return this.#entry(index)
  }

  #entry(index: number): Field | undefined {
    const field = index <= STATIC_COUNT ? STATIC_TABLE[index - 1] : this.#table.at(index - STATIC_COUNT - 1)
    return field ?? this.#fail(`no entry ${index} in the field table`)
  }

  #literal(prefixBits: number): Field | undefined {
    const index = this.#integer(prefixBits)
    if (index < 0) return undefined
    const name = index === 0 ? this.#text() : this.#entry(index)?.[0]
    if (name === undefined) return undefined
    const value = this.#text()
    if (value === undefined) return undefined
    if (prefixBits === INDEXED_PREFIX_BITS || index === 0 || index > STATIC_COUNT) return [name, value]
    // Cookies and paths, say, come again and again without being in a table: what is kept of them is kept once.
    const last = this.#lastLiterals[index]
    if (last?.[1] === value) return last
    return (this.#lastLiterals[index] = [name, value])
  }

  /** A change of the table's size, which stands before all fields. */
  #resize(isLate: boolean): boolean {
    const size = this.#integer(5)
    if (size < 0) return false
    if (isLate) this.#fail('a change of the field table behind a field')
    else if (size > this.maxTableBytes)
      this.#fail(`a field table of ${size} octets, where ${this.maxTableBytes} are allowed`)
    else this.#table.maxBytes = size
    return this.problem === undefined
  }

  /** @returns Below 0 when there is a problem. */
  #integer(prefixBits: number): number {
    const octets = this.#octets
    const most = (1 << prefixBits) - 1
    let value = (octets[this.#at++] ?? 0) & most
    if (value < most) return value
    for (let shift = 0; this.#at < this.#end; shift += 7) {
      const octet = octets[this.#at++] ?? 0
      value += (octet & 0x7f) * 2 ** shift
      if (value > MAX_INTEGER || shift > 28) {
        this.#fail('a number in a field block that is too large')
        return -1
      }
      if (octet < 0x80) return value
    }
    this.#fail('a field block that ends too early')
    return -1
  }

  #text(): string | undefined {
    if (this.#at >= this.#end) return this.#fail('a field block that ends too early')
    const isHuffman = (this.#octets[this.#at] ?? 0) >= 0x80
    const length = this.#integer(7)
    if (length < 0) return undefined
    const start = this.#at
    const end = start + length
    if (end > this.#end) return this.#fail('a field block that ends too early')
    this.#at = end
    if (!isHuffman) return this.#octets.toString('latin1', start, end)
    return decodeHuffman(this.#octets, start, end) ?? this.#fail('Huffman-coded text that breaks the rules')
  }

  #fail(problem: string): undefined {
    this.problem ??= problem
    return undefined
  }
}
