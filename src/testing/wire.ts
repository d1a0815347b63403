/** A socket as tests hold it: write octets, await octets, await the end. */
import type { Socket } from 'node:net'

import { hiddenReset } from '../flow/close.ts'

/** How the other side ended: with a FIN, with a reset, or not at all before this side closed the socket. */
export type WireEnd = 'fin' | 'reset' | 'closed'

const PATIENCE_MS = 8000

/** A socket that keeps what comes until it is asked for. It is always read, unless {@link Wire.pause} says otherwise. */
export class Wire {
  readonly socket: Socket
  /** How the other side ended. */
  readonly ended: Promise<WireEnd>
  #chunks: Buffer[] = []
  #length = 0
  #end: WireEnd | undefined
  #wakers: (() => void)[] = []

  constructor(socket: Socket) {
    this.socket = socket
    this.ended = new Promise((resolve) => {
      const over = (end: WireEnd): void => {
        this.#end ??= end
        resolve(this.#end)
        this.#wake()
      }
      // Octets and a reset that come together look like an end at first.
      socket.on('end', () => over(hiddenReset(socket) ? 'reset' : 'fin'))
      socket.on('error', () => over('reset'))
      socket.on('close', () => over('closed'))
    })
    socket.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk)
      this.#length += chunk.length
      this.#wake()
    })
  }

  /** What has come and was not taken. */
  get buffered(): Buffer {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)]
    return this.#chunks[0] ?? Buffer.alloc(0)
  }

  write(octets: string | Uint8Array): void {
    this.socket.write(typeof octets === 'string' ? Buffer.from(octets, 'latin1') : octets)
  }

  /** Sends the FIN, after the octets if any are given. */
  end(octets?: string | Uint8Array): void {
    if (octets !== undefined) this.write(octets)
    this.socket.end()
  }

  reset(): void {
    this.socket.resetAndDestroy()
  }

  /** Reads nothing until {@link Wire.resume}. */
  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  /** Takes exactly `length` octets. */
  async take(length: number): Promise<Buffer> {
    await this.#until(`${length} octets`, () => this.#length >= length)
    return this.#cut(length)
  }

  /** Takes everything up to and including `text` (Latin-1). */
  async until(text: string): Promise<string> {
    await this.#until(JSON.stringify(text), () => this.buffered.includes(text, 0, 'latin1'))
    return this.#cut(this.buffered.indexOf(text, 0, 'latin1') + text.length).toString('latin1')
  }

  /** Takes everything to the end. */
  async rest(): Promise<string> {
    await this.#until('the end', () => this.#end !== undefined)
    return this.#cut(this.#length).toString('latin1')
  }

  #cut(length: number): Buffer {
    const { buffered } = this
    this.#chunks = length < buffered.length ? [buffered.subarray(length)] : []
    this.#length = buffered.length - length
    return buffered.subarray(0, length)
  }

  async #until(what: string, isMet: () => boolean): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS
    while (!isMet()) {
      const left = deadline - performance.now()
      if (this.#end !== undefined || left <= 0) {
        const shown = JSON.stringify(this.buffered.toString('latin1', 0, 300))
        throw new Error(`Waited for ${what}: ${this.#end ?? 'nothing more'} after ${this.#length} octets, ${shown}`)
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#wakers.push(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
  }

  #wake(): void {
    for (const wake of this.#wakers.splice(0)) wake()
  }
}
