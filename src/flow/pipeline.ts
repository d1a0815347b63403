/** The middlewares of a mitm, in order: calls their hooks, and names the one that failed. */
import type { Connection, ExchangeMoment } from '../connection.ts'
import { errorText, isMitmError, MitmError } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import type { FaultFeed } from '../fault.ts'
import { isPromise } from '../internal/maybe-promise.ts'
import type { MaybePromise } from '../internal/maybe-promise.ts'
import type { ConnectionIntervention, ConnectionMoment, Intervention, Middleware, OfferedAlpn } from '../middleware.ts'
import type { Destination } from '../protocol.ts'
import type { WebSocketHandler } from '../web-socket.ts'
import type { WebSocketMessage } from '../web-socket-message.ts'

type DataHook = 'clientData' | 'serverData'
type ConnectionHook =
  | 'clientConnected'
  | 'serverConnected'
  | 'clientDisconnected'
  | 'serverDisconnected'
  | 'connectionChanged'
  | 'connectionEnded'
type Hook = Exclude<keyof Middleware, 'name'>

const HOOKS = [
  'mitmStarted',
  'clientConnected',
  'serverConnected',
  'clientData',
  'serverData',
  'clientDisconnected',
  'serverDisconnected',
  'connectionChanged',
  'connectionEnded',
  'mayAnswer',
  'mayIntercept',
  'offeredAlpn',
  'interceptConnection',
  'intercept',
  'lateFaults',
  'requestStarted',
  'requestEnded',
  'responseStarted',
  'exchangeEnded',
  'messageReceived',
  'webSocketChanged',
  'lateWebSocket',
] as const satisfies readonly Hook[]

/** Runs the hooks of several middlewares in the order these were added. */
export class Pipeline {
  #middlewares: readonly Middleware[] = []
  // By hook, so that a hook that nobody has costs nothing on the hot path.
  #having: { readonly [Name in Hook]: readonly Middleware[] } = byHook([])
  readonly #report: (error: MitmError, connection?: Connection) => void

  /** @param report - Told of each hook that failed. */
  constructor(report: (error: MitmError, connection?: Connection) => void) {
    this.#report = report
  }

  /**
   * Adds a middleware at the end.
   *
   * @returns What takes it out again.
   * @throws {@link MitmError} `MITM_INVALID_MIDDLEWARE` when it is not an object with at least one hook.
   */
  add(middleware: Middleware): () => void {
    if (!isMiddleware(middleware)) {
      throw new MitmError(
        'MITM_INVALID_MIDDLEWARE',
        `Cannot use ${describe(middleware)} as a middleware: expected an object with at least one of ${HOOKS.join(', ')}`,
      )
    }
    this.#set([...this.#middlewares, middleware])
    return () => {
      // By place, not by identity: the same middleware may stand in the list twice.
      const at = this.#middlewares.indexOf(middleware)
      if (at >= 0) this.#set(this.#middlewares.toSpliced(at, 1))
    }
  }

  /** Passes octets through a data hook of every middleware. @throws {@link MitmError} `MITM_MIDDLEWARE_FAILED` */
  transform(hook: DataHook, connection: Connection, data: Buffer): MaybePromise<Buffer> {
    const middlewares = this.#having[hook]
    return middlewares.length === 0 ? data : this.#transformFrom(0, middlewares, hook, connection, data)
  }

