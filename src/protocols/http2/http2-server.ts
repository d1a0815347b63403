/** A server that speaks HTTP/2, as a bridge has it: a session of `node:http2`. */
import { connect, constants } from 'node:http2'
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders, SessionOptions, Settings } from 'node:http2'
import type { Readable, Writable } from 'node:stream'

import type { Field } from '../../exchange.ts'
import { isPromise } from '../../internal/maybe-promise.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import { Pump } from '../../internal/pump.ts'
import type { PumpEnd } from '../../internal/pump.ts'
import { fieldsOf, outgoing, sensitiveNames } from './bridge-fields.ts'
import type {
  BridgedRequestHead,
  BridgedResponseHead,
  BridgeServer,
  ResponseHandlers,
  ServerFailure,
  ServerRequest,
  ServerWatcher,
} from './bridge-server.ts'
import { ERROR_CODE, MAX_STREAM_ID } from './frame.ts'
import type { FrameWatch, GoAway } from './frame-watch.ts'
import { writeGoAway } from './frame-write.ts'
import { SessionStream } from './session-stream.ts'

/** Octets that may be under way on a connection in all its streams. */
export const CONNECTION_WINDOW_BYTES: number = 16 * 2 ** 20

/** What sessions are limited to beyond what their SETTINGS say: in nothing that an endpoint might want. */
export const SESSION_LIMITS: SessionOptions = {
  maxHeaderListPairs: 8192,
  maxSendHeaderBlockLength: 16 * 2 ** 20,
  maxSessionMemory: 1024,
  maxSettings: 1024,
}

/** How a session with a server is made. */
export interface Http2ServerOptions {
  readonly reader: Readable
  readonly writer: Writable
  readonly address: string
  readonly bufferSize: number
  /** What the server is told of its client, in the client's place. */
  readonly settings: Settings
  readonly watcher: ServerWatcher
  /** Closes the connection. */
  close(): void
  /** Ends it with a reset. */
  reset(): void
}

/** A session with a server. */
export class Http2Server implements BridgeServer {
  readonly address: string
  /** Its first SETTINGS; undefined until they have come. */
  settings: Settings | undefined
  /** What passes to it: frames of other making may be put there. */
  readonly stream: SessionStream
  readonly #session: ClientHttp2Session
  readonly #options: Http2ServerOptions
  readonly #onceSettled: (() => void)[] = []
  /** How its connection ended. */
  #end: PumpEnd | undefined
  readonly #requests = new Set<Http2Request>()
  #isLeaving = false
  #hasTold = false

