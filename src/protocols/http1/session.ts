/**
 * One HTTP/1 connection to its end: the byte relay, with a framer beside each direction. `RequestSide` and
 * `ResponseSide` know where messages begin and end; here is what both share: which exchanges are under way, where their
 * octets go, and how all of it ends. What somebody intercepts is done in `intervention.ts`.
 *
 * Untouched exchanges may be pipelined. One that is intercepted is alone: it waits for those before it, and those behind
 * it wait. So responses always leave in the order of their requests.
 */
import type { Connection, StreamEnd } from '../../connection.ts'
import { isMitmError } from '../../errors.ts'
import type { Side } from '../../errors.ts'
import type { IdleTimer } from '../../internal/idle-timer.ts'
import { isPromise, runStep } from '../../internal/maybe-promise.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import { Pump } from '../../internal/pump.ts'
import type { PumpHandlers } from '../../internal/pump.ts'
import type { Destination } from '../../protocol.ts'
import { SlowClosing } from '../http/slow-closing.ts'
import type { WebSocketMock } from '../../web-socket.ts'
import { answerError } from './answer-error.ts'
import { adoptFaults } from './faulty-transfer.ts'
import { endClient, reasonOfEnd } from './finish.ts'
import type { Part } from './framer.ts'
import { Ledger, reasonOfServerEnd } from './ledger.ts'
import type { Outbox } from '../http/outbox.ts'
import { Passage } from './passage.ts'
import { RequestSide } from './request-side.ts'
import { ResponseSide } from './response-side.ts'
import { ServerLink } from './server-link.ts'
import { endedBy } from '../websocket/handshake.ts'
import { settledBehind, webSocketOf } from './web-socket-session.ts'
import type { Sink, Transfer } from './transfer.ts'
import type { WebSocketRelay } from '../websocket/relay.ts'

/** A part of one kind. */
export type PartOf<Kind extends Part['kind']> = Extract<Part, { kind: Kind }>

/** Relays one HTTP/1 connection; see {@link Session.run}. */
export class Session {
  readonly connection: Connection
  readonly isTunnelled: boolean
  readonly passage: Passage = new Passage(this)
  readonly closing: SlowClosing = new SlowClosing()
  /** The exchanges under way. */
  readonly ledger: Ledger
  /** Whether this connection is done with. */
  isOver = false
  /** Whether what passes is not framed any more. */
  isOpaque = false

  readonly #bufferSize: number
  readonly #requests: RequestSide
  #responses: ResponseSide
  readonly #clientPump: Pump
  readonly #server = new ServerLink()
  /** Became another protocol by its response. */
  #upgraded: Transfer | undefined
  /** What relays it, if it became a WebSocket. */
  #webSocket: WebSocketRelay | undefined
  /** Whether the client expects the connection to end with the server's. */
  #closesClient = false
  #clientEnd: StreamEnd | undefined
  #isDraining = false
  #idle: IdleTimer | undefined
  #settle: ((error?: unknown) => void) | undefined

