/** What faults act on in a bridge: the octets of one exchange's messages, with heads as HTTP/1 writes them. */
import { setTimeout as delay } from 'node:timers/promises'

import type { MitmError, Side } from '../../errors.ts'
import type { Exchange, HttpResponse } from '../../exchange.ts'
import type { CutPart } from '../../fault.ts'
import type { Destination } from '../../protocol.ts'
import type { ExchangeFaults, FaultyExchange } from '../http/exchange-faults.ts'
import { Outbox } from '../http/outbox.ts'
import { writeRequestHead, writeResponseHead } from '../http1/write.ts'
import { answerError } from './bridge-answer.ts'
import type { BridgedRequestHead } from './bridge-server.ts'
import type { BridgedExchange } from './bridged-exchange.ts'
import { cutByFrames } from './cut-by-frames.ts'
import { MessageWriter } from './message-writer.ts'
import { noteSentAgain } from './sent-again.ts'

/** How long a client may take to read what it was sent before the end of its session, */
const HEARD_MS = 200
/** and to hand it on: Chromium drops with a session what has just come on a stream. */
const AHEAD_MS = 50

/** The ways out of one exchange, with faults in them. */
export class FaultyMessage implements FaultyExchange {
  readonly toClient: Outbox = new Outbox()
  readonly toServer: Outbox = new Outbox()
  readonly #of: BridgedExchange
  readonly #clientWriter: MessageWriter
  readonly #serverWriter: MessageWriter
  /** Whether the server has been told that no more of the request comes. */
  #isCutOff = false
  #onResponseEnd: () => void = () => undefined
  #onRequestEnd: () => void = () => undefined

  constructor(of: BridgedExchange) {
    this.#of = of
    this.#clientWriter = new MessageWriter(
      () => of.stream,
      () => this.#onResponseEnd(),
    )
    this.#serverWriter = new MessageWriter(
      () => of.request.server?.writer,
      () => this.#onRequestEnd(),
    )
  }

  get exchange(): Exchange {
    return this.#of.exchange
  }

  get destination(): Destination {
    return this.#of.destination
  }

  get method(): string {
    return this.#of.head.method
  }

  get heldBytes(): number {
    return this.#of.request.heldBytes
  }

  get isOver(): boolean {
    return this.#of.isOver
  }

  get passedBytes(): number | undefined {
    return this.#of.exchange.response?.bodySize
  }

  /** Sends the head of the request: `send` does it, when all of it has passed. */
  beginRequest({ method, path, fields }: BridgedRequestHead, send: () => void): void {
    const octets = writeRequestHead({ method, target: path, fields })
    this.#serverWriter.expectHead(octets.length, send)
    const { faults } = this.#of
    faults?.begin('server', octets)
    void faults?.server.add(octets)
    this.flush()
  }

  /** Calls `end` when all of the request has passed. */
  endRequest(end: () => void): void {
    this.#onRequestEnd = end
    void this.#whenPassed('server').then(() => this.#serverWriter.end())
  }

  /** Sends the head of the response: `send` does it, when all of it has passed. */
  beginResponse({ status, fields }: HttpResponse, send: () => void): void {
    const octets = writeResponseHead({ status, statusText: '', fields })
    this.#clientWriter.expectHead(octets.length, send)
    const { faults } = this.#of
    faults?.responded()
    faults?.begin('client', octets)
    void faults?.client.add(octets)
    this.flush()
  }

  /** Calls `end` when all of the response has passed, and resolves then. */
  async endResponse(end: () => void): Promise<void> {
    await this.#whenPassed('client')
    if (this.#of.isOver) return
    await new Promise<void>((resolve) => {
      this.#onResponseEnd = () => {
        end()
        resolve()
      }
      this.#clientWriter.end()
    })
  }

  flush(): void {
    this.toClient.flush(this.#clientWriter, this.#of.request.server?.pump)
    this.toServer.flush(this.#serverWriter, this.#of.request.pump)
  }

  answerError(error: MitmError): Promise<void> {
    return answerError(this.#of, error)
  }

  slowClose(side: Side, ms: number, acted: () => void): void {
    this.#of.bridge.closing.slow(side, ms, acted)
  }

  finishCut(faults: ExchangeFaults, cut: CutPart): void {
    // It reports nothing, and rejects never.
    void this.#finishWhenLeft(faults, cut)
  }

  async #finishWhenLeft(faults: ExchangeFaults, cut: CutPart): Promise<void> {
    await this.#whenLeft(cut)
    // The exchange may be over by now, or the fault gone.
    if (!this.#of.isOver && faults[cut.side].isStopped) this.#finish(faults, cut)
  }

  #finish(faults: ExchangeFaults, cut: CutPart): void {
    const { request } = this.#of
    const { side, end, http2 } = cut
    if (http2) cutByFrames(this.#of, faults, cut, http2)
    else if (side === 'server' && end !== 'reset') {
      // A server that is only sent no more may still answer.
      faults.server.close()
      this.#isCutOff = true
      if (request.server) request.server.endConnection('close')
      else this.#breakDown('close')
    } else {
      if (end === 'reset') request.server?.endConnection('reset')
      this.#breakDown(end)
    }
  }

  /** The server gives no response, or breaks off in one. @returns Whether a fault has seen to that, and ends the connection */
  isLost(): boolean {
    if (this.#isCutOff) this.#breakDown('close')
    return this.#isCutOff
  }

  #breakDown(how: CutPart['end']): void {
    const { bridge } = this.#of
    noteSentAgain(bridge.open, 'connectionLost')
    this.#of.end('fault')
    // One that stalls never comes here.
    if (how !== 'stall') bridge.breakDown(how)
  }

  /** Resolves when what passed before a cut has been sent. */
  async #whenLeft({ side, http2 }: CutPart): Promise<void> {
    const { request, stream, bridge } = this.#of
    if (side === 'server') {
      await new Promise<void>((resolve) => {
        if (request.server) request.server.afterSent(resolve)
        else resolve()
      })
      return
    }
    if (!stream.headersSent) return
    await new Promise<void>((resolve) => {
      stream.afterSent(resolve)
    })
    if (http2) {
      bridge.output.flush()
      return
    }
    await bridge.heard(HEARD_MS)
    await delay(AHEAD_MS)
  }

  async #whenPassed(side: Side): Promise<void> {
    this.flush()
    await this.#of.faults?.[side].settled()
    this.flush()
    await (side === 'client' ? this.toClient : this.toServer).whenSent()
  }
}
