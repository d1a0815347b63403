/** The request of an exchange of a bridge, on its way from the client to a server. */
import { errorText, isMitmError } from '../../errors.ts'
import type { Field } from '../../exchange.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import { writeThrough } from '../../internal/pump.ts'
import type { Holdable } from '../../internal/pump.ts'
import type { Destination } from '../../protocol.ts'
import type { BodyPipe } from '../http/body-pipe.ts'
import { noResponse } from '../http/error-response.ts'
import { answerError } from './bridge-answer.ts'
import type { BridgedRequestHead, ServerFailure, ServerRequest } from './bridge-server.ts'
import type { BridgedExchange } from './bridged-exchange.ts'
import { InOrder } from './in-order.ts'
import { ResponseTaker } from './response-taker.ts'

/**
 * What happens to the octets of a body: forwarded as they come; held until it is decided; dropped, because something else is
 * sent instead; or piped through what changes them.
 */
export type Mode = 'forward' | 'hold' | 'drop' | 'pipe'

/** What is sent to a server. */
export interface Sending {
  readonly head: BridgedRequestHead
  readonly destination: Destination
  readonly hasBody: boolean
}

/** The way of a request. */
export class BridgedRequest {
  mode: Mode = 'hold'
  /** What changes the body while it streams. */
  pipe: BodyPipe | undefined
  /** Whether the client was told to send the body (`100 Continue`) in the server's place. */
  hasContinued = false
  /** Whether it has come whole. */
  isOver = false
  /** Octets of the body that wait for a decision. */
  heldBytes = 0
  /** The request to the server, once it has been sent. */
  #server: ServerRequest | undefined
  readonly #of: BridgedExchange
  readonly #out: InOrder
  #held: Buffer[] = []
  /** Whether the client has to wait until it is decided what becomes of what has come. */
  #isHeldBack = false
  #trailers: readonly Field[] = []
  #hasTriedAgain = false
  /** Runs while a response is due. */
  #deadline: NodeJS.Timeout | undefined

  constructor(of: BridgedExchange) {
    this.#of = of
    this.#out = new InOrder((octets) => this.#write(octets))
  }

  /** The request to the server, once it has been sent. */
  get server(): ServerRequest | undefined {
    return this.#server
  }

  /** What reads the client's stream: held while the server has enough. */
  get pump(): Holdable {
    return this.#of.stream
  }