  constructor(connection: Connection, bufferSize: number) {
    this.connection = connection
    this.isTunnelled = connection.isTunnelled
    this.#bufferSize = bufferSize
    this.ledger = new Ledger(connection.flow, (transfer) => this.#resume(transfer))
    this.#requests = new RequestSide(this)
    this.#responses = new ResponseSide(this)
    const { reader } = connection.client
    if (!reader) throw new TypeError('The client has no reader')
    this.#clientPump = new Pump(reader, this.#handlers('client'), bufferSize)
  }

  get toClient(): Outbox {
    return this.passage.toClient
  }

  get toServer(): Outbox {
    return this.passage.toServer
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
      const onAbort = (): void => this.fail()
      this.#settle = (error) => {
        signal.removeEventListener('abort', onAbort)
        if (error === undefined) resolve()
        else reject(error instanceof Error ? error : new Error('Not an error was thrown', { cause: error }))
      }
      signal.addEventListener('abort', onAbort)
      this.#idle = flow.watchIdle((error) => this.fail(error))
      flow.listen({ drain: () => this.#drain(), faultsAdded: () => adoptFaults(this, this.#upgraded, this.#webSocket) })
      if (signal.aborted) return onAbort()
      this.#clientPump.hold()
      this.#clientPump.start()
      this.#later(
        () => this.#begin(first),
        () => this.#clientPump.release(),
      )
    })
  }

  /** Notes that a response of the server has come whole. */
  responseOver(transfer: Transfer): MaybePromise<void> {
    this.ledger.answered(transfer)
    this.#closesClient ||= transfer.closesClient
    const { status } = transfer
    if (status === 101 || (transfer.facts.method === 'CONNECT' && status >= 200 && status < 300)) {
      return this.upgrade(transfer)
    }
    if (transfer.isRequestOver) this.ledger.end(transfer, 'complete')
    return undefined
  }

  /** What follows is another protocol. @param mock - Stands in for the server, of a WebSocket */
  upgrade(transfer: Transfer, mock?: WebSocketMock): MaybePromise<void> {
    this.#upgraded = transfer
    this.#webSocket = webSocketOf(this, transfer, mock)
    this.isOpaque = true
    this.#webSocket?.start()
    return this.#requests.makeOpaque('upgrade')
  }

  /** Notes that a response cannot be framed, or is for no request: then nothing that follows can be told apart. */
  responseLost(transfer: Transfer | undefined, reason: string): MaybePromise<void> {
    // One that breaks off with its server is told of when that is passed on.
    if (this.#server.hasEnded) return undefined
    if (transfer) {
      this.ledger.answered(transfer)
      transfer.exchange.opaqueReason = reason
      this.ledger.end(transfer, 'opaque')
    }
    if (this.isOpaque) return undefined
    this.becomeOpaque()
    return this.#requests.makeOpaque(reason)
  }

  /** Notes that what comes behind a request can have no response: it waits for nothing any more. */
  nothingFollows(transfer: Transfer): void {
    if (!transfer.isExclusive || !transfer.isRequestOver) return
    this.#later(() => this.#requests.makeOpaque('behind a response that ends with the connection'))
  }

  /** Notes that what passes is not framed any more. */
  becomeOpaque(): void {
    if (this.isOpaque) return
    this.isOpaque = true
    this.connection.layers.push('opaque')
  }

  /** Lets an exchange be one among others again. */
  release(transfer: Transfer): void {
    transfer.isExclusive = false
    if (!transfer.isAlone) this.#resume(transfer)
  }

  /** Goes on with the requests behind an exchange. */
  #resume(transfer: Transfer): void {
    if (this.#isDraining) setImmediate(() => this.#drain())
    // Most exchanges have nobody behind them.
    if (this.isOver || (!this.#requests.isStalled && this.#clientEnd === undefined)) return
    this.#later(
      () => this.#requests.resumeAfter(transfer),
      () => this.#passClientEnd(),
    )
  }

  /** Connects the server of a tunnel before a request is whole: it may have something to say to that. */
  async #begin(first: Buffer): Promise<void> {
    const { destination, flow } = this.connection
    if (this.isTunnelled && destination && !flow.mayAnswer(destination)) {
      // A failure is told to the client in answer to its request, which tries again.
      await this.#openServer(destination).catch(() => undefined)
    }
    await this.#requests.data(first)
  }

  /**
   * Sends the octets of a request on; to another server than the open one, if it is for another.
   * @param octets - What to send of it; what has been held, if not given.
   * @param destination - Where to; elsewhere than the client said, if a rule says so.
   */
  forward(
    transfer: Transfer,
    octets?: readonly Buffer[],
    destination: Destination = transfer.destination,
  ): MaybePromise<void> {
    if (this.#server.leadsTo(destination)) return this.#send(transfer, octets)
    return this.#forwardElsewhere(transfer, octets, destination)
  }

  async #forwardElsewhere(
    transfer: Transfer,
    octets: readonly Buffer[] | undefined,
    destination: Destination,
  ): Promise<void> {
    await this.ledger.whenIdle()
    if (transfer.isOver) return
    try {
      await this.#openServer(destination)
    } catch (error) {
      if (!isMitmError(error)) throw error
      await answerError(this, transfer, error)
      return
    }
    if (!transfer.isOver) await this.#send(transfer, octets)
  }

  #send(transfer: Transfer, octets: readonly Buffer[] | undefined): MaybePromise<void> {
    if (transfer.requestMode === 'hold') transfer.requestMode = 'forward'
    this.ledger.sent(transfer, this.#server.address)
    let wait: MaybePromise<void> = undefined
    // Taken only now: while the server was being connected, more of it may have come.
    for (const slice of octets ?? transfer.takeHeld()) wait = this.sendToServer(transfer, slice)
    // A server that has ended may still read, but it will not answer.
    if (this.#server.hasEnded) this.ledger.abandon('server-closed')
    return wait
  }

  /** Sends octets of a request, as rules want them. */
  sendToServer(transfer: Transfer, octets: Buffer): MaybePromise<void> {
    return this.passage.sendToServer(transfer, octets)
  }

  /** Sends octets of a response, its head first and whole, as rules want them. */
  sendToClient(transfer: Transfer, octets: Buffer): MaybePromise<void> {
    return this.passage.sendToClient(transfer, octets)
  }

  /** Sends octets that belong to no exchange. */
  sendOpaque(octets: readonly Buffer[]): MaybePromise<void> {
    const { destination } = this.connection
    const sink: Sink = this.#upgraded?.faults?.server ?? this.toServer
    const send = (): MaybePromise<void> => {
      let wait: MaybePromise<void> = undefined
      for (const slice of octets) wait = this.#webSocket ? this.#webSocket.data('client', slice) : sink.add(slice)
      return wait
    }
    if (this.#server.destination || !destination || this.#webSocket) return send()
    return this.#openServer(destination).then(send)
  }

  /** Sends octets of the server that belong to no exchange. */
  returnOpaque(octets: Buffer): MaybePromise<void> {
    if (this.#webSocket) return this.#webSocket.data('server', octets)
    const sink: Sink = this.#upgraded?.faults?.client ?? this.toClient
    return sink.add(octets)
  }

  async #openServer(destination: Destination): Promise<void> {
    const { connection } = this
    this.#server.drop()
    await this.#server.open(connection, destination, this.#bufferSize)
    if (this.isOver) return
    this.#responses = new ResponseSide(this)
    this.#server.attach(connection, destination, this.#handlers('server'), this.#bufferSize)
  }

  /** Writes what has been collected for either side. */
  flush(): void {
    this.#idle?.touch()
    this.toServer.flush(this.connection.server.writer, this.#clientPump)
    this.toClient.flush(this.connection.client.writer, this.#server.pump)
  }

  /** Reads nothing more from the client for now; or does again. */
  holdClient(isHeld: boolean): void {
    this.#clientPump[isHeld ? 'hold' : 'release']()
  }

  #handlers(side: Side): PumpHandlers {
    const { connection } = this
    const isClient = side === 'client'
    const pass = (octets: Buffer): MaybePromise<void> =>
      isClient ? this.#requests.data(octets) : this.#responses.data(octets)
    return {
      data: (chunk) => {
        this.#idle?.touch()
        const octets = isClient ? connection.clientData(chunk) : connection.serverData(chunk)
        return isPromise(octets) ? octets.then(pass) : pass(octets)
      },
      end: (end) => this.#later(() => (isClient ? this.#onClientEnd(end) : this.#onServerEnd(end))),
      lost: (error) => {
        connection.flow.passEnd(side, { kind: 'error', error })
        this.fail()
      },
      failed: (error) => this.fail(error),
    }
  }

  #onClientEnd(seeming: StreamEnd): MaybePromise<void> {
    const end = (this.#clientEnd = this.connection.flow.trueEnd('client', seeming))
    if (end.kind !== 'end') {
      this.connection.flow.passEnd('client', end)
      this.fail()
      return undefined
    }
    if (this.#isStalled) return this.#passClientEnd()
    const passed = this.#requests.end()
    const settled = (): Promise<void> | undefined =>
      settledBehind(this.#webSocket, 'client', () => this.toServer.whenSent())
    const sent = isPromise(passed) ? passed.then(settled) : settled()
    return isPromise(sent) ? sent.then(() => this.#passClientEnd()) : this.#passClientEnd()
  }

  /** Whether something holds what is under way, which will not come to an end by itself. */
  get #isStalled(): boolean {
    return this.ledger.isStalled || this.#webSocket?.isStalled === true
  }

  /** Ends the connection when nothing is under way on it. */
  #drain(): void {
    this.#isDraining = true
    if (this.isOver || !this.ledger.isEmpty || this.#requests.isWaiting || this.isOpaque) return
    this.connection.end('mitm-closed')
    this.fail()
  }

  /** Passes the client's FIN on, once nothing that it sent is still waiting here. */
  #passClientEnd(): void {
    if (this.isOver) return
    // What a fault holds will not come to an end by itself.
    if (this.#clientEnd?.kind === 'end' && this.#isStalled) {
      this.connection.flow.passEnd('client', this.#clientEnd)
      this.fail()
      return
    }
    if (this.#clientEnd?.kind !== 'end' || this.isOver || this.#requests.isWaiting) return
    // A request that is held must go out first; an answer of our own must come back.
    if (this.ledger.isIntercepting) return
    const isDone =
      this.#server.destination && !this.#server.hasEnded
        ? this.connection.flow.passEnd('client', this.#clientEnd)
        : true
    if (!isDone) return
    this.connection.end('client-closed')
    this.fail()
  }

  #onServerEnd(seeming: StreamEnd): MaybePromise<void> {
    const end = this.connection.flow.trueEnd('server', seeming)
    this.#server.hasEnded = true
    const passed = end.kind === 'end' ? this.#responses.end() : undefined
    const settled = (): MaybePromise<void> =>
      settledBehind(this.#webSocket, 'server', () => this.passage.responseSettled(this.ledger.oldest))
    const sent = isPromise(passed) ? passed.then(settled) : settled()
    if (!isPromise(sent) && !this.closing.isSlow('client')) return this.#serverOver(end)
    return Promise.resolve(sent)
      .then(() => this.closing.wait('client'))
      .then(() => this.#serverOver(end))
  }

  #serverOver(end: StreamEnd): MaybePromise<void> {
    if (this.isOver) return undefined
    const { flow, destination } = this.connection
    const unanswered = this.ledger.abandon(reasonOfServerEnd(end, this.#clientEnd))
    const isOwn = this.isTunnelled && (!this.#server.destination || this.#server.leadsTo(destination))
    const isLost = unanswered > 0 || this.isOpaque || end.kind === 'error'
    // A proxy client may go on to other hosts: a server that ends between two exchanges is none of its business.
    if (!isOwn && !isLost && this.#clientEnd === undefined) {
      this.#server.drop()
      if (this.#closesClient) endClient(this.connection)
      return flow.closeServer()
    }
    if (flow.passEnd('server', end) || this.#clientEnd) this.fail()
    return undefined
  }

  /** Ends the connection: with an error, or without one when it is done. */
  fail(error?: unknown): void {
    if (this.isOver) return
    this.isOver = true
    this.#idle?.stop()
    this.#clientPump.stop()
    this.#server.pump?.stop()
    const reason = reasonOfEnd(this.connection, error)
    this.#webSocket?.ended(endedBy(reason))
    this.passage.close()
    this.closing.stop()
    this.ledger.endAll(reason, isMitmError(error) ? error : undefined, this.#upgraded)
    this.#settle?.(error)
  }

  /** Runs a step, and what comes after it; what they fail with ends the connection. */
  #later(step: () => MaybePromise<void>, after?: () => void): void {
    runStep(step, after, (error) => this.fail(error))
  }
}
