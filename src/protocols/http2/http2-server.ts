/** A server that speaks HTTP/2, as a bridge has it. */
import type { Readable, Writable } from 'node:stream'

import type { Field } from '../../exchange.ts'
import { isPromise } from '../../internal/maybe-promise.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import type { PumpEnd } from '../../internal/pump.ts'
import { outgoing, requestSection, responseHead } from './bridge-fields.ts'
import type {
  BridgedRequestHead,
  BridgeServer,
  ResponseHandlers,
  ServerFailure,
  ServerRequest,
  ServerWatcher,
} from './bridge-server.ts'
import { ERROR_CODE, MAX_STREAM_ID } from './frame.ts'
import { writeGoAway } from './frame-write.ts'
import type { GoAway } from './go-away.ts'
import { malformed } from './section-check.ts'
import { Session } from './session.ts'
import type { ResponseStreamHandlers } from './session-options.ts'
import type { Http2Settings } from './settings.ts'
import type { Http2Stream } from './stream.ts'

/** How a session with a server is made. */
export interface Http2ServerOptions {
  readonly reader: Readable
  readonly writer: Writable
  readonly address: string
  readonly bufferSize: number
  /** What the server is told of its client, in the client's place. */
  readonly settings: Http2Settings
  readonly watcher: ServerWatcher
  /** Closes the connection. */
  close(): void
  /** Ends it with a reset. */
  reset(): void
}