  constructor(options: Http2ServerOptions) {
    const { reader, writer, bufferSize, watcher, settings } = options
    this.#options = options
    this.address = options.address
    this.stream = new SessionStream({
      reader,
      writer,
      from: 'server',
      bufferSize,
      hook: (octets) => watcher.hook(octets),
      touched: () => watcher.touched(),
      failed: (error) => watcher.failed(error),
      goAway: (goAway) => this.#onGoAway(goAway),
      ended: (end) => this.#ended(end),
      broken: (error) => this.#broken(error),
    })
    // The authority is in each request; this one is never sent.
    const session = connect('http://server.invalid', {
      createConnection: () => this.stream,
      settings: { ...settings, enablePush: false },
      ...SESSION_LIMITS,
    })
    this.#session = session
    session.on('error', () => undefined)
    session.once('remoteSettings', (remote) => this.#settled(remote))
    session.once('close', () => this.#gone())
    session.once('connect', () => session.setLocalWindowSize(CONNECTION_WINDOW_BYTES))
  }

  get isFree(): boolean {
    return !this.#isLeaving && !this.#session.closed && !this.#session.destroyed
  }

  /** Resolves when its first SETTINGS have come, or never will. */
  whenSettled(): Promise<void> {
    if (this.settings || this.#hasTold) return Promise.resolve()
    return new Promise((resolve) => this.#onceSettled.push(resolve))
  }

  request(head: BridgedRequestHead, hasBody: boolean, handlers: ResponseHandlers): ServerRequest {
    const { method, scheme, authority, path, protocol } = head
    const isTunnel = method === 'CONNECT' && protocol === undefined
    const pseudo: Record<string, string> = { ':method': method }
    if (!head.isByHost) pseudo[':authority'] = authority
    if (!isTunnel) Object.assign(pseudo, { ':scheme': scheme, ':path': path })
    if (protocol !== undefined) pseudo[':protocol'] = protocol
    const stream = this.#session.request(outgoing(pseudo, head.fields, head.sensitive), {
      endStream: !hasBody,
      waitForTrailers: hasBody,
    })
    const request = new Http2Request(stream, handlers, this.#options.bufferSize, {
      watch: this.stream.watch,
      failure: () => this.#failure(),
      endConnection: (how) => this.#endConnection(how),
    })
    this.#requests.add(request)
    stream.once('close', () => {
      this.#requests.delete(request)
      this.#closeIfDone()
    })
    return request
  }

  close(): void {
    this.#isLeaving = true
    if (!this.#session.destroyed) this.#session.close()
    else this.#options.close()
  }

  /** Tells the server that its client goes away, in the client's words. */
  goAway({ lastStreamId, code, debugData }: GoAway): void {
    this.stream.gate.inject(writeGoAway(lastStreamId, code, debugData))
  }

  /** Ends the session at once, and says nothing to the server. */
  cut(): void {
    this.stream.cut()
    if (!this.#session.destroyed) this.#session.destroy()
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
    this.stream.stopSending()
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
    this.stream.cut()
    // With an error: without one, Node ends the streams as if their responses had come whole.
    if (!this.#session.destroyed) this.#session.destroy(new Error('The connection has ended'))
  }

  /** As the session does where it finds an error itself. */
  #broken(error: Error): void {
    this.stream.gate.inject(writeGoAway(0, ERROR_CODE.protocolError))
    this.stream.cut()
    if (!this.#session.destroyed) this.#session.destroy(error, ERROR_CODE.protocolError)
  }

  #settled(remote: Settings | undefined): void {
    this.settings = remote
    for (const resolve of this.#onceSettled.splice(0)) resolve()
  }

  #gone(): void {
    if (this.#hasTold) return
    this.#hasTold = true
    this.#settled(this.settings)
    // Behind the ends of its streams, which are told in the next turns.
    setImmediate(() => {
      this.#options.watcher.gone(this.#end?.kind === 'error')
      this.#options.close()
    })
  }
}

/** What a request asks about its connection. */
interface RequestConnection {
  /** How its streams end. */
  readonly watch: FrameWatch
  /** What a stream that broke with it ended by; undefined: it is there. */
  failure(): ServerFailure | undefined
  endConnection(how: 'close' | 'reset'): void
}

/** One request to a server. */
class Http2Request implements ServerRequest {
  readonly isKept = false
  readonly pump: Pump
  readonly #stream: ClientHttp2Stream
  readonly #handlers: ResponseHandlers
  readonly #connection: RequestConnection
  #trailers: readonly Field[] = []
  #responseTrailers: readonly Field[] = []
  #isOver = false
  #isAborted = false
  #isReading = false
  /** How the stream ended, once it has. */
  #closed: { readonly hasEnded: boolean; readonly resetCode: number | undefined } | undefined

  constructor(
    stream: ClientHttp2Stream,
    handlers: ResponseHandlers,
    bufferSize: number,
    connection: RequestConnection,
  ) {
    this.#stream = stream
    this.#handlers = handlers
    this.#connection = connection
    this.pump = new Pump(
      stream,
      {
        data: (octets) => handlers.data(octets),
        end: (end) => {
          // One that was reset without an error ends for Node as well.
          if (end.kind === 'end' && this.#hasEnded) this.#over(() => handlers.end(this.#responseTrailers))
          else this.#fail()
        },
        lost: () => undefined,
        failed: () => this.abort(constants.NGHTTP2_INTERNAL_ERROR),
      },
      bufferSize,
    )
    stream.on('error', () => undefined)
    stream.on('headers', (headers: IncomingHttpHeaders, _: number, raw?: string[]) =>
      handlers.interim(headOf(headers, raw)),
    )
    stream.once('response', (headers: IncomingHttpHeaders, flags: number, raw?: string[]) =>
      this.#onResponse(headOf(headers, raw), (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0),
    )
    stream.once('trailers', (headers: IncomingHttpHeaders, _: number, raw?: string[]) => {
      this.#responseTrailers = headOf(headers, raw).fields
    })
    stream.once('wantTrailers', () => stream.sendTrailers(outgoing({}, this.#trailers)))
    stream.once('close', () => this.#onClose())
  }

  get writer(): Writable {
    return this.#stream
  }

  get streamId(): number | undefined {
    return this.#stream.id
  }

  end(trailers: readonly Field[]): void {
    this.#trailers = trailers
    if (!this.#stream.writableEnded && !this.#stream.destroyed) this.#stream.end()
  }

  endConnection(how: 'close' | 'reset'): void {
    this.#connection.endConnection(how)
  }

  abort(code: number): void {
    this.#isOver = true
    this.#isAborted = true
    this.pump.stop()
    if (!this.#stream.closed) this.#stream.close(code)
    this.#stream.resume()
  }

  /** The server has not looked at it, and will not. */
  refuse(): void {
    this.#over(() => this.#handlers.failed({ kind: 'reset', code: constants.NGHTTP2_REFUSED_STREAM }))
    this.abort(constants.NGHTTP2_CANCEL)
  }

  #onResponse(head: BridgedResponseHead, isWhole: boolean): void {
    if (this.#isOver) return
    if (isWhole) {
      this.#over(() => this.#handlers.head(head, true))
      this.#stream.resume()
      return
    }
    const wait = this.#handlers.head(head, false)
    if (isPromise(wait)) {
      this.pump.hold()
      void wait.then(() => this.pump.release())
    }
    if (this.#isOver) return
    this.#isReading = true
    this.pump.start()
  }

  /** Whether all of the response has come. */
  get #hasEnded(): boolean {
    return this.#closed?.hasEnded ?? this.#connection.watch.hasEnded(this.streamId ?? 0)
  }

  #onClose(): void {
    const { watch } = this.#connection
    const streamId = this.streamId ?? 0
    const resetCode = watch.resetOf(streamId)
    this.#closed = { hasEnded: watch.hasEnded(streamId), resetCode }
    watch.forget(streamId)
    // What has come is handed on first: then the pump tells of the end.
    if (!this.#isReading) this.#fail()
    if (this.#closed.hasEnded && resetCode !== undefined && !this.#isAborted) this.#handlers.closed?.(resetCode)
  }

  #fail(): void {
    const reset = this.#closed ? this.#closed.resetCode : this.#connection.watch.resetOf(this.streamId ?? 0)
    const code = reset ?? this.#stream.rstCode ?? constants.NGHTTP2_INTERNAL_ERROR
    this.#over(() => this.#handlers.failed(this.#connection.failure() ?? { kind: 'reset', code }))
  }

  #over(tell: () => MaybePromise<void>): void {
    if (this.#isOver) return
    this.#isOver = true
    // What it fails with it has told the client itself.
    void tell()
  }
}

/** A head as it came. @param raw - Names and values, in order; `node:http2` has them beside the joined ones. */
function headOf(headers: IncomingHttpHeaders, raw: readonly string[] | undefined): BridgedResponseHead {
  const flat =
    raw ?? Object.entries(headers).flatMap(([name, value]) => [value].flat().flatMap((each) => [name, String(each)]))
  return { status: Number(headers[':status'] ?? 0), fields: fieldsOf(flat), sensitive: sensitiveNames(headers) }
}
