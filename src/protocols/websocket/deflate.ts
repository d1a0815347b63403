/** Takes compression off messages of one direction, and puts it on again in a context of its own (RFC 7692). */
import * as ws from 'ws'

import type { Side } from '../../errors.ts'
import type { Inflation } from '../../internal/inflation.ts'
import type { AgreedExtensions } from './handshake.ts'

/** What ws has and its types do not tell of. */
interface PerMessageDeflate {
  params: Readonly<Record<string, true | number>>
  compress(data: Buffer, isLast: boolean, done: (error: Error | null, octets: Buffer) => void): void
  decompress(data: Buffer, isLast: boolean, done: (error: Error | null, octets: Buffer) => void): void
  cleanup(): void
}

interface PerMessageDeflateOptions {
  readonly isServer: boolean
  readonly zlibInflateOptions?: { readonly dictionary: Buffer }
}

// A boundary: ws exports it, and its types lag behind.
const { PerMessageDeflate } = ws as unknown as {
  readonly PerMessageDeflate: new (options: PerMessageDeflateOptions) => PerMessageDeflate
}

/** A window of 256 octets is one that zlib cannot keep to when it compresses. */
const LEAST_WINDOW_BITS = 9
const NO_OCTETS = Buffer.alloc(0)

/** Inflates and deflates the messages of one direction, one after the other. */
export class DeflateCodec {
  readonly #inflater: PerMessageDeflate
  readonly #deflater: PerMessageDeflate
  readonly #canDeflate: boolean
  #isBusy = false
  #isOver = false

  /**
   * @param from - Who sends the messages.
   * @param before - What has inflated the messages that passed before: those to come may refer to them.
   */
  constructor(from: Side, deflate: NonNullable<AgreedExtensions['deflate']>, before: Inflation | undefined) {
    const { takesOver, windowBits } = deflate[from]
    const params: Record<string, true | number> = { [`${from}_max_window_bits`]: windowBits }
    if (!takesOver) params[`${from}_no_context_takeover`] = true
    const dictionary = takesOver ? (before?.window() ?? NO_OCTETS) : NO_OCTETS
    // One that takes what a client sends is a server, and the other way round.
    this.#inflater = new PerMessageDeflate({
      isServer: from === 'client',
      ...(dictionary.length > 0 && { zlibInflateOptions: { dictionary } }),
    })
    this.#inflater.params = params
    this.#deflater = new PerMessageDeflate({ isServer: from === 'server' })
    this.#deflater.params = params
    this.#canDeflate = windowBits >= LEAST_WINDOW_BITS
  }

  /** Whether messages can be compressed for the other side. */
  get canDeflate(): boolean {
    return this.#canDeflate
  }

  /** Inflates the next octets of a message. @throws what zlib throws when they are not what they should be */
  inflate(octets: Buffer, isLast: boolean): Promise<Buffer> {
    return this.#do((done) => this.#inflater.decompress(octets, isLast, done))
  }

  /** Deflates the next octets of a message. */
  deflate(octets: Buffer, isLast: boolean): Promise<Buffer> {
    return this.#do((done) => this.#deflater.compress(octets, isLast, done))
  }

  /** Lets go of zlib, as soon as nothing is under way. */
  close(): void {
    this.#isOver = true
    if (this.#isBusy) return
    this.#inflater.cleanup()
    this.#deflater.cleanup()
  }

  #do(start: (done: (error: Error | null, octets: Buffer) => void) => void): Promise<Buffer> {
    if (this.#isOver) return Promise.reject(new Error('The socket is over'))
    this.#isBusy = true
    return new Promise((resolve, reject) => {
      start((error, octets) => {
        this.#isBusy = false
        // Not from within its own callback, where it still reads what it would lose.
        if (this.#isOver) setImmediate(() => this.close())
        if (error) reject(error)
        else resolve(octets)
      })
    })
  }
}
