/** Takes a stream of server-sent events apart: octets in, cut anywhere, and parts out that are the same octets again. */

/** A server-sent event as it came. A key is there when its field was, and means something to clients. */
export interface ReceivedEvent {
  /** Its lines of data, joined by line feeds. */
  readonly data: string
  /** Its type. Without it, browsers say `message`. */
  readonly event?: string
  /** What browsers send as `last-event-id` when they connect again; an empty one takes that away. */
  readonly id?: string
  /** Milliseconds after which browsers connect again. */
  readonly retry?: number
  /** Comments among its fields. Those before its first field are no part of it. */
  readonly comment?: string
}

/** A piece of a stream. */
export interface EventStreamPart {
  readonly octets: Buffer
  /** The event that these octets are, up to the blank line behind it; undefined for what clients pass over. */
  readonly event?: ReceivedEvent
  /** Whether it is the LF of a CRLF whose CR ended the part before, which is an event. */
  readonly isTail?: boolean
}

/**
 * Reads a stream of server-sent events. An event is given out with the end of the blank line behind it, everything else
 * as soon as it is clear that it belongs to no event: comments before the first field of an event, blank lines.
 *
 * @see HTML, section 9.2.6: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
export class EventStreamReader {
  readonly #maxEventBytes: number
  /** The first octets of the stream, as long as they may become a BOM. */
  #start: Buffer | undefined = NO_OCTETS
  #place: 'between' | 'comment' | 'event' = 'between'
  /** Whether nothing of the line being read has come. */
  #isLineEmpty = true
  /** Whether a LF now belongs to the CR before it. */
  #isAfterCr = false
  /** What has come of an event. */
  #held: Buffer[] = []
  #heldBytes = 0

  /** @param maxEventBytes - The longest event that is held, in octets. */
  constructor(maxEventBytes: number) {
    this.#maxEventBytes = maxEventBytes
  }

  /** Takes the next octets, which nobody may write to afterwards. @throws RangeError when an event is too long */
  push(chunk: Buffer): readonly EventStreamPart[] {
    const parts: EventStreamPart[] = []
    const octets = this.#start ? this.#withoutBom(this.#start, chunk, parts) : chunk
    let from = 0
    if (this.#isAfterCr && this.#place === 'between' && octets[0] === LF) {
      this.#isAfterCr = false
      from = 1
      parts.push({ octets: octets.subarray(0, 1), isTail: true })
    }
    let at = from
    while (at < octets.length) {
      const before = this.#place
      const isOver = this.#take(octets[at] ?? 0)
      if (before !== 'event' && this.#place === 'event') {
        if (at > from) parts.push({ octets: octets.subarray(from, at) })
        from = at
      }
      at++
      if (!isOver) continue
      if (this.#isAfterCr && octets[at] === LF) {
        this.#isAfterCr = false
        at++
      }
      parts.push(this.#endEvent(octets.subarray(from, at)))
      from = at
    }
    if (from === octets.length) return parts
    if (this.#place === 'event') this.#hold(octets.subarray(from))
    else parts.push({ octets: octets.subarray(from) })
    return parts
  }

  /** No more will come. @returns What has come of an event, which clients then discard */
  end(): Buffer {
    return Buffer.concat(this.#start ? [this.#start] : this.#held)
  }

  #withoutBom(start: Buffer, chunk: Buffer, parts: EventStreamPart[]): Buffer {
    const octets = start.length > 0 ? Buffer.concat([start, chunk]) : chunk
    if (octets.length < BOM.length && BOM.subarray(0, octets.length).equals(octets)) {
      this.#start = octets
      return NO_OCTETS
    }
    this.#start = undefined
    if (!octets.subarray(0, BOM.length).equals(BOM)) return octets
    parts.push({ octets: octets.subarray(0, BOM.length) })
    return octets.subarray(BOM.length)
  }

  /** @returns Whether an event ends with this octet. */
  #take(octet: number): boolean {
    const isSecondHalf = this.#isAfterCr && octet === LF
    this.#isAfterCr = octet === CR
    if (isSecondHalf) return false
    const isLineEnd = octet === LF || octet === CR
    if (this.#place === 'event') {
      const isOver = isLineEnd && this.#isLineEmpty
      if (isOver) this.#place = 'between'
      this.#isLineEmpty = isLineEnd
      return isOver
    }
    if (isLineEnd) this.#place = 'between'
    else if (this.#place === 'between') {
      this.#place = octet === COLON ? 'comment' : 'event'
      this.#isLineEmpty = false
    }
    return false
  }

  #hold(octets: Buffer): void {
    this.#held.push(octets)
    this.#heldBytes += octets.length
    this.#demandRoom(this.#heldBytes)
  }

  #endEvent(last: Buffer): EventStreamPart {
    const octets = this.#held.length > 0 ? Buffer.concat([...this.#held, last]) : last
    this.#held = []
    this.#heldBytes = 0
    this.#demandRoom(octets.length)
    const event = parseEvent(octets.toString('utf8'))
    return event ? { octets, event } : { octets }
  }

  #demandRoom(bytes: number): void {
    if (bytes > this.#maxEventBytes) throw new RangeError(`An event is longer than ${this.#maxEventBytes} octets`)
  }
}

/** Reads the lines of an event; undefined when they have no data, so that clients do not dispatch it. */
function parseEvent(text: string): ReceivedEvent | undefined {
  const data: string[] = []
  const comments: string[] = []
  const fields: { event?: string; id?: string; retry?: number } = {}
  for (const line of text.split(/\r\n|\r|\n/)) {
    const colon = line.indexOf(':')
    const name = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1)
    if (colon === 0) comments.push(value)
    else if (name === 'data') data.push(value)
    else if (name === 'event') fields.event = value
    else if (name === 'id' && !value.includes('\0')) fields.id = value
    else if (name === 'retry' && /^[0-9]+$/.test(value)) fields.retry = Math.min(Number(value), Number.MAX_SAFE_INTEGER)
  }
  if (data.length === 0) return undefined
  const { event, ...others } = fields
  return Object.freeze({
    ...(event && { event }),
    ...others,
    data: data.join('\n'),
    ...(comments.length > 0 && { comment: comments.join('\n') }),
  })
}

const LF = 0x0a
const CR = 0x0d
const COLON = 0x3a
const NO_OCTETS = Buffer.alloc(0)
/** U+FEFF in UTF-8, which may stand before everything else. */
const BOM = Buffer.from('\uFEFF')
