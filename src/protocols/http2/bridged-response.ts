/** The response of an exchange of a bridge, on its way from a server, or from a rule, to the client. */
import { HttpResponse } from '../../exchange.ts'
import type { Exchange, Field } from '../../exchange.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import { writeThrough } from '../../internal/pump.ts'
import type { BodyPipe } from '../http/body-pipe.ts'
import { outgoing } from './bridge-fields.ts'
import { answerError } from './bridge-answer.ts'
import { interveneInResponse } from './bridge-intervention.ts'
import type { BridgedResponseHead, ServerFailure } from './bridge-server.ts'
import type { BridgedExchange } from './bridged-exchange.ts'
import type { Mode } from './bridged-request.ts'
import { BridgedTunnel } from './bridged-tunnel.ts'
import { InOrder } from './in-order.ts'
import { malformed } from './section-check.ts'
import { failureOf } from './server-failure.ts'

/** What is known of a head beside its fields. */
type HeadFacts = Pick<BridgedResponseHead, 'sensitive' | 'isSound'>

/** How a head is sent on. */
interface ResponseOptions extends HeadFacts {
  /** Whether no body and no trailers follow. */
  readonly isWhole: boolean
}

/** The way of a response. */
export class BridgedResponse {
  mode: Mode = 'forward'
  /** What changes the body while it streams. */
  pipe: BodyPipe | undefined
  /** Whether all of it has been sent. */
  isOver = false
  readonly #of: BridgedExchange
  readonly #out: InOrder
  /** The code with which the server's stream was closed. */
  #closedWith: number | undefined

  constructor(of: BridgedExchange) {
    this.#of = of
    this.#out = new InOrder((octets) => this.#write(octets))
  }

  /** Takes an interim response, and sends it on. */
  interim({ status, fields }: BridgedResponseHead): void {
    const { exchange, stream, request } = this.#of
    const response = new HttpResponse({ status, statusText: '', httpVersion: 'HTTP/2', fields })
    response.finish()
    exchange.interim.push(response)
    const isKnown = status === 100 && request.hasContinued
    if (isKnown || exchange.response || stream.headersSent || stream.isClosed) return
    const section = outgoing(fields, [[':status', String(status)]])
    // What HTTP/2 has no way to say is left out: nobody depends on an interim response.
    if (malformed(section, 'response') === undefined) stream.respond(section, { isInterim: true })
  }

  /** Takes the head of the server's response. @param isWhole - Whether nothing follows. */
  onHead(head: BridgedResponseHead, isWhole: boolean): MaybePromise<void> {
    const of = this.#of
    if (of.isOver) return undefined
    const { plan, exchange } = of
    const { status, fields, sensitive, isSound } = head
    const response = new HttpResponse({ status, statusText: '', httpVersion: 'HTTP/2', fields })
    of.tunnel = BridgedTunnel.of(of, response)
    if (!of.tunnel && (plan?.rewriteResponse?.length || plan?.responseStreams?.length || plan?.responseHead?.length)) {
      exchange.serverResponse = response
      const done = interveneInResponse(of, 'head', sensitive)
      return isWhole ? done.then(() => this.onEnd([])) : done
    }
    this.respond(response, 'server', { sensitive, isWhole, isSound })
    of.tunnel?.open()
    return isWhole ? this.onEnd([]) : undefined
  }

  /** Takes octets of the server's response. */
  onBody(octets: Buffer): MaybePromise<void> {
    const of = this.#of
    const { exchange, bridge, tunnel } = of
    if (of.isOver) return undefined
    exchange.serverResponse?.addBody(octets)
    if (tunnel || this.mode === 'forward') exchange.response?.addBody(octets)
    if (tunnel) return tunnel.data('server', octets)
    switch (this.mode) {
      case 'forward':
        return this.send(octets)
      case 'pipe':
        return this.pipe?.write([octets])
      case 'hold':
        if ((exchange.serverResponse?.bodySize ?? 0) <= bridge.connection.flow.settings.maxBodyBytes) return undefined
        exchange.serverResponse?.release()
        return interveneInResponse(of, 'end')
      case 'drop':
        return undefined
    }
  }

