/** The content of a body that is changed while it streams: from the framer, through what rules want, to the other side. */
import type { Field } from '../../exchange.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'

/**
 * A body on its way. The framer's side writes its content and says when it is over; the sender's side iterates. Nothing
 * is held beyond what was written and not taken yet: a writer waits for that.
 */
export class BodyPipe implements AsyncIterable<Uint8Array> {
  /** The fields behind the body, once it is over. */
  trailers: readonly Field[] = []
  readonly #queue: Uint8Array[] = []
  #hasEnded = false
  #isClosed = false
  #onContent: (() => void) | undefined
  #onTaken: (() => void)[] = []
  #sent: Promise<void> | undefined

  /** Says when all that is made of the body has been sent, or will never be. */
  set sent(sent: Promise<void>) {
    this.#sent = sent
  }

  /** Takes content; a promise when the writer has to wait. */
  write(content: readonly Buffer[]): MaybePromise<void> {
    if (this.#isClosed) return undefined
    this.#queue.push(...content.filter(({ length }) => length > 0))
    this.#onContent?.()
    if (this.#queue.length === 0) return undefined
    return new Promise((resolve) => {
      this.#onTaken.push(resolve)
    })
  }

  /** The body is over. Resolves when all that is made of it has been sent. */
  end(trailers: readonly Field[]): MaybePromise<void> {
    this.trailers = trailers
    this.#hasEnded = true
    this.#onContent?.()
    return this.#sent
  }

  /** Takes nothing any more, and lets nobody wait. */
  close(): void {
    this.#isClosed = true
    this.#queue.length = 0
    this.#onContent?.()
    this.#wake()
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return {
      next: async () => {
        for (;;) {
          const value = this.#queue.shift()
          if (value) return { done: false, value }
          if (this.#isClosed || this.#hasEnded) return { done: true, value: undefined }
          this.#wake()
          await new Promise<void>((resolve) => {
            this.#onContent = resolve
          })
        }
      },
      return: () => {
        this.close()
        return Promise.resolve({ done: true, value: undefined })
      },
    }
  }

  #wake(): void {
    for (const wake of this.#onTaken.splice(0)) wake()
  }
}
