/** A server that speaks HTTP/2, as a bridge has it: a session of `node:http2`. */
import { connect, constants } from 'node:http2'
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders, Settings } from 'node:http2'
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
import { SessionStream } from './session-stream.ts'

/** Octets that may be under way on a connection in all its streams. */
export const CONNECTION_WINDOW_BYTES: number = 16 * 2 ** 20

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
  #isLeaving = false
  #hasTold = false

  constructor(options: Http2ServerOptions) {
    const { reader, writer, bufferSize, watcher, settings } = options
    this.#options = options
    this.address = options.address
    this.stream = new SessionStream({
      reader,
      writer,
      bufferSize,
      hook: (octets) => watcher.hook(octets),
      touched: () => watcher.touched(),
      failed: (error) => watcher.failed(error),
      ended: (end) => this.#ended(end),
    })
    // The authority is in each request; this one is never sent.
    const session = connect('http://server.invalid', {
      createConnection: () => this.stream,
      settings: { ...settings, enablePush: false },
      maxSessionMemory: 1024,
    })
    this.#session = session
    session.on('error', () => undefined)
    session.once('remoteSettings', (remote) => this.#settled(remote))
    session.once('close', () => this.#gone())
    session.on('goaway', (code, lastStreamId, debugData) => {
      this.#isLeaving = true
      watcher.goAway(code, lastStreamId, debugData ? Buffer.from(debugData) : Buffer.alloc(0))
    })
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
    const pseudo: Record<string, string> = isTunnel
      ? { ':method': method, ':authority': authority }
      : { ':method': method, ':scheme': scheme, ':authority': authority, ':path': path }
    if (protocol !== undefined) pseudo[':protocol'] = protocol
    const stream = this.#session.request(outgoing(pseudo, head.fields, head.sensitive), {
      endStream: !hasBody,
      waitForTrailers: hasBody,
    })
    return new Http2Request(stream, handlers, this.#options.bufferSize, () => this.#failure())
  }

  close(): void {
    this.#isLeaving = true
    if (!this.#session.destroyed) this.#session.close()
    else this.#options.close()
  }

  /** Tells the server that its client goes away, with the reason that the client gave. */
  goAway(code: number, debugData: Buffer): void {
    if (!this.#session.destroyed) this.#session.goaway(code, 0, debugData)
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

  #ended(end: PumpEnd): void {
    this.#end ??= end
    this.stream.cut()
    // With an error: without one, Node ends the streams as if their responses had come whole.
    if (!this.#session.destroyed) this.#session.destroy(new Error('The connection has ended'))
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

/** One request to a server. */
class Http2Request implements ServerRequest {
  readonly isKept = false
  readonly pump: Pump
  readonly #stream: ClientHttp2Stream
  readonly #handlers: ResponseHandlers
  readonly #failure: () => ServerFailure | undefined
  #trailers: readonly Field[] = []
  #responseTrailers: readonly Field[] = []
  #isOver = false
  #isAborted = false
  #isReading = false

  constructor(
    stream: ClientHttp2Stream,
    handlers: ResponseHandlers,
    bufferSize: number,
    failure: () => ServerFailure | undefined,
  ) {
    this.#stream = stream
    this.#handlers = handlers
    this.#failure = failure
    this.pump = new Pump(
      stream,
      {
        data: (octets) => handlers.data(octets),
        end: (end) => {
          // Others are told when the stream closes, with its code.
          if (end.kind === 'end') this.#over(() => handlers.end(this.#responseTrailers))
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

  abort(code: number): void {
    this.#isOver = true
    this.#isAborted = true
    this.pump.stop()
    if (!this.#stream.closed) this.#stream.close(code)
    this.#stream.resume()
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

  #onClose(): void {
    const { rstCode } = this.#stream
    if (this.#isOver) {
      if (!this.#isAborted) this.#handlers.closed?.(rstCode ?? constants.NGHTTP2_NO_ERROR)
      return
    }
    const failure = this.#failure() ?? { kind: 'reset', code: rstCode ?? constants.NGHTTP2_INTERNAL_ERROR }
    // What has come is handed on first: then the pump tells of the end.
    if (failure.kind === 'reset' && failure.code === 0 && this.#isReading) return
    this.#over(() => this.#handlers.failed(failure))
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