  #transformFrom(
    start: number,
    middlewares: readonly Middleware[],
    hook: DataHook,
    connection: Connection,
    data: Buffer,
  ): MaybePromise<Buffer> {
    let current = data
    for (let at = start; at < middlewares.length; at++) {
      const middleware = middlewares[at]
      if (!middleware) break
      let result: MaybePromise<Uint8Array> | undefined
      try {
        result = middleware[hook]?.(connection, current)
      } catch (error) {
        throw failure(middleware, hook, error)
      }
      if (isPromise(result)) {
        return result.then(
          (settled) => this.#transformFrom(at + 1, middlewares, hook, connection, toOctets(settled, middleware, hook)),
          (error: unknown) => {
            throw failure(middleware, hook, error)
          },
        )
      }
      current = toOctets(result, middleware, hook)
    }
    return current
  }

  /** Calls a hook that observes connections; what it throws is reported, and the others are called all the same. */
  async observe(hook: ConnectionHook, connection: Connection): Promise<void> {
    for (const middleware of this.#having[hook]) {
      try {
        // One after the other: the order is promised.
        await middleware[hook]?.(connection)
      } catch (error) {
        this.#report(failure(middleware, hook, error), connection)
      }
    }
  }

  /** Whether any middleware has the hook. */
  has(hook: Hook): boolean {
    return this.#having[hook].length > 0
  }

  /** Calls `mitmStarted` of one middleware, or of all. */
  async started(host: string, port: number, only?: Middleware): Promise<void> {
    for (const middleware of only ? [only] : this.#having.mitmStarted) {
      try {
        await middleware.mitmStarted?.(host, port)
      } catch (error) {
        this.#report(failure(middleware, 'mitmStarted', error))
      }
    }
  }

  /** Tells of a moment of an exchange. */
  notify(moment: ExchangeMoment, exchange: Exchange, message?: WebSocketMessage): void {
    for (const middleware of this.#having[moment]) {
      try {
        tell(middleware, moment, exchange, message)
      } catch (error) {
        this.#report(failure(middleware, moment, error), exchange.connection)
      }
    }
  }

  /** Whether any middleware could answer for the host. One that throws is reported, and counts as no. */
  mayAnswer(destination: Destination): boolean {
    return this.#having.mayAnswer.some((middleware) => this.#asked(middleware, 'mayAnswer', destination, false))
  }

  /** Whether any middleware could intercept a request to the host. One that throws is reported, and counts as yes. */
  mayIntercept(destination: Destination): boolean {
    return this.#having.intercept.some((middleware) => this.#asked(middleware, 'mayIntercept', destination, true))
  }

  /** What the first middleware that says anything wants clients to be offered. One that throws is reported. */
  offeredAlpn(destination: Destination): OfferedAlpn | undefined {
    for (const middleware of this.#having.offeredAlpn) {
      const offered = this.#asked(middleware, 'offeredAlpn', destination, undefined)
      if (offered) return offered
    }
    return undefined
  }

  #asked<Name extends 'mayAnswer' | 'mayIntercept' | 'offeredAlpn', Otherwise>(
    middleware: Middleware,
    hook: Name,
    destination: Destination,
    otherwise: Otherwise,
  ): ReturnType<NonNullable<Middleware[Name]>> | Otherwise {
    try {
      // A boundary: what a hook returns is not told from its name in a generic type.
      return (middleware[hook]?.(destination) as ReturnType<NonNullable<Middleware[Name]>> | undefined) ?? otherwise
    } catch (error) {
      this.#report(failure(middleware, hook, error))
      return otherwise
    }
  }

  /** What the first middleware that wants something to go wrong with a connection wants. One that throws is reported. */
  interceptConnection(connection: Connection, moment: ConnectionMoment): ConnectionIntervention | undefined {
    for (const middleware of this.#having.interceptConnection) {
      try {
        const wanted = middleware.interceptConnection?.(connection, moment)
        if (wanted) return wanted
      } catch (error) {
        this.#report(failure(middleware, 'interceptConnection', error), connection)
      }
    }
    return undefined
  }

  /** What the first middleware that wants something to go wrong with a running exchange wants. One that throws is reported. */
  lateFaults(exchange: Exchange): FaultFeed | undefined {
    for (const middleware of this.#having.lateFaults) {
      try {
        const feed = middleware.lateFaults?.(exchange)
        if (feed) return feed
      } catch (error) {
        this.#report(failure(middleware, 'lateFaults', error), exchange.connection)
      }
    }
    return undefined
  }

  /** What middlewares do to the rest of an open WebSocket. One that throws is reported. */
  lateWebSocket(exchange: Exchange): readonly WebSocketHandler[] {
    return this.#having.lateWebSocket.flatMap((middleware) => {
      try {
        return middleware.lateWebSocket?.(exchange) ?? []
      } catch (error) {
        this.#report(failure(middleware, 'lateWebSocket', error), exchange.connection)
        return []
      }
    })
  }

  /**
   * Asks every middleware what to do with an exchange, until one answers it.
   *
   * @throws {@link MitmError} `MITM_MIDDLEWARE_FAILED`, or what a rule failed with.
   */
  intercept(exchange: Exchange): MaybePromise<Intervention | undefined> {
    const middlewares = this.#having.intercept
    return middlewares.length === 0 ? undefined : this.#interceptFrom(0, middlewares, exchange, undefined)
  }

  #interceptFrom(
    start: number,
    middlewares: readonly Middleware[],
    exchange: Exchange,
    sofar: Intervention | undefined,
  ): MaybePromise<Intervention | undefined> {
    let joined = sofar
    for (let at = start; at < middlewares.length && !joined?.answer; at++) {
      const middleware = middlewares[at]
      if (!middleware) break
      let result: MaybePromise<Intervention | undefined>
      try {
        result = middleware.intercept?.(exchange)
      } catch (error) {
        throw failure(middleware, 'intercept', error)
      }
      if (isPromise(result)) {
        const before = joined
        return result.then(
          (settled) => this.#interceptFrom(at + 1, middlewares, exchange, join(before, settled)),
          (error: unknown) => {
            throw failure(middleware, 'intercept', error)
          },
        )
      }
      joined = join(joined, result)
    }
    return joined
  }

  #set(middlewares: readonly Middleware[]): void {
    this.#middlewares = middlewares
    this.#having = byHook(middlewares)
  }
}

