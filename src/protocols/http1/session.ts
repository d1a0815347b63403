/**
 * One HTTP/1 connection to its end: the byte relay, with a framer beside each direction. It knows where messages begin
 * and end, forwards the octets of untouched ones as they came, and hands those that somebody intercepts to
 * `intervention.ts`.
 *
 * Untouched exchanges may be pipelined. One that is intercepted is alone: it waits for those before it, and those behind
 * it wait. So responses always leave in the order of their requests.
 */
import type { Connection, StreamEnd } from '../../connection.ts'
import { isMitmError } from '../../errors.ts'
import type { MitmError, Side } from '../../errors.ts'
import { Exchange, HttpRequest, HttpResponse } from '../../exchange.ts'
import type { ExchangeEndReason } from '../../exchange.ts'
import type { IdleTimer } from '../../internal/idle-timer.ts'
import { isPromise } from '../../internal/maybe-promise.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import { Pump } from '../../internal/pump.ts'
import type { Intervention } from '../../middleware.ts'
import type { Destination } from '../../protocol.ts'
import type { HeadFacts } from './facts.ts'
import { Framer } from './framer.ts'
import type { Part } from './framer.ts'
import { parseRequestHead, parseResponseHead, parseTarget } from './head.ts'
import { intervene, interveneInResponse, transformData, writeAnswer } from './intervention.ts'
import { bodyTooLarge, destinationOf, errorResponse, statusFor, urlOf } from './messages.ts'
import { Outbox } from './outbox.ts'
import { Transfer } from './transfer.ts'
import { toOriginForm } from './write.ts'

type PartOf<Kind extends Part['kind']> = Extract<Part, { kind: Kind }>

/** What is known of a request that cannot be framed. */
const NO_FACTS: HeadFacts = {
  startLine: '',
  method: '',
  target: '',
  status: 0,
  isHttp10: false,
  contentLength: undefined,
  isChunked: false,
  isCloseDelimited: false,
  hasBody: false,
  keepsAlive: false,
  upgrade: undefined,
  expectsContinue: false,
  host: undefined,
}

/** How far a client may send on while its requests have to wait, before it is held. */
const MAX_WAITING_BYTES = 64 * 1024

/** Relays one HTTP/1 connection; see {@link Session.run}. */
export class Session {
  readonly connection: Connection
  readonly toClient: Outbox = new Outbox()
  readonly toServer: Outbox = new Outbox()
  readonly #bufferSize: number
  readonly #isTunnel: boolean
  readonly #requests: Framer
  #responses: Framer
  readonly #clientPump: Pump
  #serverPump: Pump | undefined
  /** Where the open server is for; undefined while there is none. */
  #serverFor: Destination | undefined
  /** Sent to the server and not answered to the end, oldest first. */
  readonly #pending: Transfer[] = []
  /** Whose request is being read. */
  #current: Transfer | undefined
  /** All that are not over, for the end of the connection. */
  readonly #open = new Set<Transfer>()
  /** Becomes another protocol, once its response has said so. */
  #upgraded: Transfer | undefined
  /** Whether what passes is not framed any more. */
  #isOpaque = false
  /** Whether the client expects the connection to end with the server's. */
  #closesClient = false
  #isStalled = false
  #waitingBytes = 0
  #isClientHeld = false
  #clientEnd: StreamEnd | undefined
  #hasServerEnded = false
  #onceIdle: (() => void)[] = []
  #idle: IdleTimer | undefined
  #isOver = false
  #settle: ((error?: unknown) => void) | undefined

  constructor(connection: Connection, bufferSize: number) {
    this.connection = connection
    this.#bufferSize = bufferSize
    this.#isTunnel = connection.isTunnelled
    const { maxHeadBytes } = connection.flow.settings
    this.#requests = new Framer({ kind: 'request', maxHeadBytes })
    this.#responses = this.#newResponses()
    const { reader } = connection.client
    if (!reader) throw new TypeError('The client has no reader')
    this.#clientPump = new Pump(reader, this.#handlers('client'), bufferSize)
  }

