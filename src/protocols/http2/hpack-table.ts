/** The tables of HPACK: the static one, which all know, and the dynamic one of a connection (RFC 7541 section 2.3). */
import type { Field } from '../../exchange.ts'
import { DEFAULT_TABLE_BYTES } from './frame.ts'

/** RFC 7541 appendix A, in order, the first with index 1. */
const STATIC_TEXT = `:authority
:method GET
:method POST
:path /
:path /index.html
:scheme http
:scheme https
:status 200
:status 204
:status 206
:status 304
:status 400
:status 404
:status 500
accept-charset
accept-encoding gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate`

/** The static table: index 1 is at 0. */
export const STATIC_TABLE: readonly Field[] = STATIC_TEXT.split('\n').map((line): Field => {
  const at = line.indexOf(' ')
  return Object.freeze(at < 0 ? ([line, ''] as const) : ([line.slice(0, at), line.slice(at + 1)] as const))
})

/** What the size of an entry counts beside its octets (RFC 7541 section 4.1). */
const ENTRY_OVERHEAD_BYTES = 32

/** The size of a field in a table or a list: its octets, and what it counts beside them. */
export function sizeOf(field: Field): number {
  return field[0].length + field[1].length + ENTRY_OVERHEAD_BYTES
}

/**
 * The dynamic table of one direction. Entries are taken out at one end and put in at the other, in a ring that grows
 * with what is in it.
 */
export class DynamicTable {
  #maxBytes = DEFAULT_TABLE_BYTES
  #bytes = 0
  #ring: (Field | undefined)[] = Array.from({ length: 64 }, () => undefined)
  #newest = 0
  #count = 0

  /** How many entries there are. */
  get count(): number {
    return this.#count
  }

  /** The sizes of all entries. */
  get bytes(): number {
    return this.#bytes
  }

  get maxBytes(): number {
    return this.#maxBytes
  }

  /** How much it may hold from now on; what is too much is evicted, oldest first. */
  set maxBytes(bytes: number) {
    this.#maxBytes = bytes
    this.#evict(bytes)
  }

  /** An entry, the newest at 0. */
  at(index: number): Field | undefined {
    if (index >= this.#count) return undefined
    return this.#ring[(this.#newest - index) & (this.#ring.length - 1)]
  }

  /** Adds an entry. One that is larger than the table empties it, and is not kept (RFC 7541 section 4.4). */
  add(field: Field): void {
    const size = sizeOf(field)
    this.#evict(this.#maxBytes - size)
    if (size > this.#maxBytes) return
    if (this.#count === this.#ring.length) this.#grow()
    this.#newest = (this.#newest + 1) & (this.#ring.length - 1)
    this.#ring[this.#newest] = field
    this.#count++
    this.#bytes += size
  }

  #evict(bytes: number): void {
    while (this.#bytes > bytes && this.#count > 0) {
      const at = (this.#newest - this.#count + 1) & (this.#ring.length - 1)
      const oldest = this.#ring[at]
      this.#ring[at] = undefined
      this.#count--
      if (oldest) this.#bytes -= sizeOf(oldest)
    }
  }

  #grow(): void {
    const { length } = this.#ring
    const entries = Array.from({ length: length * 2 }, (_, at) =>
      at < length ? this.#ring[(this.#newest + 1 + at) & (length - 1)] : undefined,
    )
    this.#ring = entries
    this.#newest = length - 1
  }
}
