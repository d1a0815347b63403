/**
 * The requests of one HTTP/1 connection: frames what the client sends, and decides whose octets go where. Those that
 * must wait for their turn are left in the framer.
 */
import type { Connection } from '../../connection.ts'
import { Exchange, HttpRequest } from '../../exchange.ts'
import type { Field, HeadParser, RequestHead } from '../../exchange.ts'
import { isPromise } from '../../internal/maybe-promise.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import type { Intervention } from '../../middleware.ts'
import type { Destination } from '../../protocol.ts'
import { answerLate } from './answer-error.ts'
import { tellToContinue } from './answer.ts'
import { unknownFacts } from './facts.ts'
import type { HeadFacts } from './facts.ts'
import { Framer } from './framer.ts'
import type { Part } from './framer.ts'
import { parseRequestHead, parseTarget } from './head.ts'
import { intervene } from './intervention.ts'
import { PlainFacts } from './plain-head.ts'
import { destinationOf, urlOf } from './messages.ts'
import type { PartOf, Session } from './session.ts'
import { Transfer } from './transfer.ts'
import { toOriginForm } from './write.ts'

/** How far a client may send on while its requests have to wait, before it is held. */
const MAX_WAITING_BYTES = 64 * 1024

/** Frames the requests of one connection. */
export class RequestSide {
  readonly #session: Session
  readonly #framer: Framer
  /** Whose request is being read, or was read last. */
  #current: Transfer | undefined
  /** Whether what follows has to wait for a response. */
  isStalled = false
  #reading: Promise<void> | undefined
  #parser: RequestParser | undefined
  /** How the Host field names where requests go by themselves. */
  #ownHost: { readonly destination: Destination; readonly text: string; readonly octets: Buffer } | undefined
  #waitingBytes = 0
  #isClientHeld = false
  #hasEnded = false

  constructor(session: Session) {
    this.#session = session
    const { maxHeadBytes } = session.connection.flow.settings
    this.#framer = new Framer({ kind: 'request', maxHeadBytes })
  }

  /** Takes what has come from the client. */
  data(octets: Buffer): MaybePromise<void> {
    this.#session.toServer.chunk = octets
    this.#framer.push(octets)
    if (!this.isStalled) return this.#read()
    this.#waitingBytes += octets.length
    if (this.#waitingBytes > MAX_WAITING_BYTES && !this.#isClientHeld) {
      this.#isClientHeld = true
      this.#session.holdClient(true)
    }
    return undefined
  }

  /** Takes the client's FIN: what is left of a broken-off message is passed on. */
  end(): MaybePromise<void> {
    this.#hasEnded = true
    this.#framer.end()
    // Octets behind a request that may change the protocol go out before the FIN: no response may come without it.
    const read = this.isStalled && !this.#current?.isExclusive ? this.resume() : this.#read()
    const over = (): void => {
      if (this.#current && !this.#current.isRequestOver) this.#current.exchange.request.finish(false)
    }
    return isPromise(read) ? read.then(over) : over()
  }

  /** Whether something that has come is waiting here. */
  get isWaiting(): boolean {
    return this.#reading !== undefined || (this.isStalled && !this.#framer.isBetweenMessages)
  }

  /** Lets all that follows pass as octets. */
  makeOpaque(reason: string): MaybePromise<void> {
    this.#framer.makeOpaque(reason)
    return this.isStalled ? this.resume() : this.#read()
  }

  /** Goes on with what had to wait. */
  resume(): MaybePromise<void> {
    if (!this.isStalled) return undefined
    this.isStalled = false
    this.#waitingBytes = 0
    const read = this.#read()
    const go = (): void => {
      if (!this.#isClientHeld || this.isStalled) return
      this.#isClientHeld = false
      this.#session.holdClient(false)
    }
    return isPromise(read) ? read.then(go) : go()
  }

  /** Goes on if it was this exchange that the others waited for. */
  resumeAfter(transfer: Transfer): MaybePromise<void> {
    return transfer === this.#current && transfer.isRequestOver ? this.resume() : undefined
  }

  #read(): MaybePromise<void> {
    // One reader at a time: octets may come while it waits.
    if (this.#reading) return this.#reading
    while (!this.isStalled && !this.#session.isOver) {
      const part = this.#framer.read()
      if (!part) break
      const wait = this.#onPart(part)
      if (isPromise(wait)) {
        this.#session.flush()
        this.#reading = wait.then(
          () => {
            this.#reading = undefined
            return this.#read()
          },
          (error: unknown) => {
            this.#reading = undefined
            throw error
          },
        )
        return this.#reading
      }
    }
    this.#session.flush()
    return undefined
  }

  #onPart(part: Part): MaybePromise<void> {
    switch (part.kind) {
      case 'head':
        return this.#onHead(part)
      case 'body':
        return this.#onBody(part)
      case 'end':
        return this.#onEnd(part)
      case 'opaque':
        return this.#onOpaque(part)
    }
  }