  /**
   * Relays until both sides are done.
   *
   * @param first - The first octets from the client, which have passed `clientData`.
   * @throws {@link MitmError} `MITM_IDLE_TIMEOUT`, or what a middleware failed with.
   */
  run(first: Buffer): Promise<void> {
    const { signal, flow } = this.connection
    return new Promise((resolve, reject) => {
      const onAbort = (): void => this.#finish()
      this.#settle = (error) => {
        signal.removeEventListener('abort', onAbort)
        if (error === undefined) resolve()
        else reject(error instanceof Error ? error : new Error(String(error)))
      }
      signal.addEventListener('abort', onAbort)
      this.#idle = flow.watchIdle((error) => this.#finish(error))
      if (signal.aborted) {
        onAbort()
        return
      }
      this.#clientPump.hold()
      this.#clientPump.start()
      this.#requests.push(first)
      const read = this.#attempt(() => this.#readRequests())
      if (isPromise(read)) {
        read.then(
          () => this.#clientPump.release(),
          (error: unknown) => this.#finish(error),
        )
      } else this.#clientPump.release()
    })
  }

  // ── The client's side ──────────────────────────────────────────────────────────────────────────────────────────────

  #onClientData(octets: Buffer): MaybePromise<void> {
    this.#requests.push(octets)
    if (!this.#isStalled) return this.#readRequests()
    this.#waitingBytes += octets.length
    if (this.#waitingBytes > MAX_WAITING_BYTES && !this.#isClientHeld) {
      this.#isClientHeld = true
      this.#clientPump.hold()
    }
    return undefined
  }

  #readRequests(): MaybePromise<void> {
    while (!this.#isStalled && !this.#isOver) {
      const part = this.#requests.read()
      if (!part) break
      const wait = this.#onRequestPart(part)
      if (isPromise(wait)) {
        this.#flushToServer()
        return wait.then(() => this.#readRequests())
      }
    }
    this.#flushToServer()
    return undefined
  }

  #onRequestPart(part: Part): MaybePromise<void> {
    switch (part.kind) {
      case 'head':
        return this.#onRequestHead(part)
      case 'body':
        return this.#onRequestBody(part)
      case 'end':
        return this.#onRequestEnd(part)
      case 'opaque':
        return this.#onOpaqueRequest(part)
    }
  }

  #onRequestHead({ octets, facts }: PartOf<'head'>): MaybePromise<void> {
    const { flow } = this.connection
    const transfer = this.#begin(octets, facts)
    let plan: MaybePromise<Intervention | undefined>
    try {
      plan = flow.isIntercepting ? flow.intercept(transfer.exchange) : undefined
    } catch (error) {
      plan = Promise.reject(error instanceof Error ? error : new Error(String(error)))
    }
    const target = this.#isTunnel ? undefined : parseTarget(facts.target, facts.method)
    const head = target?.form === 'absolute' ? toOriginForm(octets, target.path) : octets
    if (plan === undefined) return this.forward(transfer, [head])
    transfer.requestMode = 'hold'
    transfer.isExclusive = true
    transfer.exchange.request.keepBody(flow.settings.maxBodyBytes)
    transfer.hold(head)
    // Runs beside the reading of this request's body, and reports its own errors.
    void intervene(this, transfer, plan)
    return undefined
  }

  #begin(octets: Buffer, facts: HeadFacts): Transfer {
    const { connection } = this
    const destination = this.#destinationOf(facts)
    const request = new HttpRequest(() => ({
      ...parseRequestHead(octets),
      url: urlOf(facts, destination, connection),
    }))
    const exchange = new Exchange(connection, request)
    const transfer = new Transfer(exchange, facts, destination)
    this.#current = transfer
    this.#open.add(transfer)
    connection.flow.notify('requestStarted', exchange)
    return transfer
  }

  #destinationOf(facts: HeadFacts): Destination {
    const { destination, clientTls } = this.connection
    if (this.#isTunnel && destination) return destination
    try {
      return destinationOf(facts, clientTls !== undefined)
    } catch (error) {
      // A later request without a Host: it can only be meant for where the one before went.
      if (destination) return destination
      throw error
    }
  }

  #onRequestBody({ octets, content }: PartOf<'body'>): MaybePromise<void> {
    const transfer = this.#current
    if (!transfer) return undefined
    for (const slice of content) transfer.exchange.request.addBody(slice)
    return this.#passRequest(transfer, octets)
  }

  #passRequest(transfer: Transfer, octets: Buffer): MaybePromise<void> {
    if (transfer.requestMode === 'drop' || octets.length === 0) return undefined
    if (transfer.requestMode === 'forward') return this.sendToServer(transfer, octets)
    transfer.hold(octets)
    const { request } = transfer.exchange
    // Too large to be looked at whole: whoever waits for that is told, and decides without.
    if (transfer.heldSize > this.connection.flow.settings.maxBodyBytes) request.release()
    return undefined
  }

  #onRequestEnd({ octets, trailers }: PartOf<'end'>): MaybePromise<void> {
    const transfer = this.#current
    if (!transfer) return undefined
    const passed = this.#passRequest(transfer, octets)
    return isPromise(passed)
      ? passed.then(() => this.#requestOver(transfer, trailers))
      : this.#requestOver(transfer, trailers)
  }

  #requestOver(transfer: Transfer, trailers: PartOf<'end'>['trailers']): void {
    const { exchange, facts } = transfer
    transfer.isRequestOver = true
    exchange.timings.requestEndMs = exchange.elapsedMs()
    exchange.request.finish(true, trailers)
    this.connection.flow.notify('requestEnded', exchange)
    if (transfer.isResponseOver) this.end(transfer, 'complete')
    // What follows may be another protocol, or must wait for its turn: the response decides.
    else if (transfer.isExclusive || facts.upgrade !== undefined || facts.method === 'CONNECT') this.#isStalled = true
  }

  /** What cannot be framed is relayed all the same, to where this connection goes. */
  #onOpaqueRequest({ octets, reason }: PartOf<'opaque'>): MaybePromise<void> {
    const transfer = this.#current
    const isInMessage = transfer !== undefined && !transfer.isRequestOver
    if (!this.#isOpaque && this.#upgraded === undefined && this.#clientEnd === undefined) {
      this.#isOpaque = true
      this.connection.layers.push('opaque')
      if (isInMessage) this.end(transfer, 'opaque')
      else this.#recordOpaque(octets, reason)
    }
    if (isInMessage && transfer.requestMode === 'drop') return undefined
    if (isInMessage) for (const held of transfer.takeHeld()) this.toServer.add(held)
    if (this.#serverFor) {
      this.toServer.add(octets)
      return undefined
    }
    const { destination } = this.connection
    if (!destination) return undefined
    return this.#openServer(destination).then(() => this.toServer.add(octets))
  }

  /** Records a request of which not even the head can be trusted. */
  #recordOpaque(octets: Buffer, reason: string): void {
    const facts = parseRequestHead(octets)
    if (facts.method === '') return
    const transfer = this.#begin(octets, { ...NO_FACTS, ...facts })
    transfer.exchange.opaqueReason = reason
    this.end(transfer, 'opaque')
  }

  // ── To the server, and back ────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Sends the octets of a request on, with a new server if it is for another one.
   *
   * @param octets - What to send of it; what has been held, if not given.
   * @param destination - Where to; elsewhere than the client said, if a rule says so.
   */
  forward(
    transfer: Transfer,
    octets?: readonly Buffer[],
    destination: Destination = transfer.destination,
  ): MaybePromise<void> {
    if (this.#serverFor && isSame(this.#serverFor, destination)) return this.#send(transfer, octets)
    return this.#forwardElsewhere(transfer, octets, destination)
  }

  async #forwardElsewhere(
    transfer: Transfer,
    octets: readonly Buffer[] | undefined,
    destination: Destination,
  ): Promise<void> {
    await this.whenIdle()
    if (transfer.isOver) return
    try {
      await this.#openServer(destination)
    } catch (error) {
      if (!isMitmError(error)) throw error
      await this.answerError(transfer, error)
      return
    }
    await this.#send(transfer, octets)
  }

  #send(transfer: Transfer, octets: readonly Buffer[] | undefined): MaybePromise<void> {
    if (transfer.requestMode === 'hold') transfer.requestMode = 'forward'
    transfer.exchange.serverAddress = this.connection.server.toString()
    this.#pending.push(transfer)
    let wait: MaybePromise<void> = undefined
    // Taken only now: while the server was being connected, more of it may have come.
    for (const slice of octets ?? transfer.takeHeld()) wait = this.sendToServer(transfer, slice)
    return wait
  }

  /** Sends octets of a request, through the transforms of the rules that it has. */
  sendToServer(transfer: Transfer, octets: Buffer): MaybePromise<void> {
    const transforms = transfer.plan?.clientData
    if (!transforms?.length || octets.length === 0) {
      this.toServer.add(octets)
      return undefined
    }
    // One after the other, however long each takes.
    transfer.sending = Promise.resolve(transfer.sending)
      .then(() => transformData(transforms, octets, this.connection))
      .then((changed) => {
        this.toServer.add(changed)
        this.#flushToServer()
      })
    return transfer.sending
  }

  async #openServer(destination: Destination): Promise<void> {
    const { connection } = this
    if (this.#serverFor) this.#dropServer()
    await connection.open(destination)
    const { reader } = connection.server
    if (!reader || this.#isOver) return
    this.#serverFor = destination
    this.#hasServerEnded = false
    this.#responses = this.#newResponses()
    this.#serverPump = new Pump(reader, this.#handlers('server'), this.#bufferSize)
    this.#serverPump.start()
  }

  #dropServer(): void {
    this.#serverPump?.stop()
    this.#serverPump = undefined
    this.#serverFor = undefined
  }

  #newResponses(): Framer {
    const { maxHeadBytes } = this.connection.flow.settings
    return new Framer({ kind: 'response', maxHeadBytes, requestMethod: () => this.#pending[0]?.facts.method })
  }

  #onServerData(octets: Buffer): MaybePromise<void> {
    this.#responses.push(octets)
    return this.#readResponses()
  }

  #readResponses(): MaybePromise<void> {
    while (!this.#isOver) {
      const part = this.#responses.read()
      if (!part) break
      const wait = this.#onResponsePart(part)
      if (isPromise(wait)) {
        this.#flushToClient()
        return wait.then(() => this.#readResponses())
      }
    }
    this.#flushToClient()
    return undefined
  }

  #onResponsePart(part: Part): MaybePromise<void> {
    const transfer = this.#pending[0]
    if (!transfer || part.kind === 'opaque') {
      this.#onOpaqueResponse(part, transfer)
      return undefined
    }
    switch (part.kind) {
      case 'head':
        return part.facts.status < 200 && part.facts.status !== 101
          ? this.#onInterim(transfer, part)
          : this.#onResponseHead(transfer, part)
      case 'body': {
        this.#onResponseBody(transfer, part)
        return this.#passResponse(transfer, part.octets)
      }
      case 'end':
        return this.#onResponseEnd(transfer, part)
    }
  }

  #onInterim(transfer: Transfer, { octets, facts }: PartOf<'head'>): MaybePromise<void> {
    transfer.exchange.interim.push(new HttpResponse(() => parseResponseHead(octets)))
    // The client was told already.
    if (facts.status === 100 && transfer.hasContinued) return undefined
    return this.#passResponse(transfer, octets)
  }

  #onResponseHead(transfer: Transfer, { octets, facts }: PartOf<'head'>): MaybePromise<void> {
    const { exchange, plan } = transfer
    const response = new HttpResponse(() => parseResponseHead(octets))
    transfer.closesClient = facts.isCloseDelimited || !facts.keepsAlive
    if (plan?.rewriteResponse?.length && facts.status !== 101) {
      exchange.serverResponse = response
      return interveneInResponse(this, transfer, true)
    }
    this.respondWith(transfer, response, 'server')
    return this.#passResponse(transfer, octets)
  }

  #onResponseBody(transfer: Transfer, { content }: PartOf<'body'>): void {
    const { response, serverResponse } = transfer.exchange
    for (const slice of content) {
      serverResponse?.addBody(slice)
      if (transfer.responseMode === 'forward') response?.addBody(slice)
    }
    const { maxBodyBytes } = this.connection.flow.settings
    if (transfer.responseMode !== 'hold' || !serverResponse || serverResponse.bodySize <= maxBodyBytes) return
    transfer.responseMode = 'drop'
    const what = `the response to ${transfer.facts.method} ${transfer.exchange.request.url}`
    void this.answerError(transfer, bodyTooLarge(what, serverResponse.bodySize, maxBodyBytes)) // reports by itself
  }

  /** Notes which response the client gets. */
  respondWith(transfer: Transfer, response: HttpResponse, answeredBy: Exchange['answeredBy']): void {
    const { exchange } = transfer
    exchange.response = response
    exchange.answeredBy = answeredBy
    exchange.timings.responseStartMs = exchange.elapsedMs()
    this.connection.flow.notify('responseStarted', exchange)
  }

  #passResponse(transfer: Transfer, octets: Buffer): MaybePromise<void> {
    return transfer.responseMode === 'forward' ? this.sendToClient(transfer, octets) : undefined
  }

  /** Sends octets of a response, through the transforms of the rules that it has. */
  sendToClient(transfer: Transfer, octets: Buffer): MaybePromise<void> {
    const transforms = transfer.plan?.serverData
    if (!transforms?.length || octets.length === 0) {
      this.toClient.add(octets)
      return undefined
    }
    transfer.receiving = Promise.resolve(transfer.receiving)
      .then(() => transformData(transforms, octets, this.connection))
      .then((changed) => {
        this.toClient.add(changed)
        this.#flushToClient()
      })
    return transfer.receiving
  }

  #onResponseEnd(transfer: Transfer, { octets, trailers }: PartOf<'end'>): MaybePromise<void> {
    const passed = this.#passResponse(transfer, octets)
    const { exchange } = transfer
    const over = (): MaybePromise<void> => {
      exchange.serverResponse?.finish(true, trailers)
      if (transfer.responseMode === 'hold') {
        return interveneInResponse(this, transfer, false).then(() => this.#responseOver(transfer))
      }
      exchange.response?.finish(true, trailers)
      return this.#responseOver(transfer)
    }
    return isPromise(passed) ? passed.then(over) : over()
  }

  #responseOver(transfer: Transfer): void {
    // An error that was answered has taken it out already.
    if (this.#pending[0] === transfer) this.#pending.shift()
    transfer.isResponseOver = true
    this.#closesClient ||= transfer.closesClient
    const { status } = transfer.exchange.response ?? { status: 0 }
    if (status === 101 || (transfer.facts.method === 'CONNECT' && status < 300)) {
      this.#upgraded = transfer
      this.#requests.makeOpaque('upgrade')
      this.#unstall()
      return
    }
    if (transfer.isRequestOver) this.end(transfer, 'complete')
    this.#wakeIdle()
  }

  #onOpaqueResponse(part: Part, transfer: Transfer | undefined): void {
    this.toClient.add(part.octets)
    if (!transfer) return
    this.#pending.shift()
    transfer.exchange.response?.finish(false)
    this.end(transfer, 'opaque')
    // Where this response ends is not known, so neither is what the next one answers.
    this.#requests.makeOpaque('the response could not be framed')
    this.#isOpaque = true
    this.#unstall()
  }

  // ── Answers of our own ─────────────────────────────────────────────────────────────────────────────────────────────

  /** Reports an error to the client as the response, if it has got nothing of one yet. */
  async answerError(transfer: Transfer, error: MitmError): Promise<void> {
    const { exchange } = transfer
    exchange.error = error
    if (exchange.response || transfer.isOver) {
      this.#finish(error)
      return
    }
    this.connection.report(error)
    transfer.requestMode = 'drop'
    transfer.takeHeld()
    transfer.plan = undefined
    const at = this.#pending.indexOf(transfer)
    // One whose request has reached the server is the oldest there: the response is due now.
    if (at < 0) await this.whenIdle()
    if (this.#isOver) return
    await writeAnswer(this, transfer, errorResponse(statusFor(error), error), 'mitm')
  }

  /** Sends what has been collected, and ends the connection to the client if this response says so. */
  finishAnswer(transfer: Transfer): void {
    this.#flushToClient()
    transfer.isResponseOver = true
    const at = this.#pending.indexOf(transfer)
    if (at >= 0) this.#pending.splice(at, 1)
    if (transfer.isRequestOver) this.end(transfer, 'complete')
    this.#wakeIdle()
    if (!transfer.closesClient) return
    this.connection.end('server-closed')
    this.#finish()
  }

  /** Ends the connection with an error. */
  fail(error: unknown): void {
    this.#finish(error)
  }

  /** Writes what has been collected for either side. */
  flush(): void {
    this.#flushToServer()
    this.#flushToClient()
  }

  // ── Ends ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Resolves when every exchange that was sent to the server has been answered. */
  whenIdle(): Promise<void> {
    if (this.#pending.length === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onceIdle.push(resolve)
    })
  }

  #wakeIdle(): void {
    if (this.#pending.length > 0 && !this.#isOver) return
    for (const wake of this.#onceIdle.splice(0)) wake()
  }

  /** Notes that an exchange is over. */
  end(transfer: Transfer, reason: ExchangeEndReason): void {
    if (transfer.isOver) return
    transfer.isOver = true
    this.#open.delete(transfer)
    const { exchange } = transfer
    exchange.endReason = reason
    exchange.timings.endMs = exchange.elapsedMs()
    exchange.request.finish(false)
    exchange.serverResponse?.finish(false)
    exchange.response?.finish(false)
    this.connection.flow.notify('exchangeEnded', exchange)
    if (transfer === this.#current && transfer.isRequestOver) this.#unstall()
  }

  /** Lets an exchange be one among others again: nobody wants anything of it. */
  release(transfer: Transfer): void {
    transfer.isExclusive = false
    if (transfer.isRequestOver && transfer.facts.upgrade === undefined) this.#unstall()
  }

  #unstall(): void {
    if (!this.#isStalled) return
    this.#isStalled = false
    this.#waitingBytes = 0
    const read = this.#attempt(() => this.#readRequests())
    const go = (): void => {
      if (this.#isClientHeld && !this.#isStalled) {
        this.#isClientHeld = false
        this.#clientPump.release()
      }
      this.#passClientEnd()
    }
    if (isPromise(read)) read.then(go, (error: unknown) => this.#finish(error))
    else go()
  }

  /** Cuts the connection to the client. */
  cut(transfer: Transfer): void {
    this.end(transfer, 'blocked')
    this.connection.reset('client')
    this.connection.reset('server')
    this.#finish()
  }

  #handlers(side: Side): {
    data: (octets: Buffer) => MaybePromise<void>
    end: (end: StreamEnd) => void
    failed: (error: unknown) => void
  } {
    const { connection } = this
    const isClient = side === 'client'
    return {
      data: (chunk) => {
        this.#idle?.touch()
        const octets = isClient ? connection.clientData(chunk) : connection.serverData(chunk)
        const pass = (passed: Buffer): MaybePromise<void> =>
          isClient ? this.#onClientData(passed) : this.#onServerData(passed)
        return isPromise(octets) ? octets.then(pass) : pass(octets)
      },
      end: (end) => {
        const ended = this.#attempt(() => (isClient ? this.#onClientEnd(end) : this.#onServerEnd(end)))
        if (isPromise(ended)) ended.catch((error: unknown) => this.#finish(error))
      },
      failed: (error) => this.#finish(error),
    }
  }

  #onClientEnd(end: StreamEnd): MaybePromise<void> {
    this.#clientEnd = end
    if (end.kind !== 'end') {
      this.connection.flow.passEnd('client', end)
      this.#finish()
      return undefined
    }
    this.#requests.end()
    const passed = this.#readRequests()
    const over = (): void => {
      const { exchange, isRequestOver } = this.#current ?? {}
      if (!isRequestOver) exchange?.request.finish(false)
      this.#passClientEnd()
    }
    return isPromise(passed) ? passed.then(over) : over()
  }

  /** Passes the client's FIN on, once nothing that it sent is still waiting here. */
  #passClientEnd(): void {
    if (this.#clientEnd?.kind !== 'end' || this.#isStalled || this.#isOver) return
    if ([...this.#open].some((transfer) => transfer.isExclusive && !transfer.isResponseOver)) return
    if (!this.#serverFor || this.#hasServerEnded) {
      if (this.#pending.length === 0) this.connection.end('client-closed')
      this.#finish()
    } else if (this.connection.flow.passEnd('client', this.#clientEnd)) this.#finish()
  }

  #onServerEnd(end: StreamEnd): MaybePromise<void> {
    this.#hasServerEnded = true
    if (end.kind === 'end') this.#responses.end()
    const passed = this.#readResponses()
    return isPromise(passed) ? passed.then(() => this.#serverOver(end)) : this.#serverOver(end)
  }

  #serverOver(end: StreamEnd): MaybePromise<void> {
    if (this.#isOver) return undefined
    const unanswered = this.#pending.splice(0)
    for (const transfer of unanswered) this.end(transfer, end.kind === 'error' ? 'server-reset' : 'server-closed')
    const isLost = unanswered.length > 0 || this.#upgraded !== undefined || this.#isOpaque
    // A proxy client may go on to other hosts: a server that ends between two exchanges is none of its business.
    const isOwn = this.#isTunnel && (!this.#serverFor || isSame(this.#serverFor, this.connection.destination))
    if (!isOwn && !isLost && end.kind !== 'error' && this.#clientEnd === undefined) {
      this.#dropServer()
      if (this.#closesClient) this.connection.client.writer?.end()
      return this.connection.flow.closeServer()
    }
    const isDone = this.connection.flow.passEnd('server', end)
    this.#wakeIdle()
    if (isDone || this.#clientEnd) this.#finish()
    return undefined
  }

  #finish(error?: unknown): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#idle?.stop()
    this.#clientPump.stop()
    this.#serverPump?.stop()
    const reason = this.#reasonOfEnd(error)
    for (const transfer of this.#open) {
      if (isMitmError(error)) transfer.exchange.error ??= error
      this.end(transfer, transfer === this.#upgraded ? 'upgraded' : reason)
    }
    this.#wakeIdle()
    this.#settle?.(error)
  }

  #reasonOfEnd(error: unknown): ExchangeEndReason {
    const { endReason } = this.connection
    if (endReason === 'idle-timeout' || endReason === 'mitm-closed') return endReason
    if (error !== undefined) return 'failed'
    return endReason === undefined || endReason === 'handed-over' ? 'client-closed' : endReason
  }

  #attempt(step: () => MaybePromise<void>): MaybePromise<void> {
    try {
      return step()
    } catch (error) {
      this.#finish(error)
      return undefined
    }
  }

  #flushToServer(): void {
    this.toServer.flush(this.connection.server.writer, this.#clientPump)
  }

  #flushToClient(): void {
    this.toClient.flush(this.connection.client.writer, this.#serverPump)
  }
}

function isSame(one: Destination, other: Destination | undefined): boolean {
  return one.host === other?.host && one.port === other.port && one.tls === other.tls
}
