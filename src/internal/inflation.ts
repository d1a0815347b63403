/**
 * Inflates pieces of one DEFLATE stream (RFC 1951) when somebody looks. Each piece ends on an octet, and may refer to the
 * last 32 KiB of what the pieces before it came to; so looking at one inflates those before it, in order.
 */
import { constants, inflateRawSync } from 'node:zlib'

import { errorText, MitmError } from '../errors.ts'

/** One piece of the stream. */
export interface Deflated {
  /** The octets of the piece; undefined when not all of them were kept. */
  deflated(): Buffer | undefined
  /** Takes what the piece came to, or why it came to nothing. */
  inflated(result: Buffer | MitmError): void
}

/** How far a piece may refer back. */
const WINDOW_BYTES = 32 * 1024
/** What a sender leaves away at the end of a piece (RFC 7692 section 7.2.1). */
const TAIL = Buffer.from([0, 0, 0xff, 0xff])
/** Largest piece that inflating may give: a small one must not fill the memory. */
const maxOutputLength = 256 * 1024 * 1024

const NOT_KEPT =
  'an earlier message of this direction, to which it refers, was larger than maxBodyBytes and not kept; raise maxBodyBytes'

/** One DEFLATE stream in pieces. */
export class Inflation {
  readonly #isShared: boolean
  #window: Buffer = Buffer.alloc(0)
  /** Not inflated yet, the oldest first. */
  #waiting: Deflated[] = []
  /** Why nothing more can be inflated. */
  #lost: string | undefined

  /** @param isShared - Whether pieces refer to those before them; else each stands alone. */
  constructor(isShared: boolean) {
    this.#isShared = isShared
  }

  /** Adds the next piece. */
  add(piece: Deflated): void {
    if (this.#isShared && this.#lost === undefined) this.#waiting.push(piece)
  }

  /** Says that the next piece is not kept: those behind it cannot be inflated. */
  lose(): void {
    if (!this.#isShared) return
    this.#flush()
    this.#lost ??= NOT_KEPT
  }

  /** Whether pieces that come now cannot be inflated. */
  get isLost(): boolean {
    return this.#lost !== undefined
  }

  /** Inflates a piece that was added, and those before it. */
  inflate(piece: Deflated): void {
    if (!this.#isShared) {
      piece.inflated(this.#one(piece))
      return
    }
    for (let next = this.#waiting.shift(); next; next = this.#waiting.shift()) {
      next.inflated(this.#next(next))
      if (next === piece) return
    }
    piece.inflated(truncated(this.#lost ?? 'it is not among those that came'))
  }

  /** What the next piece may refer to. */
  window(): Buffer {
    this.#flush()
    return this.#window
  }

  #flush(): void {
    for (const piece of this.#waiting.splice(0)) piece.inflated(this.#next(piece))
  }

  #next(piece: Deflated): Buffer | MitmError {
    if (this.#lost !== undefined) return truncated(this.#lost)
    const result = this.#one(piece)
    if (result instanceof MitmError) {
      this.#lost =
        result.code === 'MITM_BODY_TRUNCATED' ? NOT_KEPT : 'an earlier message of this direction cannot be inflated'
      return result
    }
    this.#window =
      result.length >= WINDOW_BYTES
        ? Buffer.from(result.subarray(-WINDOW_BYTES))
        : Buffer.concat([this.#window, result]).subarray(-WINDOW_BYTES)
    return result
  }

  #one(piece: Deflated): Buffer | MitmError {
    const deflated = piece.deflated()
    if (!deflated) return truncated('it was not kept whole; raise maxBodyBytes')
    const dictionary = this.#window.length > 0 ? { dictionary: this.#window } : {}
    try {
      return inflateRawSync(Buffer.concat([deflated, TAIL]), {
        ...dictionary,
        finishFlush: constants.Z_SYNC_FLUSH,
        maxOutputLength,
      })
    } catch (error) {
      return new MitmError(
        'MITM_BODY_UNDECODABLE',
        `Cannot inflate a message of ${deflated.length} octets: ${errorText(error)}`,
        { cause: error },
      )
    }
  }
}

function truncated(why: string): MitmError {
  return new MitmError('MITM_BODY_TRUNCATED', `Cannot inflate a message: ${why}`)
}
