/** An endpoint of HTTP/2 that says what a test writes, frame by frame, and notes what it hears, a line for each frame. */
import type { Side } from '../errors.ts'
import type { Field } from '../exchange.ts'
import { http2ErrorName } from '../http2-errors.ts'
import { Signal } from '../internal/signal.ts'
import { FLAG, FRAME, FRAME_HEAD_BYTES, PREFACE } from '../protocols/http2/frame.ts'
import {
  writeData,
  writeGoAway,
  writeHeaders,
  writePing,
  writeReset,
  writeSettings,
  writeSettingsAck,
} from '../protocols/http2/frame-write.ts'
import { writeFieldBlock } from '../protocols/http2/hpack-encode.ts'
import type { Wire, WireEnd } from './wire.ts'

const PATIENCE_MS = 4000

/** One endpoint, over a wire. It acknowledges SETTINGS and PING by itself. */
export class FramePeer {
  readonly wire: Wire
  /**
   * `HEADERS 1`, `DATA 1 5` with the number of octets, `END 1` for END_STREAM, `RST_STREAM 1 CANCEL`, `GOAWAY 1 NO_ERROR soon`;
   * then `fin`, `reset` or `closed`. SETTINGS, PING and WINDOW_UPDATE are not in it.
   */
  readonly heard: string[] = []
  /** Every setting that came, by its number. */
  readonly settings: Map<number, number> = new Map()
  readonly #changed = new Signal()
  readonly #role: Side
  #octets: Buffer = Buffer.alloc(0)
  #prefaceBytes: number

  constructor(wire: Wire, role: Side) {
    this.wire = wire
    this.#role = role
    this.#prefaceBytes = role === 'server' ? PREFACE.length : 0
    wire.socket.removeAllListeners('data')
    if (wire.buffered.length > 0) this.#take(wire.buffered)
    wire.socket.on('data', (chunk: Buffer) => this.#take(chunk))
    void wire.ended.then((end: WireEnd) => this.#note(end))
  }

  /** Says what an endpoint says first. */
  greet(settings: readonly (readonly [id: number, value: number])[] = []): this {
    if (this.#role === 'client') this.wire.write(PREFACE)
    this.wire.write(writeSettings(settings))
    return this
  }

  /** Asks for something. @param isWhole - Whether no body follows */
  ask(streamId: number, isWhole = true): this {
    const head: readonly Field[] = [
      [':method', isWhole ? 'GET' : 'POST'],
      [':scheme', 'http'],
      [':authority', 'api.test'],
      [':path', '/'],
    ]
    return this.headers(streamId, head, isWhole)
  }

  respond(streamId: number, status = 200, isWhole = false): this {
    return this.headers(streamId, [[':status', String(status)]], isWhole)
  }

  headers(streamId: number, fields: readonly Field[], isWhole = false): this {
    return this.send(writeHeaders(streamId, writeFieldBlock(fields), { endStream: isWhole }))
  }

  data(streamId: number, octets: string | Buffer, isWhole = false): this {
    return this.send(writeData(streamId, Buffer.from(octets), { endStream: isWhole }))
  }

  reset(streamId: number, code: number): this {
    return this.send(writeReset(streamId, code))
  }

  goAway(lastStreamId: number, code = 0, debugData = ''): this {
    return this.send(writeGoAway(lastStreamId, code, Buffer.from(debugData)))
  }

  send(octets: Buffer): this {
    this.wire.write(octets)
    return this
  }

  /** Resolves when a line has been heard. @throws when it has not in time */
  async hear(line: string | RegExp): Promise<string> {
    const find = (): string | undefined =>
      this.heard.find((each) => (typeof line === 'string' ? each === line : line.test(each)))
    const outcome = await this.#changed.until(find, { timeoutMs: PATIENCE_MS })
    if (outcome.state !== 'met') throw new Error(`Waited for ${line}: ${this.heard.join(', ') || 'nothing was heard'}`)
    return outcome.value
  }

  #note(line: string): void {
    this.heard.push(line)
    this.#changed.fire()
  }

  #take(chunk: Buffer): void {
    this.#octets = Buffer.concat([this.#octets, chunk])
    if (this.#prefaceBytes > 0) {
      if (this.#octets.length < this.#prefaceBytes) return
      this.#octets = this.#octets.subarray(this.#prefaceBytes)
      this.#prefaceBytes = 0
    }
    while (this.#octets.length >= FRAME_HEAD_BYTES) {
      const end = FRAME_HEAD_BYTES + this.#octets.readUIntBE(0, 3)
      if (this.#octets.length < end) return
      const frame = this.#octets.subarray(0, end)
      this.#octets = this.#octets.subarray(end)
      this.#onFrame(frame)
    }
  }

  #onFrame(frame: Buffer): void {
    const type = frame.readUInt8(3)
    const flags = frame.readUInt8(4)
    const streamId = frame.readUInt32BE(5) & 0x7fff_ffff
    const payload = frame.subarray(FRAME_HEAD_BYTES)
    switch (type) {
      case FRAME.headers:
        this.#note(`HEADERS ${streamId}`)
        break
      case FRAME.data:
        if (payload.length > 0) this.#note(`DATA ${streamId} ${payload.length}`)
        break
      case FRAME.reset:
        this.#note(`RST_STREAM ${streamId} ${http2ErrorName(payload.readUInt32BE(0))}`)
        break
      case FRAME.goAway: {
        const debugData = payload.toString('latin1', 8)
        const code = http2ErrorName(payload.readUInt32BE(4))
        this.#note(`GOAWAY ${payload.readUInt32BE(0)} ${code}${debugData && ` ${debugData}`}`)
        break
      }
      case FRAME.pushPromise:
        this.#note(`PUSH_PROMISE ${streamId}`)
        break
      case FRAME.settings:
        if (flags & FLAG.ack) break
        for (let at = 0; at < payload.length; at += 6) {
          this.settings.set(payload.readUInt16BE(at), payload.readUInt32BE(at + 2))
        }
        this.send(writeSettingsAck())
        break
      case FRAME.ping:
        if (!(flags & FLAG.ack)) this.send(writePing(payload, true))
        break
      default:
    }
    const isEnd = (type === FRAME.headers || type === FRAME.data) && (flags & FLAG.endStream) !== 0
    if (isEnd) this.#note(`END ${streamId}`)
    this.#changed.fire()
  }
}