/** A session with a server. */
export class Http2Server implements BridgeServer {
  readonly address: string
  /** Its SETTINGS; undefined until the first have come. */
  settings: Http2Settings | undefined
  readonly #session: Session
  readonly #options: Http2ServerOptions
  readonly #onceSettled: (() => void)[] = []
  /** How its connection ended. */
  #end: PumpEnd | undefined
  readonly #requests = new Set<Http2Request>()
  readonly #forRequests: RequestConnection = {
    failure: () => this.#failure(),
    endConnection: (how) => this.#endConnection(how),
    closed: (request) => {
      this.#requests.delete(request)
      this.#closeIfDone()
    },
  }
  #isLeaving = false
  #isGone = false

  constructor(options: Http2ServerOptions) {
    const { reader, writer, bufferSize, watcher, settings } = options
    this.#options = options
    this.address = options.address
    this.#session = new Session({
      reader,
      writer,
      from: 'server',
      bufferSize,
      settings: { ...settings, enablePush: 0 },
      // Its client says what it takes, and may take more.
      maxListBytes: Infinity,
      hook: (octets) => watcher.hook(octets),
      touched: () => watcher.touched(),
      settingsCame: (remote) => this.#settingsCame(remote),
      goAway: (goAway) => this.#onGoAway(goAway),
      ended: (end) => this.#ended(end),
      broken: (_, code) => this.#broken(code),
      failed: (error) => watcher.failed(error),
    })
    this.#session.start()
  }

  get isFree(): boolean {
    return !this.#isLeaving && !this.#isGone && this.#session.isFree
  }

  /** Resolves when its first SETTINGS have come, or never will. */
  whenSettled(): Promise<void> {
    if (this.settings || this.#isGone) return Promise.resolve()
    return new Promise((resolve) => this.#onceSettled.push(resolve))
  }

  request(head: BridgedRequestHead, hasBody: boolean, handlers: ResponseHandlers): ServerRequest {
    const section = requestSection(head)
    const problem = head.isSound ? undefined : malformed(section, 'request')
    if (problem !== undefined) throw new Error(problem)
    const request = new Http2Request(handlers, this.#forRequests)
    this.#requests.add(request)
    request.begin(this.#session.request(section, !hasBody, head.sensitive ?? [], request))
    return request
  }

  close(): void {
    this.#isLeaving = true
    if (this.#requests.size > 0 || this.#isGone) return
    this.#session.output.control(writeGoAway(0, ERROR_CODE.noError))
    this.cut()
    this.#gone()
  }

  /** Tells the server that its client goes away, in the client's words. */
  goAway({ lastStreamId, code, debugData }: GoAway): void {
    this.#session.output.control(writeGoAway(lastStreamId, code, debugData))
  }

  /** Ends the session at once, and says nothing to the server. */
  cut(): void {
    this.#session.cut()
  }

  /** What a stream that broke with its connection ended by; undefined: the connection is there. */
  #failure(): ServerFailure | undefined {
    if (!this.#end) return undefined
    return { kind: this.#end.kind === 'error' ? 'lost' : 'closed' }
  }

  #endConnection(how: 'close' | 'reset'): void {
    if (how === 'reset') {
      this.#options.reset()
      return
    }
    this.#session.stopSending()
    this.#options.writer.end()
  }

  #onGoAway(goAway: GoAway): void {
    // With the last of all streams it only says that it will go.
    this.#isLeaving ||= goAway.lastStreamId < MAX_STREAM_ID
    this.#options.watcher.goAway(goAway)
    // Those that it has not looked at.
    for (const request of [...this.#requests]) {
      if ((request.streamId ?? Infinity) > goAway.lastStreamId) request.refuse()
    }
    this.#closeIfDone()
  }

  /** One that takes nothing more is closed behind what is under way. One whose end is the client's ends by itself. */
  #closeIfDone(): void {
    if (this.#isLeaving && this.#requests.size === 0 && !this.#options.watcher.isWatched()) this.close()
  }

  #ended(end: PumpEnd): void {
    this.#end ??= end
    this.#over(ERROR_CODE.internalError)
  }

  #broken(code: number): void {
    this.#session.output.control(writeGoAway(0, code))
    this.#over(code)
  }

  /** Ends what is under way: what has come of it is handed on first. */
  #over(code: number): void {
    this.#session.cut()
    this.#session.abortAll(code)
    this.#gone()
  }

  #settingsCame(settings: Http2Settings): void {
    this.settings = { ...this.settings, ...settings }
    this.#options.watcher.settingsCame()
    for (const resolve of this.#onceSettled.splice(0)) resolve()
  }

  #gone(): void {
    if (this.#isGone) return
    this.#isGone = true
    for (const resolve of this.#onceSettled.splice(0)) resolve()
    // Behind the ends of its streams, which are told in the next turns.
    setImmediate(() => {
      this.#options.watcher.gone(this.#end?.kind === 'error')
      this.#options.close()
    })
  }
}

/** What a request asks about its connection. */
interface RequestConnection {
  /** What a stream that broke with it ended by; undefined: it is there. */
  failure(): ServerFailure | undefined
  endConnection(how: 'close' | 'reset'): void
  /** Its stream is over. */
  closed(request: Http2Request): void
}

/** One request to a server. */
class Http2Request implements ServerRequest, ResponseStreamHandlers {
  readonly isKept = false
  readonly #handlers: ResponseHandlers
  readonly #connection: RequestConnection
  #stream: Http2Stream | undefined
  /** Whether nothing more of the response is told. */
  #isOver = false
  #isAborted = false

  constructor(handlers: ResponseHandlers, connection: RequestConnection) {
    this.#handlers = handlers
    this.#connection = connection
  }

  /** It has a stream, which may wait to be opened. */
  begin(stream: Http2Stream): void {
    this.#stream = stream
  }

  get stream(): Http2Stream {
    if (!this.#stream) throw new TypeError('The request has not begun')
    return this.#stream
  }

  get writer(): Http2Stream {
    return this.stream
  }

  get pump(): Http2Stream {
    return this.stream
  }

  get streamId(): number | undefined {
    return this.stream.id || undefined
  }

  end(trailers: readonly Field[]): void {
    this.stream.end(outgoing(trailers))
  }

  afterSent(done: () => void): void {
    this.stream.afterSent(done)
  }

  endConnection(how: 'close' | 'reset'): void {
    this.#connection.endConnection(how)
  }

  abort(code: number): void {
    this.#isOver = true
    this.#isAborted = true
    this.stream.discard()
    this.stream.close(code)
  }

  /** The server has not looked at it, and will not. */
  refuse(): void {
    this.#over(() => this.#handlers.failed({ kind: 'reset', code: ERROR_CODE.refusedStream }))
    this.abort(ERROR_CODE.cancel)
  }

  head(section: readonly Field[], endStream: boolean, sensitive: readonly string[]): void {
    if (this.#isOver) return
    const head = responseHead(section, sensitive)
    if (head.status < 200) {
      this.#handlers.interim(head)
      return
    }
    if (endStream) {
      this.#over(() => this.#handlers.head(head, true))
      return
    }
    const wait = this.#handlers.head(head, false)
    if (!isPromise(wait)) return
    const { stream } = this
    stream.hold()
    void wait.then(() => stream.release())
  }

  data(octets: Buffer): MaybePromise<void> {
    return this.#isOver ? undefined : this.#handlers.data(octets)
  }

  ended(trailers: readonly Field[]): void {
    this.#over(() => this.#handlers.end(trailers))
  }

  aborted(code: number): void {
    const { hasEnded, resetCode } = this.stream
    this.#over(() => this.#handlers.failed(this.#connection.failure() ?? { kind: 'reset', code }))
    if (hasEnded && resetCode !== undefined && !this.#isAborted) this.#handlers.closed?.(resetCode)
  }

  closed(): void {
    this.#connection.closed(this)
  }

  #over(tell: () => MaybePromise<void>): void {
    if (this.#isOver) return
    this.#isOver = true
    // What it fails with it has told the client itself.
    void tell()
  }
}
