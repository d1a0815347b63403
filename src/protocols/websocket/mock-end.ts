/** The end of a WebSocket that is a mock: a function of the user in place of the server. */
import { isMitmError } from '../../errors.ts'
import { isPromise } from '../../internal/maybe-promise.ts'
import { STOPPED, Unless } from '../../internal/unless.ts'
import type { WebSocketMock } from '../../web-socket.ts'
import type { WebSocketMessage } from '../../web-socket-message.ts'
import type { WebSocketRelay } from './relay.ts'
import { contentOf } from './verdict.ts'

/** Stands in for the server of one WebSocket. */
export class MockEnd {
  readonly #mock: WebSocketMock
  readonly #relay: WebSocketRelay
  /** Settles when the mock's function has. */
  #served: Promise<unknown> | undefined
  readonly #waiting = new Unless()
  #isClosed = false

  constructor(mock: WebSocketMock, relay: WebSocketRelay) {
    this.#mock = mock
    this.#relay = relay
  }

  /** The socket is open. */
  start(): void {
    try {
      const served = this.#mock.serve(this.#relay.handle)
      if (isPromise(served)) this.#served = served.catch((error: unknown) => this.#fail(error))
    } catch (error) {
      this.#fail(error)
    }
  }

  /** Takes a message of the client. Never rejects. */
  async take(message: WebSocketMessage): Promise<void> {
    const { handle } = this.#relay
    if (this.#served) await this.#waiting.settled(this.#served)
    if (this.#relay.isOver || !handle.listener) return
    try {
      const made = handle.listener(message)
      const answer = isPromise(made) ? await this.#waiting.settled(made) : made
      if (answer === undefined || answer === null || answer === STOPPED || this.#relay.isOver) return
      if (!contentOf(answer)) {
        throw new TypeError(`onMessage() returned ${typeof answer}, expected nothing, a text or octets`)
      }
      handle.send(answer)
    } catch (error) {
      this.#fail(error)
    }
  }

  /** The client has closed it. */
  closed(code: number, reason: string): void {
    if (this.#isClosed) return
    this.#isClosed = true
    try {
      this.#relay.handle.closeListener?.(code, reason)
    } catch (error) {
      this.#fail(error)
    }
  }

  /** The connection is over. */
  ended(): void {
    this.#waiting.stop()
    this.closed(1006, '')
  }

  #fail(error: unknown): void {
    const coded = isMitmError(error) ? error : this.#mock.blame('mock a WebSocket', error)
    if (this.#relay.isOver) this.#relay.report(coded)
    else this.#relay.failed(coded)
  }
}