/** Names each hook, which is several times faster than `middleware[moment]`: four times per exchange, it shows. */
function tell(middleware: Middleware, moment: ExchangeMoment, exchange: Exchange, message?: WebSocketMessage): void {
  switch (moment) {
    case 'requestStarted':
      return middleware.requestStarted?.(exchange)
    case 'requestEnded':
      return middleware.requestEnded?.(exchange)
    case 'responseStarted':
      return middleware.responseStarted?.(exchange)
    case 'exchangeEnded':
      return middleware.exchangeEnded?.(exchange)
    case 'messageReceived':
      return message && middleware.messageReceived?.(exchange, message)
    case 'webSocketChanged':
      return middleware.webSocketChanged?.(exchange)
  }
}

function byHook(middlewares: readonly Middleware[]): { readonly [Name in Hook]: readonly Middleware[] } {
  const having = (hook: Hook): readonly Middleware[] => middlewares.filter((each) => typeof each[hook] === 'function')
  return {
    mitmStarted: having('mitmStarted'),
    clientConnected: having('clientConnected'),
    serverConnected: having('serverConnected'),
    clientData: having('clientData'),
    serverData: having('serverData'),
    clientDisconnected: having('clientDisconnected'),
    serverDisconnected: having('serverDisconnected'),
    connectionChanged: having('connectionChanged'),
    connectionEnded: having('connectionEnded'),
    mayAnswer: having('mayAnswer'),
    mayIntercept: having('mayIntercept'),
    offeredAlpn: having('offeredAlpn'),
    interceptConnection: having('interceptConnection'),
    intercept: having('intercept'),
    lateFaults: having('lateFaults'),
    requestStarted: having('requestStarted'),
    requestEnded: having('requestEnded'),
    responseStarted: having('responseStarted'),
    exchangeEnded: having('exchangeEnded'),
    messageReceived: having('messageReceived'),
    webSocketChanged: having('webSocketChanged'),
    lateWebSocket: having('lateWebSocket'),
  }
}

/** Whether a value has at least one hook. */
export function isMiddleware(value: unknown): value is Middleware {
  if (typeof value !== 'object' || value === null) return false
  return HOOKS.some((hook) => hook in value && typeof Reflect.get(value, hook) === 'function')
}

function join(first: Intervention | undefined, second: Intervention | undefined): Intervention | undefined {
  if (!first || !second) return first ?? second
  const answer = first.answer ?? second.answer
  const faults = joinFeeds(first.faults, second.faults)
  return {
    delayMs: (first.delayMs ?? 0) + (second.delayMs ?? 0),
    interim: [...(first.interim ?? []), ...(second.interim ?? [])],
    rewriteRequest: [...(first.rewriteRequest ?? []), ...(second.rewriteRequest ?? [])],
    rewriteResponse: [...(first.rewriteResponse ?? []), ...(second.rewriteResponse ?? [])],
    requestStreams: [...(first.requestStreams ?? []), ...(second.requestStreams ?? [])],
    responseStreams: [...(first.responseStreams ?? []), ...(second.responseStreams ?? [])],
    responseHead: [...(first.responseHead ?? []), ...(second.responseHead ?? [])],
    clientData: [...(first.clientData ?? []), ...(second.clientData ?? [])],
    serverData: [...(first.serverData ?? []), ...(second.serverData ?? [])],
    webSocket: [...(first.webSocket ?? []), ...(second.webSocket ?? [])],
    ...(answer && { answer }),
    ...(faults && { faults }),
  }
}

function joinFeeds(first: FaultFeed | undefined, second: FaultFeed | undefined): FaultFeed | undefined {
  if (!first || !second) return first ?? second
  return {
    get faults() {
      return [...first.faults, ...second.faults]
    },
    subscribe(onChange) {
      const stops = [first.subscribe(onChange), second.subscribe(onChange)]
      return () => {
        for (const stop of stops) stop()
      }
    },
    notCounted() {
      first.notCounted?.()
      second.notCounted?.()
    },
  }
}

function toOctets(value: Uint8Array | undefined, middleware: Middleware, hook: DataHook): Buffer {
  if (Buffer.isBuffer(value)) return value
  if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  throw failure(
    middleware,
    hook,
    new TypeError(`it returned ${describe(value)}, expected octets (a Buffer or Uint8Array)`),
  )
}

/** The error of a hook that failed. One that says enough already (a rule's) is passed on as it is. */
function failure(middleware: Middleware, hook: Hook, error: unknown): MitmError {
  if (isMitmError(error)) return error
  const name = middleware.name ?? middleware.constructor?.name
  const called = !name || name === 'Object' ? 'A middleware' : `Middleware ${JSON.stringify(name)}`
  return new MitmError('MITM_MIDDLEWARE_FAILED', `${called} failed in ${hook}(): ${errorText(error)}`, { cause: error })
}

function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value)
  if (typeof value === 'object' && value !== null) return `an object of ${value.constructor?.name ?? 'no class'}`
  return String(value)
}