  #onHead({ octets, facts }: PartOf<'head'>): MaybePromise<void> {
    const session = this.#session
    const { flow } = session.connection
    const transfer = this.#begin(octets, facts)
    let plan: MaybePromise<Intervention | undefined>
    try {
      plan = this.#mayIntercept(transfer) ? flow.intercept(transfer.exchange) : undefined
    } catch (error) {
      plan = Promise.reject(error instanceof Error ? error : new Error(String(error)))
    }
    const target = session.isTunnelled ? undefined : parseTarget(facts.target, facts.method)
    const head = target?.form === 'absolute' ? toOriginForm(octets, target.path) : octets
    if (plan === undefined) return session.forward(transfer, [head])
    transfer.requestMode = 'hold'
    transfer.isExclusive = true
    transfer.exchange.request.keepBody(flow.settings.maxBodyBytes)
    transfer.hold(head)
    // Who has to see the body first must ask for it, as the server does not.
    if (facts.expectsContinue) transfer.exchange.request.onAwaited(() => tellToContinue(session, transfer))
    // Runs beside the reading of this request's body, and reports its own errors.
    void intervene(session, transfer, plan)
    return undefined
  }

  /** Whether anybody could want anything of a request: told by its host where that is certain, before its head is parsed. */
  #mayIntercept({ facts, destination }: Transfer): boolean {
    const { flow, clientTls } = this.#session.connection
    if (!flow.isIntercepting) return false
    if (flow.mayIntercept(destination)) return true
    if (this.#ownHost?.destination !== destination) {
      const { host, port } = destination
      const text = (port === (clientTls ? 443 : 80) ? host : `${host}:${port}`).toLowerCase()
      this.#ownHost = { destination, text, octets: Buffer.from(text) }
    }
    const { text, octets } = this.#ownHost
    const isOwn = facts instanceof PlainFacts ? facts.hasHost(octets) : facts.host?.toLowerCase() === text
    return !isOwn
  }

  #begin(octets: Buffer, facts: HeadFacts): Transfer {
    const { connection } = this.#session
    const destination = this.#destinationOf(facts)
    const request = new HttpRequest(this.#parserFor(destination), octets)
    const transfer = new Transfer(new Exchange(connection, request), facts, destination)
    this.#current = transfer
    if (connection.flow.settings.responseTimeoutMs !== undefined) {
      transfer.onLate = () => answerLate(this.#session, transfer)
    }
    this.#session.ledger.begin(transfer)
    return transfer
  }

  /** Shared by the exchanges that go to one place: every one of them is kept. */
  #parserFor(destination: Destination): RequestParser {
    if (this.#parser?.destination !== destination) {
      this.#parser = new RequestParser(this.#session.connection, destination)
    }
    return this.#parser
  }

  #destinationOf(facts: HeadFacts): Destination {
    const { destination, clientTls } = this.#session.connection
    if (this.#session.isTunnelled && destination) return destination
    try {
      return destinationOf(facts, clientTls !== undefined)
    } catch (error) {
      // A later request that does not say so can only be meant for where the one before went.
      if (destination) return destination
      throw error
    }
  }

  #onBody({ octets, content }: PartOf<'body'>): MaybePromise<void> {
    const transfer = this.#current
    if (!transfer) return undefined
    for (const slice of content) transfer.exchange.request.addBody(slice)
    if (transfer.requestMode === 'pipe') return transfer.requestPipe?.write(content)
    return this.#pass(transfer, octets)
  }

  #pass(transfer: Transfer, octets: Buffer): MaybePromise<void> {
    if (transfer.requestMode === 'drop' || octets.length === 0) return undefined
    if (transfer.requestMode === 'forward') return this.#session.sendToServer(transfer, octets)
    transfer.hold(octets)
    const { request } = transfer.exchange
    // Too large to be looked at whole: whoever waits for that is told, and decides without.
    if (transfer.heldSize > this.#session.connection.flow.settings.maxBodyBytes) request.release()
    return undefined
  }

  #onEnd({ octets, trailers }: PartOf<'end'>): MaybePromise<void> {
    const transfer = this.#current
    if (!transfer) return undefined
    const isPiped = transfer.requestMode === 'pipe'
    const passed = isPiped ? transfer.requestPipe?.end(trailers) : this.#pass(transfer, octets)
    return isPromise(passed) ? passed.then(() => this.#over(transfer, trailers)) : this.#over(transfer, trailers)
  }

  #over(transfer: Transfer, trailers: readonly Field[]): void {
    this.#session.ledger.requestOver(transfer, trailers)
    // What follows may be another protocol, or must wait for its turn: the response decides.
    this.isStalled = !transfer.isOver && !transfer.isResponseOver && transfer.isAlone
  }

  /** What cannot be framed is relayed all the same, to where this connection goes. */
  #onOpaque({ octets, reason }: PartOf<'opaque'>): MaybePromise<void> {
    const session = this.#session
    const transfer = this.#current
    const broken = transfer && !transfer.isRequestOver ? transfer : undefined
    if (!session.isOpaque && !this.#hasEnded) {
      session.becomeOpaque()
      if (broken) session.ledger.end(broken, 'opaque')
      else this.#recordOpaque(octets, reason)
    }
    if (broken?.requestMode === 'drop' || broken?.requestMode === 'pipe') return undefined
    return session.sendOpaque([...(broken?.takeHeld() ?? []), octets])
  }

  /** Records a request whose length cannot be told. */
  #recordOpaque(octets: Buffer, reason: string): void {
    const head = parseRequestHead(octets)
    if (head.httpVersion === '') return
    const { method, target } = head
    const transfer = this.#begin(octets, { ...unknownFacts, method, target, host: hostField(head.fields) })
    transfer.exchange.opaqueReason = reason
    this.#session.ledger.end(transfer, 'opaque')
  }
}

/** Parses the heads of the requests of one connection for one destination. */
class RequestParser implements HeadParser<RequestHead> {
  readonly destination: Destination
  readonly #connection: Connection

  constructor(connection: Connection, destination: Destination) {
    this.#connection = connection
    this.destination = destination
  }

  parse(octets: Buffer): RequestHead {
    const head = parseRequestHead(octets)
    const { method, target, fields } = head
    return { ...head, url: urlOf({ method, target, host: hostField(fields) }, this.destination, this.#connection) }
  }
}

/** The Host field, if there is exactly one. */
function hostField(fields: readonly Field[]): string | undefined {
  const hosts = fields.filter(([name]) => /^host$/i.test(name))
  return hosts.length === 1 ? hosts[0]?.[1] : undefined
}