  /** Begins: without a body it is over. */
  start(): void {
    if (!this.#of.hasBody) this.#over([])
  }

  /**
   * Sends it on, with what is held of its body.
   *
   * @param head - Another one, if a rule changed it.
   * @param destination - Elsewhere than the client said, if a rule says so.
   * @param body - The whole body in place of the client's, if a rule made one.
   */
  forward(
    head: BridgedRequestHead = this.#of.head,
    destination: Destination = this.#of.destination,
    body?: Buffer,
  ): MaybePromise<void> {
    const hasBody = body ? body.length > 0 : this.#of.hasBody
    const sending = { head, destination, hasBody }
    return this.#of.bridge.servers.ready(destination) ? this.#send(sending, body) : this.#connect(sending, body)
  }

  async #connect(sending: Sending, body?: Buffer): Promise<void> {
    try {
      await this.#of.bridge.servers.connect(sending.destination)
      if (!this.#of.isOver) await this.#send(sending, body)
    } catch (error) {
      if (!isMitmError(error)) throw error
      await answerError(this.#of, error)
    }
  }

  /** Sends the head, behind the faults of the way, and the body behind it. */
  #send(sending: Sending, body: Buffer | undefined): MaybePromise<void> {
    const { faulty } = this.#of
    if (faulty) faulty.beginRequest(sending.head, () => this.#request(sending))
    else this.#request(sending)
    if (this.#of.isOver || this.mode === 'pipe') return undefined
    if (body) {
      this.mode = 'drop'
      this.takeHeld()
      const sent = body.length > 0 ? this.send(body) : undefined
      this.end([])
      return sent
    }
    this.mode = 'forward'
    let wait: MaybePromise<void> = undefined
    for (const octets of this.takeHeld()) wait = this.send(octets)
    if (this.isOver) this.end(this.#trailers)
    return wait
  }

  #request(sending: Sending): void {
    const of = this.#of
    if (of.isOver) return
    // It may have gone, or been taken, while faults held the request.
    const server = of.bridge.servers.ready(sending.destination)
    if (!server) {
      void this.#connect(sending)
      return
    }
    of.exchange.serverAddress = server.address
    try {
      this.#server = server.request(sending.head, sending.hasBody, new ResponseTaker(of, sending))
      this.#watch()
    } catch (error) {
      of.response.onFailure({ kind: 'malformed', reason: errorText(error) })
    }
  }

  /** The server is at work on it: it has the whole time for its response again, or has begun it. */
  onProgress(hasBegun: boolean): void {
    if (hasBegun) clearTimeout(this.#deadline)
    else this.#deadline?.refresh()
  }

  /** Sends it again if the connection broke on which it was sent. @returns Whether it does */
  triesAgain(sending: Sending, failure: ServerFailure): boolean {
    if (!this.#mayTryAgain(sending, failure)) return false
    this.#hasTriedAgain = true
    void this.#connect(sending)
    return true
  }

  /** The time in which the server must begin to answer begins when it has the whole request. */
  #watch(): void {
    const { bridge, exchange, destination } = this.#of
    const { responseTimeoutMs } = bridge.connection.flow.settings
    if (responseTimeoutMs === undefined || !this.isOver || !this.#server || exchange.response) return
    clearTimeout(this.#deadline)
    const late = (): void => void answerError(this.#of, noResponse(exchange, destination, responseTimeoutMs))
    this.#deadline = setTimeout(late, responseTimeoutMs)
  }

  /** A connection that was kept may end at any time: clients of their own would ask again as well. */
  #mayTryAgain({ hasBody }: Sending, { kind }: ServerFailure): boolean {
    if (kind !== 'closed' && kind !== 'lost') return false
    const { isOver, exchange } = this.#of
    return this.#server?.isKept === true && !hasBody && !exchange.response && !this.#hasTriedAgain && !isOver
  }

  /** Sends octets of the body on; a promise when the sender has to wait. */
  send(octets: Buffer): MaybePromise<void> {
    return this.#out.pass(octets, this.#of.plan?.clientData, this.#of.bridge.connection)
  }

  #write(octets: Buffer): MaybePromise<void> {
    const { faults, faulty } = this.#of
    if (!faults) return writeThrough(this.#server?.writer, octets, this.pump)
    const wait = faults.server.add(octets)
    faulty?.flush()
    return wait
  }

  /** The body has gone: ends it, with its trailers. */
  end(trailers: readonly Field[]): void {
    const { faulty } = this.#of
    const end = (): void => {
      if (faulty) faulty.endRequest(() => this.#server?.end(trailers))
      else this.#server?.end(trailers)
    }
    const before = this.#out.settled()
    // What a transform fails with breaks the exchange off where it was passed.
    if (before) void before.then(end, () => undefined)
    else end()
  }

  /** Nobody wants a response any more. */
  abort(code: number): void {
    this.#server?.abort(code)
  }

  /** Takes what is held of the body. */
  takeHeld(): Buffer[] {
    this.heldBytes = 0
    if (this.#isHeldBack) {
      this.#isHeldBack = false
      // Behind what is taken.
      queueMicrotask(() => this.pump.release())
    }
    return this.#held.splice(0)
  }

  /** The exchange is over. */
  close(): void {
    clearTimeout(this.#deadline)
    this.pipe?.close()
    // Nobody looks at what the client still sends.
    this.#of.stream.discard()
  }

  /** Takes octets of the client's body. */
  onBody(octets: Buffer): MaybePromise<void> {
    return this.#of.guarded(() => this.#take(octets))
  }

  /** All of the client's request has come. */
  onEnd(trailers: readonly Field[]): void {
    this.#trailers = trailers
    void this.#of.guarded(() => this.#end())
  }

  #take(octets: Buffer): MaybePromise<void> {
    const { exchange, tunnel, bridge } = this.#of
    exchange.request.addBody(octets)
    if (tunnel) return tunnel.data('client', octets)
    switch (this.mode) {
      case 'forward':
        return this.send(octets)
      case 'pipe':
        return this.pipe?.write([octets])
      case 'hold':
        this.#held.push(octets)
        this.heldBytes += octets.length
        if (this.heldBytes > bridge.connection.flow.settings.maxBodyBytes) this.#holdBack()
        return undefined
      case 'drop':
        return undefined
    }
  }

  /** Too large to be looked at whole: whoever waits for that is told, and decides without. The rest waits at the client. */
  #holdBack(): void {
    this.#of.exchange.request.release()
    if (this.#isHeldBack) return
    this.#isHeldBack = true
    this.pump.hold()
  }

  async #end(): Promise<void> {
    const { tunnel } = this.#of
    if (tunnel) await tunnel.ended('client')
    else if (this.mode === 'pipe') await this.pipe?.end(this.#trailers)
    else if (this.mode === 'forward') this.end(this.#trailers)
    this.#over(this.#trailers)
  }

  #over(trailers: readonly Field[]): void {
    const { exchange, bridge, isOver } = this.#of
    if (this.isOver || isOver) return
    this.isOver = true
    exchange.timings.requestEndMs = exchange.elapsedMs()
    exchange.request.finish(true, trailers)
    bridge.connection.flow.notify('requestEnded', exchange)
    this.#watch()
    this.#of.endIfOver()
  }
}
