/** A message whose head and body pass faults as octets, put into a stream of HTTP/2 behind them. */
import { Writable } from 'node:stream'

import { afterRoom } from '../../internal/writable.ts'
import type { OctetWriter } from '../../internal/writable.ts'

/** Takes the octets of one message: those of its head stand for it, those behind it are its body. */
export class MessageWriter extends Writable {
  readonly #body: () => OctetWriter | undefined
  readonly #onEnd: () => void
  #headBytes = 0
  #onHead: (() => void) | undefined

  /**
   * @param body - Where the body goes, once the head has been sent.
   * @param onEnd - Called when the message has ended, behind all of its octets.
   */
  constructor(body: () => OctetWriter | undefined, onEnd: () => void) {
    super()
    this.#body = body
    this.#onEnd = onEnd
    this.on('error', () => undefined)
  }

  /** So many octets are a head; `send` sends it when the last one of them has come. */
  expectHead(octets: number, send: () => void): void {
    this.#headBytes = octets
    this.#onHead = send
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    const rest = this.#takeHead(chunk)
    const body = this.#body()
    if (rest.length === 0 || !body || body.destroyed || body.writableEnded) {
      done()
      return
    }
    body.write(rest)
    afterRoom(body, done)
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#onEnd()
    done()
  }

  #takeHead(chunk: Buffer): Buffer {
    if (!this.#onHead) return chunk
    const taken = Math.min(this.#headBytes, chunk.length)
    this.#headBytes -= taken
    if (this.#headBytes === 0) {
      this.#onHead()
      this.#onHead = undefined
    }
    return chunk.subarray(taken)
  }
}
