/** Pings of a session, by which it knows what the other endpoint has read (RFC 9113 section 6.7). */
import type { FrameOutput } from './frame-output.ts'
import { writePing } from './frame-write.ts'

const PING_BYTES = 8

/** The pings of one session. */
export class Pings {
  readonly #output: FrameOutput
  /** Called one by one, when what was said before them has been read. */
  readonly #waiting: (() => void)[] = []

  constructor(output: FrameOutput) {
    this.#output = output
  }

  /** Resolves when the other endpoint has read what was said so far, or has had so much time for it. */
  async heard(timeoutMs: number): Promise<void> {
    this.#output.control(writePing(Buffer.alloc(PING_BYTES)))
    this.#output.flush()
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>((resolve) => {
      this.#waiting.push(resolve)
      timer = setTimeout(resolve, timeoutMs)
    })
    clearTimeout(timer)
  }

  /** One was acknowledged. */
  acknowledged(): void {
    this.#waiting.shift()?.()
  }

  /** Lets nobody wait any more. */
  close(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}
