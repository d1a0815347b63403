/**
 * Follows both directions of one HTTP/2 connection, and makes exchanges of what passes. It is given octets and changes
 * none; what it cannot follow any more is opaque from there on. Does no I/O.
 */
import type { Connection } from '../../connection.ts'
import type { Side } from '../../errors.ts'
import type { Field } from '../../exchange.ts'
import { authorityOf } from '../../protocol.ts'
import { Direction } from './direction.ts'
import { FLAG, FRAME, PREFACE, SETTING } from './frame.ts'
import { SectionReader } from './section-head.ts'
import { StreamLedger } from './stream-ledger.ts'
import type { WatchTunnel } from './stream-ledger.ts'

const MAX_STREAM = 0x7fff_ffff
const PRIORITY_BYTES = 5

/** Follows one connection. */
export class Observer {
  /** The exchanges under way. */
  readonly ledger: StreamLedger
  readonly from: { readonly [Name in Side]: Direction }
  /** Whether it cannot be followed any more. */
  isOpaque = false
  /** The highest stream that the client has opened, or begun to. */
  highestStream = 0
  /** Streams that the client opens above this one are none: they are not passed on. */
  lastStream: number = MAX_STREAM
  /** What the server has said of the last stream that it serves (GOAWAY). */
  lastServedStream: number = MAX_STREAM
  /** Whether the server has sent a frame: its SETTINGS, which must be the first (RFC 9113 section 3.4). */
  hasServerBegun = false
  /** The field section that the last part made whole, if it did. */
  section: readonly Field[] | undefined

  readonly #connection: Connection
  readonly #reader: SectionReader
  #prefaceBytes = 0
  #goAwayCode = 0
  /** The highest stream whose request has come. */
  #lastBegun = 0
  /** Octets of padding behind the DATA that is passing, in each direction. */
  readonly #padding: { [Name in Side]: number } = { client: 0, server: 0 }

  constructor(connection: Connection, watchTunnel?: WatchTunnel) {
    const { settings } = connection.flow
    this.#connection = connection
    this.ledger = new StreamLedger(connection, watchTunnel)
    this.from = { client: new Direction(settings.maxHeadBytes), server: new Direction(settings.maxHeadBytes) }
    const { destination, clientTls } = connection
    this.#reader = new SectionReader(clientTls ? 'https' : 'http', destination ? authorityOf(destination) : '')
  }

  /** Whether all of the client's preface has come. */
  get hasPreface(): boolean {
    return this.#prefaceBytes === PREFACE.length
  }

  /**
   * Octets are about to be passed on.
   *
   * @param from - Whose they are.
   * @param told - Called when a part of a frame has been looked at; `from[side].parser` is still at it.
   */
  observe(from: Side, octets: Buffer, told?: () => void): void {
    if (this.isOpaque) return
    const direction = this.from[from]
    const { parser } = direction
    const skipped = from === 'client' && !this.hasPreface ? this.#takePreface(octets, direction) : 0
    direction.skipped = skipped
    parser.push(skipped > 0 ? octets.subarray(skipped) : octets)
    while (direction.problem === undefined && parser.next()) {
      this.section = undefined
      if (from === 'server') this.hasServerBegun = true
      this.#part(from, direction)
      if (told && direction.problem === undefined) told()
    }
    const problem = direction.problem ?? parser.problem
    if (problem !== undefined) this.#becomeOpaque(problem, from)
  }

