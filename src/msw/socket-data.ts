/** What handlers send on a WebSocket, in the order in which they send it. */
import { types } from 'node:util'

import { isPromise } from '../internal/maybe-promise.ts'
import type { MaybePromise } from '../internal/maybe-promise.ts'

/** What a message is on the wire. */
export type WireData = string | Uint8Array

/** A text as it is, and everything else as octets. @throws TypeError when it is no data */
function wireDataOf(data: unknown): MaybePromise<WireData> {
  if (typeof data === 'string') return data
  if (data instanceof Blob) return data.arrayBuffer().then((buffer) => new Uint8Array(buffer))
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  if (types.isAnyArrayBuffer(data)) return new Uint8Array(data)
  throw new TypeError(
    `Cannot send ${typeof data} on a WebSocket: expected a text, an ArrayBuffer, a view of one, or a Blob`,
  )
}

/** Does one thing after the other, also where a `Blob` must be read first. */
export class SendQueue {
  readonly #onError: (error: unknown) => void
  #last: Promise<void> | undefined

  constructor(onError: (error: unknown) => void) {
    this.#onError = onError
  }

  /** Sends data behind what is waiting. @throws TypeError when it is no data */
  push(data: unknown, send: (data: WireData) => void): void {
    const wire = wireDataOf(data)
    if (isPromise(wire)) this.#after(() => wire.then(send))
    else this.behind(() => send(wire))
  }

  /** Does something behind what is waiting. */
  behind(act: () => void): void {
    if (this.#last) this.#after(act)
    else act()
  }

  #after(act: () => MaybePromise<void>): void {
    const mine = this.#do(this.#last, act).finally(() => {
      if (this.#last === mine) this.#last = undefined
    })
    this.#last = mine
  }

  /** Never rejects. */
  async #do(before: Promise<void> | undefined, act: () => MaybePromise<void>): Promise<void> {
    try {
      await before
      await act()
    } catch (error) {
      this.#onError(error)
    }
  }
}
