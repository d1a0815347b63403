/** A server that speaks HTTP/1.1, as a bridge has it: one request at a time on one connection. */
import { Writable } from 'node:stream'
import type { Readable } from 'node:stream'

import type { Field } from '../../exchange.ts'
import { isPromise } from '../../internal/maybe-promise.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import { Pump } from '../../internal/pump.ts'
import { afterRoom } from '../../internal/writable.ts'
import { lastChunk, writeChunk } from '../http1/chunked.ts'
import { Framer } from '../http1/framer.ts'
import type { Part } from '../http1/framer.ts'
import { parseResponseHead } from '../http1/head.ts'
import { withChunkedBody, writeRequestHead } from '../http1/write.ts'
import { http1RequestFields, http2Fields } from './bridge-fields.ts'
import { openingOf } from './http1-opening.ts'
import type { Http1Opening } from './http1-opening.ts'
import type {
  BridgedRequestHead,
  BridgeServer,
  ResponseHandlers,
  ServerFailure,
  ServerRequest,
  ServerWatcher,
} from './bridge-server.ts'

/** How a connection to a server is used. */
export interface Http1ServerOptions {
  readonly reader: Readable
  readonly writer: Writable
  readonly address: string
  readonly bufferSize: number
  readonly maxHeadBytes: number
  readonly watcher: Omit<ServerWatcher, 'goAway' | 'isWatched' | 'settingsCame'>
  /** Closes the connection. */
  close(): void
  /** Ends it with a reset. */
  reset(): void
}

/** What is under way on the connection. */
interface Current {
  readonly method: string
  readonly handlers: ResponseHandlers
  readonly body: BodyWriter
  /** How it asks for a tunnel, if it does. */
  readonly opening: Http1Opening | undefined
  /** Whether it has become one: octets pass both ways. */
  isTunnel: boolean
}

/** A connection to a server. */
export class Http1Server implements BridgeServer {
  readonly address: string
  readonly #options: Http1ServerOptions
  #requestCount = 0
  readonly #pump: Pump
  readonly #framer: Framer
  #current: Current | undefined
  #keepsAlive = true
  #isGone = false
  /** Whether the server sends nothing more. */
  #hasEnded = false

  constructor(options: Http1ServerOptions) {
    const { reader, bufferSize, maxHeadBytes, watcher } = options
    this.#options = options
    this.address = options.address
    this.#framer = new Framer({ kind: 'response', maxHeadBytes, requestMethod: () => this.#current?.method })
    this.#pump = new Pump(
      reader,
      {
        data: (chunk) => {
          watcher.touched()
          const octets = watcher.hook(chunk)
          return isPromise(octets) ? octets.then((hooked) => this.#take(hooked)) : this.#take(octets)
        },
        end: (end) => {
          this.#hasEnded = true
          if (end.kind === 'end') this.#framer.end()
          void Promise.resolve(end.kind === 'end' ? this.#read() : undefined).then(() =>
            this.#gone(end.kind === 'error'),
          )
        },
        lost: () => this.#gone(true),
        failed: (error) => {
          watcher.failed(error)
          this.#gone(true)
        },
      },
      bufferSize,
    )
    this.#pump.start()
  }

  get isFree(): boolean {
    return !this.#isGone && this.#keepsAlive && this.#current === undefined
  }

