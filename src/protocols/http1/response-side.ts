/** The responses of one server of an HTTP/1 connection: frames what it sends, each response for the oldest request. */
import { HttpResponse } from '../../exchange.ts'
import type { Field, HeadParser, ResponseHead } from '../../exchange.ts'
import { isPromise } from '../../internal/maybe-promise.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import { answerErrorLater } from './answer-error.ts'
import { closeBehind } from './finish.ts'
import { Framer } from './framer.ts'
import type { Part } from './framer.ts'

import { parseResponseHead } from './head.ts'
import { interveneInResponse } from './intervention.ts'
import { bodyTooLarge } from '../http/messages.ts'
import type { PartOf, Session } from './session.ts'
import type { Transfer } from './transfer.ts'

const responseParser: HeadParser<ResponseHead> = { parse: parseResponseHead }

/** Frames the responses of one server. */
export class ResponseSide {
  readonly #session: Session
  readonly #framer: Framer

  constructor(session: Session) {
    this.#session = session
    this.#framer = new Framer({
      kind: 'response',
      maxHeadBytes: session.connection.flow.settings.maxHeadBytes,
      requestMethod: () => session.ledger.oldest?.facts.method,
    })
  }

  /** Takes what has come from the server. */
  data(octets: Buffer): MaybePromise<void> {
    this.#session.toClient.chunk = octets
    this.#framer.push(octets)
    return this.#read()
  }

  /** Takes the server's FIN, which may be the end of a response. */
  end(): MaybePromise<void> {
    this.#framer.end()
    return this.#read()
  }

  #read(): MaybePromise<void> {
    while (!this.#session.isOver) {
      const part = this.#framer.read()
      if (!part) break
      const wait = this.#onPart(part)
      if (isPromise(wait)) {
        this.#session.flush()
        return wait.then(() => this.#read())
      }
    }
    this.#session.flush()
    return undefined
  }

  #onPart(part: Part): MaybePromise<void> {
    const transfer = this.#session.ledger.oldest
    // Somebody else has answered: what comes now comes too late.
    if (transfer?.isGivenUp) return undefined
    if (!transfer || part.kind === 'opaque') return this.#onOpaque(part, transfer)
    switch (part.kind) {
      case 'head':
        return part.facts.status < 200 && part.facts.status !== 101
          ? this.#onInterim(transfer, part)
          : this.#onHead(transfer, part)
      case 'body':
        this.#onBody(transfer, part)
        if (transfer.responseMode === 'pipe') return transfer.responsePipe?.write(part.content)
        return this.#pass(transfer, part.octets)
      case 'end':
        return this.#onEnd(transfer, part)
    }
  }

  #onInterim(transfer: Transfer, { octets, facts }: PartOf<'head'>): MaybePromise<void> {
    transfer.exchange.interim.push(new HttpResponse(responseParser, octets))
    this.#session.ledger.interimCame()
    // The client was told already.
    if (facts.status === 100 && transfer.hasContinued) return undefined
    return this.#pass(transfer, octets)
  }

  #onHead(transfer: Transfer, { octets, facts }: PartOf<'head'>): MaybePromise<void> {
    const response = new HttpResponse(responseParser, octets)
    transfer.status = facts.status
    this.#session.ledger.responseBegun()
    transfer.closesClient = facts.isCloseDelimited || !facts.keepsAlive
    if (facts.isCloseDelimited) this.#session.nothingFollows(transfer)
    const { plan } = transfer
    if ((plan?.rewriteResponse?.length || plan?.responseStreams?.length) && facts.status !== 101) {
      transfer.exchange.serverResponse = response
      return interveneInResponse(this.#session, transfer, 'head')
    }
    this.#session.ledger.respondWith(transfer, response, 'server')
    return this.#pass(transfer, octets)
  }

  #onBody(transfer: Transfer, { content }: PartOf<'body'>): void {
    const { response, serverResponse } = transfer.exchange
    for (const slice of content) {
      serverResponse?.addBody(slice)
      if (transfer.responseMode === 'forward') response?.addBody(slice)
    }
    const { maxBodyBytes } = this.#session.connection.flow.settings
    if (transfer.responseMode !== 'hold' || !serverResponse || serverResponse.bodySize <= maxBodyBytes) return
    transfer.responseMode = 'drop'
    const what = `the response to ${transfer.facts.method} ${transfer.exchange.request.url}`
    answerErrorLater(this.#session, transfer, bodyTooLarge(what, serverResponse.bodySize, maxBodyBytes))
  }

  #pass(transfer: Transfer, octets: Buffer): MaybePromise<void> {
    return transfer.responseMode === 'forward' ? this.#session.sendToClient(transfer, octets) : undefined
  }

  #onEnd(transfer: Transfer, { octets, trailers }: PartOf<'end'>): MaybePromise<void> {
    const isPiped = transfer.responseMode === 'pipe'
    const passed = isPiped ? transfer.responsePipe?.end(trailers) : this.#pass(transfer, octets)
    const settled = (): MaybePromise<void> => this.#session.passage.responseSettled(transfer)
    const sent = isPromise(passed) ? passed.then(settled) : settled()
    return isPromise(sent) ? sent.then(() => this.#over(transfer, trailers)) : this.#over(transfer, trailers)
  }

  #over(transfer: Transfer, trailers: readonly Field[]): MaybePromise<void> {
    const { exchange } = transfer
    exchange.serverResponse?.finish(true, trailers)
    if (transfer.responseMode === 'hold') {
      return interveneInResponse(this.#session, transfer, 'end').then(() => this.#sent(transfer))
    }
    exchange.response?.finish(true, trailers)
    return this.#sent(transfer)
  }

  #sent(transfer: Transfer): MaybePromise<void> {
    const over = this.#session.responseOver(transfer)
    const isLast = transfer.plan?.responseHead?.some(({ closes }) => closes)
    if (!isLast) return over
    return Promise.resolve(over).then(() => closeBehind(this.#session, transfer))
  }

  #onOpaque(part: Part, transfer: Transfer | undefined): MaybePromise<void> {
    const passed = this.#session.returnOpaque(part.octets)
    const lost = this.#session.responseLost(transfer, part.kind === 'opaque' ? part.reason : '')
    return isPromise(passed) ? passed.then(() => lost) : lost
  }
}
