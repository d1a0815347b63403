/** What the middlewares are asked and told of one connection: the half of a {@link ConnectionFlow} that does no I/O. */
import type { Connection, ExchangeMoment } from '../connection.ts'
import type { MitmError } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import { InjectedError } from '../fault-errors.ts'
import { noteFault } from '../fault-record.ts'
import type { Fault, FaultFeed } from '../fault.ts'
import type { MaybePromise } from '../internal/maybe-promise.ts'
import type { ConnectionIntervention, ConnectionMoment, Intervention } from '../middleware.ts'
import type { Destination } from '../protocol.ts'
import type { WebSocketHandler } from '../web-socket.ts'
import type { WebSocketMessage } from '../web-socket-message.ts'
import type { FlowContext } from './flow-context.ts'

/** Asks and tells the middlewares. */
export abstract class ConnectionHooks {
  readonly connection: Connection
  readonly context: FlowContext
  #relayIntervention: ConnectionIntervention | undefined

  constructor(connection: Connection, context: FlowContext) {
    this.connection = connection
    this.context = context
  }

  get isIntercepting(): boolean {
    return this.context.pipeline.has('intercept')
  }

  lateFaults(exchange: Exchange): FaultFeed | undefined {
    return this.context.pipeline.lateFaults(exchange)
  }

  lateWebSocket(exchange: Exchange): readonly WebSocketHandler[] {
    return this.context.pipeline.lateWebSocket(exchange)
  }

  clientData(data: Buffer): MaybePromise<Buffer> {
    this.connection.bytes.fromClient += data.length
    return this.context.pipeline.transform('clientData', this.connection, data)
  }

  serverData(data: Buffer): MaybePromise<Buffer> {
    this.connection.bytes.fromServer += data.length
    return this.context.pipeline.transform('serverData', this.connection, data)
  }

  mayAnswer(destination: Destination): boolean {
    return this.context.pipeline.mayAnswer(destination)
  }

  mayIntercept(destination: Destination): boolean {
    return this.context.pipeline.mayIntercept(destination)
  }

  intercept(exchange: Exchange): MaybePromise<Intervention | undefined> {
    return this.context.pipeline.intercept(exchange)
  }

  interceptConnection(moment: ConnectionMoment): ConnectionIntervention | undefined {
    if (moment.stage !== 'relay' || moment.isUnderWay)
      return this.context.pipeline.interceptConnection(this.connection, moment)
    // Asked before the server is contacted, and again for what passes: it counts once.
    this.#relayIntervention ??= this.context.pipeline.interceptConnection(this.connection, moment)
    return this.#relayIntervention
  }

  noteFault(fault: Fault, exchange?: Exchange): void {
    noteFault(this.connection, fault, exchange)
    void this.context.pipeline.observe('connectionChanged', this.connection)
  }

  noteResent(exchange: Exchange): void {
    this.context.resends.note(exchange)
  }

  notify(moment: ExchangeMoment, exchange: Exchange, message?: WebSocketMessage): void {
    if (moment === 'requestStarted') this.context.resends.link(exchange)
    this.context.pipeline.notify(moment, exchange, message)
  }

  report(error: MitmError): void {
    // What goes wrong on purpose is among the faults.
    if (error instanceof InjectedError) return
    this.connection.errors.push(error)
    this.context.report(error, this.connection)
  }
}