  request(head: BridgedRequestHead, hasBody: boolean, handlers: ResponseHandlers): ServerRequest {
    this.#requestCount++
    const plain = withConnectionOfTe(http1RequestFields(head.fields, head.authority))
    const opening = openingOf(head, plain)
    const hasLength = plain.some(([name]) => name.toLowerCase() === 'content-length')
    const isChunked = hasBody && !hasLength && !opening
    const { method, target, fields } = opening ?? {
      method: head.method,
      target: head.path,
      fields: isChunked ? withChunkedBody(plain) : plain,
    }
    const { writer } = this.#options
    writer.write(writeRequestHead({ method, target, fields }))
    const body = new BodyWriter(writer, opening ? 'tunnel' : isChunked ? 'chunked' : 'length')
    const current: Current = { method, handlers, body, opening, isTunnel: false }
    this.#current = current
    if (!hasBody) body.end()
    return {
      writer: body,
      pump: this.#pump,
      streamId: undefined,
      isKept: this.#requestCount > 1,
      afterSent: (done) => body.afterSent(done),
      end: (trailers) => body.finish(trailers),
      endConnection: (how) => {
        if (how === 'close') writer.end()
        else this.#options.reset()
      },
      abort: () => {
        if (this.#current !== current) return
        this.#current = undefined
        // The first way counts.
        this.#options.reset()
        this.#gone(true)
      },
    }
  }

  close(): void {
    this.#keepsAlive = false
    if (!this.#current) this.#options.close()
  }

  #take(octets: Buffer): MaybePromise<void> {
    this.#framer.push(octets)
    return this.#read()
  }

  #read(): MaybePromise<void> {
    while (!this.#isGone) {
      const part = this.#framer.read()
      if (!part) break
      const wait = this.#onPart(part)
      if (isPromise(wait)) return wait.then(() => this.#read())
    }
    return undefined
  }

  #onPart(part: Part): MaybePromise<void> {
    const current = this.#current
    if (current?.isTunnel) return part.kind === 'opaque' ? current.handlers.data(part.octets) : undefined
    // What came is a part of a response: that it ended is what is wrong with it, and told by that.
    if (part.kind === 'opaque' && this.#hasEnded) return undefined
    if (!current || part.kind === 'opaque') {
      this.#fail({ kind: 'malformed', reason: part.kind === 'opaque' ? part.reason : 'a response without a request' })
      return undefined
    }
    const { handlers } = current
    if (part.kind === 'body') return this.#content(handlers, part.content)
    if (part.kind === 'end') return this.#over(current, http2Fields(part.trailers))
    const { status, fields } = parseResponseHead(part.octets)
    const problem = unspeakable(fields)
    if (problem !== undefined) {
      this.#fail({ kind: 'malformed', reason: problem })
      return undefined
    }
    if (status < 200 && status !== 101) {
      handlers.interim({ status, fields: http2Fields(fields) })
      return undefined
    }
    const opened = current.opening?.opened(status, fields)
    if (opened?.kind === 'tunnel') {
      current.isTunnel = true
      this.#keepsAlive = false
      return handlers.head(opened.head, false)
    }
    if (opened?.kind === 'malformed' || status === 101) {
      const reason = opened?.kind === 'malformed' ? opened.reason : 'it switches protocols, which nobody asked for'
      this.#fail({ kind: 'malformed', reason })
      return undefined
    }
    this.#keepsAlive &&= part.facts.keepsAlive && !part.facts.isCloseDelimited
    return handlers.head({ status, fields: http2Fields(fields) }, false)
  }

  #content(handlers: ResponseHandlers, slices: readonly Buffer[]): MaybePromise<void> {
    let wait: MaybePromise<void> = undefined
    for (const slice of slices) {
      if (isPromise(wait)) wait = wait.then(() => handlers.data(slice))
      else wait = handlers.data(slice)
    }
    return wait
  }

  #over(current: Current, trailers: readonly Field[]): MaybePromise<void> {
    const done = current.handlers.end(trailers)
    const settle = (): void => {
      this.#current = undefined
      // A request that is still being sent belongs to nobody now.
      if (!current.body.writableEnded) this.#keepsAlive = false
      if (!this.#keepsAlive) this.#options.close()
    }
    return isPromise(done) ? done.then(settle) : settle()
  }

  #fail(failure: ServerFailure): void {
    const current = this.#current
    this.#current = undefined
    current?.handlers.failed(failure)
    if (failure.kind !== 'malformed') return
    this.#options.reset()
    this.#gone(true)
  }

  #gone(isReset: boolean): void {
    if (this.#isGone) return
    this.#isGone = true
    this.#pump.stop()
    const current = this.#current
    if (current?.isTunnel && !isReset) {
      // So a tunnel ends. Never rejects.
      this.#current = undefined
      void current.handlers.end([])
    } else this.#fail({ kind: isReset ? 'lost' : 'closed' })
    this.#options.watcher.gone(isReset)
    this.#options.close()
  }
}

/** What of these fields HTTP/2 has no way to say (RFC 9113 section 8.2.1). */
function unspeakable(fields: readonly Field[]): string | undefined {
  for (const [name, value] of fields) {
    if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name)) return `${JSON.stringify(name)} is no name of a field`
    if (/[\0\r\n]/.test(value)) return `the value of the field ${name} has a control character in it`
  }
  return undefined
}

/** TE is about one connection, and must be said to be (RFC 9110 section 10.1.4). */
function withConnectionOfTe(fields: readonly Field[]): readonly Field[] {
  return fields.some(([name]) => name === 'te') ? [...fields, ['connection', 'TE']] : fields
}

/** The body of a request: in chunks, or as its length says; or octets of a tunnel, whose end is that of the connection. */
class BodyWriter extends Writable {
  readonly #writer: Writable
  readonly #kind: 'chunked' | 'length' | 'tunnel'
  #trailers: readonly Field[] = []

  constructor(writer: Writable, kind: 'chunked' | 'length' | 'tunnel') {
    super()
    this.#writer = writer
    this.#kind = kind
    this.on('error', () => undefined)
  }

  finish(trailers: readonly Field[]): void {
    this.#trailers = trailers
    if (!this.writableEnded) this.end()
  }

  afterSent(done: () => void): void {
    if (this.writableLength === 0 || this.writableEnded || this.destroyed) done()
    else this.write('', () => done())
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    if (this.#isDeaf) {
      done()
      return
    }
    this.#writer.write(this.#kind === 'chunked' ? writeChunk(chunk) : chunk)
    afterRoom(this.#writer, done)
  }

  override _final(done: (error?: Error | null) => void): void {
    if (!this.#isDeaf && this.#kind === 'chunked') this.#writer.write(lastChunk(this.#trailers))
    if (!this.#isDeaf && this.#kind === 'tunnel') this.#writer.end()
    done()
  }

  get #isDeaf(): boolean {
    return this.#writer.destroyed || this.#writer.writableEnded
  }
}