  #becomeOpaque(problem: string, by: Side): void {
    this.isOpaque = true
    this.#connection.layers.push('opaque')
    this.ledger.endAll('opaque', { by, opaqueReason: problem })
  }

  #takePreface(octets: Buffer, direction: Direction): number {
    const at = this.#prefaceBytes
    const size = Math.min(octets.length, PREFACE.length - at)
    if (octets.compare(PREFACE, at, at + size, 0, size) !== 0) direction.fail('not the preface of HTTP/2')
    this.#prefaceBytes += size
    return size
  }

  #part(side: Side, from: Direction): void {
    const { parser } = from
    const { type } = parser
    if (from.block && type !== FRAME.continuation) {
      from.fail('a frame in the midst of a field block')
      return
    }
    switch (type) {
      case FRAME.data:
        return this.#data(side, from)
      case FRAME.headers:
        return this.#headers(side, from)
      case FRAME.continuation:
        return this.#continuation(side, from)
      case FRAME.pushPromise:
        return this.#pushPromise(side, from)
      case FRAME.settings:
        return this.#settings(side, from)
      case FRAME.reset:
        return this.#reset(side, from)
      case FRAME.goAway:
        return this.#goAway(side, from)
      default:
        return undefined
    }
  }

  #data(side: Side, from: Direction): void {
    const { parser } = from
    const { octets, flags, isLast } = parser
    let { start, end } = parser
    if ((flags & FLAG.padded) !== 0) {
      if (parser.isFirst) {
        this.#padding[side] = octets[start] ?? 0
        if (this.#padding[side] >= parser.length) {
          from.fail('padding that is longer than its frame')
          return
        }
        start++
      }
      end = Math.min(end, parser.start + parser.length - this.#padding[side] - parser.offset)
    }
    const stream = this.ledger.stream(parser.streamId)
    if (!stream || (side === 'client' ? stream.isRequestOver : stream.isResponseOver)) return
    if (end > start) this.ledger.data(stream, side, octets.subarray(start, end))
    if (isLast && (flags & FLAG.endStream) !== 0) this.ledger.ended(stream, side)
  }

  #headers(side: Side, from: Direction): void {
    const { parser } = from
    const { flags, streamId } = parser
    if (streamId === 0 || (side === 'client' && streamId % 2 === 0)) {
      from.fail(`HEADERS of the ${side} on stream ${streamId}`)
      return
    }
    if (side === 'client' && streamId <= this.lastStream) this.highestStream = Math.max(this.highestStream, streamId)
    let { start, end } = parser
    if ((flags & FLAG.padded) !== 0) end -= parser.octets[start++] ?? 0
    if ((flags & FLAG.priority) !== 0) start += PRIORITY_BYTES
    const endStream = (flags & FLAG.endStream) !== 0
    const section = from.takeBlock(start, end)
    if (section) this.#sectionCame(side, streamId, endStream, section)
    else if (from.problem === undefined) from.block = { streamId, endStream, promisedId: undefined }
  }

  #continuation(side: Side, from: Direction): void {
    const { parser, block } = from
    if (!block || block.streamId !== parser.streamId) {
      from.fail('a CONTINUATION of nothing')
      return
    }
    const section = from.takeBlock(parser.start, parser.end)
    if (!section) return
    from.block = undefined
    if (block.promisedId === undefined) this.#sectionCame(side, block.streamId, block.endStream, section)
    else this.#promised(block.promisedId, section)
  }

  #pushPromise(side: Side, from: Direction): void {
    const { parser } = from
    const { octets, flags, streamId } = parser
    let { start, end } = parser
    if ((flags & FLAG.padded) !== 0) end -= octets[start++] ?? 0
    if (side === 'client' || end - start < 4) {
      from.fail('a PUSH_PROMISE that is none')
      return
    }
    const promisedId = octets.readUInt32BE(start) & MAX_STREAM
    const section = from.takeBlock(start + 4, end)
    if (section) this.#promised(promisedId, section)
    else if (from.problem === undefined) from.block = { streamId, endStream: false, promisedId }
  }

  #promised(promisedId: number, section: readonly Field[]): void {
    this.section = section
    if (promisedId % 2 !== 0 || this.ledger.stream(promisedId)) return
    const { head } = this.#reader.request(section)
    this.ledger.ended(this.ledger.begin(promisedId, head, undefined, true), 'client')
  }

  #sectionCame(side: Side, streamId: number, endStream: boolean, section: readonly Field[]): void {
    this.section = section
    let stream = this.ledger.stream(streamId)
    if (side === 'client') {
      const trailers = stream ? section : undefined
      if (!stream) {
        // A stream that is over, or not passed on: all that counts is what the block has done to the table.
        if (streamId <= this.#lastBegun || streamId > this.lastStream) return
        this.#lastBegun = streamId
        const { head, protocol } = this.#reader.request(section)
        stream = this.ledger.begin(streamId, head, protocol, false)
        if (streamId > this.lastServedStream) {
          // The client does not know yet; it will not hear of it otherwise.
          this.ledger.goAway(this.lastServedStream, this.#goAwayCode)
          return
        }
      }
      if (endStream && !stream.isRequestOver) this.ledger.ended(stream, side, trailers)
      return
    }
    if (!stream || stream.isResponseOver) return
    const trailers = stream.exchange.response ? section : undefined
    if (!trailers) this.ledger.respond(stream, this.#reader.response(section))
    if (endStream) this.ledger.ended(stream, side, trailers)
  }

  #reset(side: Side, { parser }: Direction): void {
    const stream = this.ledger.stream(parser.streamId)
    if (stream && parser.length === 4) this.ledger.reset(stream, side, parser.octets.readUInt32BE(parser.start))
  }

  #settings(side: Side, from: Direction): void {
    const { octets, start, end, flags } = from.parser
    if ((flags & FLAG.ack) !== 0) {
      from.settingsHeard()
      return
    }
    let tableBytes: number | undefined
    let frameBytes: number | undefined
    for (let at = start; at + 6 <= end; at += 6) {
      const id = octets.readUInt16BE(at)
      if (id === SETTING.headerTableSize) tableBytes = octets.readUInt32BE(at + 2)
      else if (id === SETTING.maxFrameSize) frameBytes = octets.readUInt32BE(at + 2)
    }
    // They are about what this side receives.
    this.from[side === 'client' ? 'server' : 'client'].settingsSent(tableBytes, frameBytes)
  }

  #goAway(side: Side, { parser }: Direction): void {
    if (side === 'client' || parser.length < 8) return
    const { octets, start } = parser
    const last = octets.readUInt32BE(start) & MAX_STREAM
    this.lastServedStream = Math.min(this.lastServedStream, last)
    this.#goAwayCode = octets.readUInt32BE(start + 4)
    this.ledger.goAway(last, this.#goAwayCode)
  }
}
