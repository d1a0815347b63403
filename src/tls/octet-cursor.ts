/** Walks over the octets of a handshake message. Pure. */

/** Walks over octets and never past their end. */
export class OctetCursor {
  readonly #octets: Buffer
  readonly #malformed: (found: string) => Error
  #at = 0

  /** @param malformed - Makes the error that is thrown for a length that points past the end. */
  constructor(octets: Buffer, malformed: (found: string) => Error) {
    this.#octets = octets
    this.#malformed = malformed
  }

  get isAtEnd(): boolean {
    return this.#at === this.#octets.length
  }

  /** What was not taken yet. */
  get rest(): Buffer {
    return this.#octets.subarray(this.#at)
  }

  /** Takes so many octets. */
  take(length: number): Buffer {
    const end = this.#at + length
    if (end > this.#octets.length) throw this.#malformed('a length in it points past its end')
    const taken = this.#octets.subarray(this.#at, end)
    this.#at = end
    return taken
  }

  /** Takes a number of so many octets. */
  number(octets: 1 | 2 | 3): number {
    return this.take(octets).readUIntBE(0, octets)
  }

  /** Takes a vector that begins with its own length in so many octets. */
  vector(lengthOctets: 1 | 2 | 3): OctetCursor {
    return new OctetCursor(this.take(this.number(lengthOctets)), this.#malformed)
  }
}