  /** Takes the end of the server's response. */
  async onEnd(trailers: readonly Field[]): Promise<void> {
    const of = this.#of
    if (of.isOver) return
    of.exchange.serverResponse?.finish(true, trailers)
    if (of.tunnel) {
      await of.tunnel.ended('server')
      this.over(trailers)
    } else if (this.mode === 'hold') await interveneInResponse(of, 'end')
    else if (this.mode === 'pipe') await this.pipe?.end(trailers)
    else if (this.mode === 'forward') await this.end(trailers)
  }

  /** No more comes of the server's response. */
  onFailure(failure: ServerFailure): void {
    const of = this.#of
    if (of.isOver || this.mode === 'drop') return
    const { exchange, bridge, destination } = of
    if (of.faulty?.isLost()) return
    if (failure.kind === 'reset') of.serverReset(failure.code)
    else if (failure.kind !== 'malformed' && bridge.servers.isMirrored(destination)) {
      // The connection to the client ends in the same way, in a moment, and the exchange with it.
      this.mode = 'drop'
    } else void answerError(of, failureOf(failure, exchange, destination))
  }

  /** The server takes no more of the request: nor does the mitm, once the client has the response. */
  onClosed(code: number): void {
    this.#closedWith = code
    if (this.isOver) this.#stopRequest()
  }

  #stopRequest(): void {
    const of = this.#of
    if (this.#closedWith === undefined || of.isOver || of.request.isOver) return
    if (of.exchange.http2) of.exchange.http2.resetCode = this.#closedWith
    of.end(of.tunnel ? 'upgraded' : 'complete')
    const code = this.#closedWith
    of.stream.afterSent(() => of.stream.close(code))
  }

  /** Sends a head on. */
  respond(response: HttpResponse, answeredBy: Exchange['answeredBy'], { isWhole, ...head }: ResponseOptions): void {
    const { exchange, faulty, bridge } = this.#of
    exchange.response = response
    exchange.answeredBy = answeredBy
    exchange.timings.responseStartMs = exchange.elapsedMs()
    bridge.connection.flow.notify('responseStarted', exchange)
    if (faulty) faulty.beginResponse(response, () => this.#sendHead(response, false, head))
    else this.#sendHead(response, isWhole, head)
  }

  #sendHead({ status, fields }: HttpResponse, endStream: boolean, { sensitive, isSound }: HeadFacts): void {
    const { stream, exchange, destination } = this.#of
    if (stream.isClosed || stream.headersSent) return
    const pseudo: Field[] = [[':status', String(status)]]
    const section = isSound ? pseudo.concat(fields) : outgoing(fields, pseudo)
    const problem = isSound ? undefined : malformed(section, 'response')
    // What HTTP/2 has no way to say.
    if (problem !== undefined)
      this.#of.breakOff(failureOf({ kind: 'malformed', reason: problem }, exchange, destination))
    else stream.respond(section, { endStream, sensitive })
  }

  /** Sends octets of the body on; a promise when the sender has to wait. */
  send(octets: Buffer): MaybePromise<void> {
    return this.#out.pass(octets, this.#of.plan?.serverData, this.#of.bridge.connection)
  }

  #write(octets: Buffer): MaybePromise<void> {
    const { faults, faulty, stream, request } = this.#of
    if (!faults) return writeThrough(stream, octets, request.server?.pump)
    const wait = faults.client.add(octets)
    faulty?.flush()
    return wait
  }

  /** The body has gone: ends it, with its trailers. */
  async end(trailers: readonly Field[]): Promise<void> {
    this.#of.exchange.response?.finish(true, trailers)
    const before = this.#out.settled()
    if (before) await before
    const { faulty } = this.#of
    if (faulty) await faulty.endResponse(() => this.endStream(trailers))
    else this.endStream(trailers)
    this.over(trailers)
  }

  /** Ends the stream behind what was written. */
  endStream(trailers: readonly Field[] = []): void {
    this.#of.stream.end(outgoing(trailers))
  }

  /** Nothing more is sent of it. */
  over(trailers: readonly Field[]): void {
    if (this.#of.isOver) return
    this.isOver = true
    this.#of.exchange.response?.finish(true, trailers)
    this.#of.endIfOver()
    this.#stopRequest()
  }

  /** The exchange is over. */
  close(): void {
    this.pipe?.close()
  }
}
