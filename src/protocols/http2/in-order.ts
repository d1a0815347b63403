/** Octets of one direction that pass transforms of rules, which may take their time, in order. */
import { isPromise } from '../../internal/maybe-promise.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import type { Connection } from '../../connection.ts'
import type { DataTransform } from '../../middleware.ts'

/** One direction. */
export class InOrder {
  readonly #send: (octets: Buffer) => MaybePromise<void>
  #last: Promise<void> | undefined

  /** @param send - Sends what has passed; a promise when the sender has to wait. */
  constructor(send: (octets: Buffer) => MaybePromise<void>) {
    this.#send = send
  }

  /** Passes octets, behind those before; a promise when the sender has to wait. */
  pass(octets: Buffer, transforms: readonly DataTransform[] | undefined, connection: Connection): MaybePromise<void> {
    if (!transforms?.length) return this.#last ? this.#later(octets, [], connection) : this.#send(octets)
    return this.#later(octets, transforms, connection)
  }

  /** Resolves when all that was passed has been sent; undefined when it has. */
  settled(): Promise<void> | undefined {
    return this.#last
  }

  #later(octets: Buffer, transforms: readonly DataTransform[], connection: Connection): Promise<void> {
    const before = this.#last
    this.#last = (async () => {
      await before
      let current = octets
      for (const transform of transforms) current = Buffer.from(await transform(current, connection))
      const wait = current.length > 0 ? this.#send(current) : undefined
      if (isPromise(wait)) await wait
    })()
    return this.#last
  }
}
