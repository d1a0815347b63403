/** The request and the response of an exchange: the same words for every version of HTTP. */
import { MitmError } from './errors.ts'
import { decodeContent, parseJson } from './internal/content.ts'
import { Deferred } from './internal/deferred.ts'
import type { ReceivedEvent } from './internal/event-stream.ts'
import { EventsSoFar } from './internal/events-so-far.ts'
import { keepBehind, keepOctets, place } from './internal/slab.ts'

/** A header or trailer field, name and value as they were on the wire. */
export type Field = readonly [name: string, value: string]

/** The head of a request, parsed. */
export interface RequestHead {
  readonly method: string
  /** Absolute URL. */
  readonly url: string
  /** What stood in the request line. */
  readonly target: string
  /** `HTTP/1.1`. */
  readonly httpVersion: string
  readonly fields: readonly Field[]
}

/** The head of a response, parsed. */
export interface ResponseHead {
  readonly status: number
  readonly statusText: string
  /** `HTTP/1.1`. */
  readonly httpVersion: string
  readonly fields: readonly Field[]
}

/** Parses a head that was kept as octets, when somebody looks. */
export interface HeadParser<Head> {
  parse(octets: Buffer): Head
}

/** What most messages never need. */
interface Rare {
  trailers?: readonly Field[]
  decoded?: Buffer
  headers?: Readonly<Record<string, string>>
  whenComplete?: Deferred<boolean>
  whenOver?: Deferred<boolean>
  onAwaited?: () => void
  isReleased?: boolean
  /** Octets kept of the body that found no room behind the head. */
  more?: Buffer[]
  moreSize?: number
  onBody?: () => void
}

const NO_FIELDS: readonly Field[] = Object.freeze([])
const NO_OCTETS = Buffer.alloc(0)

/** A request or response: a head, which is parsed when somebody looks, and a body, of which octets are kept on demand. */
export abstract class HttpMessage<Head extends { readonly fields: readonly Field[]; readonly httpVersion: string }> {
  /** Octets of the body so far, transfer coding removed and content coding not. */
  bodySize = 0
  /** Whether body and trailers have come whole. */
  isComplete = false

  #isOver = false
  #limit = 0
  #head: Head | undefined
  #parser: (() => Head) | HeadParser<Head> | undefined
  /** The octets of the head, if it is still to be parsed, and behind them those kept of the body that found room. */
  #slab: Buffer = NO_OCTETS
  #at = 0
  #length = 0
  #headLength = 0
  #rare: Rare | undefined

  /**
   * @param head - The head; or what parses it when somebody looks.
   * @param octets - What a {@link HeadParser} is to parse. They are copied where they are few.
   */
  constructor(head: Head | (() => Head) | HeadParser<Head>, octets?: Buffer) {
    if (octets) {
      keepOctets(octets)
      this.#slab = place.slab
      this.#at = place.at
      this.#length = this.#headLength = octets.length
    }
    if (octets || typeof head === 'function') this.#parser = head as (() => Head) | HeadParser<Head>
    else this.#head = head as Head
  }

  protected get head(): Head {
    if (this.#head) return this.#head
    const parser = this.#parser
    const at = this.#at
    const head = typeof parser === 'function' ? parser() : parser?.parse(this.#slab.subarray(at, at + this.#headLength))
    if (!head) throw new TypeError('A message needs a head')
    this.#parser = undefined
    this.#head = head
    return head
  }

  get #rarely(): Rare {
    return (this.#rare ??= {})
  }

  /** How many octets of the body are kept. */
  protected get keptSize(): number {
    return this.#length - this.#headLength + (this.#rare?.moreSize ?? 0)
  }

  /** The fields after a chunked body. */
  get trailers(): readonly Field[] {
    return this.#rare?.trailers ?? NO_FIELDS
  }

  /** `HTTP/1.1`. */
  get httpVersion(): string {
    return this.head.httpVersion
  }

  /** The fields in order, as they were on the wire. */
  get fields(): readonly Field[] {
    return this.head.fields
  }

  /**
   * The fields by lower-case name; several of one name are joined by `, `, those of `cookie` by `; `, those of `set-cookie`
   * by a line feed.
   */
  get headers(): Readonly<Record<string, string>> {
    return (this.#rarely.headers ??= joinFields(this.fields))
  }

  /** The value of a field, by a name in any case. */
  header(name: string): string | undefined {
    return this.headers[name.toLowerCase()]
  }

  /** The octets kept of the body, content coding not removed. */
  get body(): Buffer {
    const first = this.#slab.subarray(this.#at + this.#headLength, this.#at + this.#length)
    const more = this.#rare?.more
    if (!more) return first
    if (more.length > 1) this.#rarely.more = [Buffer.concat(more)]
    const [rest = NO_OCTETS] = this.#rarely.more ?? []
    return first.length > 0 ? Buffer.concat([first, rest]) : rest
  }

  /** The octets kept of the body from an index on, in pieces; not copied. */
  protected keptFrom(index: number): readonly Buffer[] {
    const pieces: Buffer[] = []
    let end = this.keptSize
    // From behind: there may be many, and few of them new.
    const more = this.#rare?.more ?? []
    for (let at = more.length - 1; at >= 0 && end > index; at--) {
      const piece = more[at] ?? NO_OCTETS
      end -= piece.length
      pieces.unshift(piece.subarray(Math.max(0, index - end)))
    }
    const firstSize = this.#length - this.#headLength
    if (index < firstSize) {
      const from = this.#at + this.#headLength
      pieces.unshift(this.#slab.subarray(from + index, from + firstSize))
    }
    return pieces
  }

  /** Whether fewer octets were kept than passed. */
  get isBodyTruncated(): boolean {
    return this.keptSize < this.bodySize
  }

  /**
   * The body with its content coding (gzip, deflate, br) removed.
   *
   * @throws {@link MitmError} `MITM_BODY_TRUNCATED` when not all of it was kept or has come, `MITM_BODY_UNDECODABLE`
   *   when the octets are not what `content-encoding` says.
   */
  decodedBody(): Buffer {
    if (this.#rare?.decoded) return this.#rare.decoded
    if (this.isBodyTruncated || (!this.isComplete && this.header('content-encoding'))) {
      throw new MitmError(
        'MITM_BODY_TRUNCATED',
        `Cannot decode a body of which ${this.keptSize} of ${this.bodySize} octets were kept` +
          `${this.isComplete ? '' : ' and which is not complete'}; raise maxBodyBytes, or wait for the end`,
      )
    }
    const decoded = decodeContent(this.body, this.header('content-encoding'))
    if (this.isComplete) this.#rarely.decoded = decoded
    return decoded
  }

  /** The decoded body as text, in the charset of `content-type` (UTF-8 unless it says otherwise). @throws as `decodedBody` */
  text(): string {
    const charset = /charset\s*=\s*"?([\w-]+)/i.exec(this.header('content-type') ?? '')?.[1]
    return decodeText(this.decodedBody(), charset)
  }

  /** The decoded body as JSON. @throws as `decodedBody`, and `MITM_BODY_UNDECODABLE` when it is not JSON */
  json(): unknown {
    return parseJson(this.text())
  }

  /** Keeps octets of the body from now on, up to `limit` of them. Ask before the body passes: in `requestStarted`, say. */
  keepBody(limit: number): void {
    this.#limit = Math.max(this.#limit, limit)
  }

  /** Is told each time octets of the body have passed, with the message; `listener` must not throw. */
  watchBody(listener: (message: this) => void): void {
    const rare = this.#rarely
    const other = rare.onBody
    rare.onBody = () => {
      other?.()
      listener(this)
    }
  }

  /** Resolves when the message is whole (true), or will never be or is too large to wait for (false). */
  whenComplete(): Promise<boolean> {
    if (this.#isOver || this.isReleased) return Promise.resolve(this.isComplete)
    const rare = this.#rarely
    const { promise } = (rare.whenComplete ??= new Deferred())
    rare.onAwaited?.()
    return promise
  }

  /** For protocols: calls back when somebody waits for the whole message; at once where somebody does. */
  onAwaited(listener: () => void): void {
    this.#rarely.onAwaited = listener
    if (this.#rare?.whenComplete) listener()
  }

  /** Resolves when no more of the message will come, however large it is: whether it is whole. */
  whenOver(): Promise<boolean> {
    if (this.#isOver) return Promise.resolve(this.isComplete)
    return (this.#rarely.whenOver ??= new Deferred()).promise
  }

  /** Whether no more of it will come, though it is not whole. */
  get isBroken(): boolean {
    return this.#isOver && !this.isComplete
  }

  /** Whether waiting for the whole message was given up, since it is too large to be held. */
  get isReleased(): boolean {
    return this.#rare?.isReleased === true
  }

  /** For protocols: the message is too large to be held; {@link HttpMessage.whenComplete} tells `false` from now on. */
  release(): void {
    this.#rarely.isReleased = true
    this.#rare?.whenComplete?.resolve(false)
  }

  /** For protocols: octets of the body have passed. The message may keep `octets` itself, so nobody may write to it. */
  addBody(octets: Buffer): void {
    this.bodySize += octets.length
    const room = this.#limit - this.keptSize
    if (room > 0) this.#keep(octets.length <= room ? octets : octets.subarray(0, room))
    this.#rare?.onBody?.()
  }

  #keep(part: Buffer): void {
    if (this.#length === 0 && !this.#rare?.more) {
      keepOctets(part)
      this.#slab = place.slab
      this.#at = place.at
      this.#length = part.length
      return
    }
    if (!this.#rare?.more && keepBehind(this.#slab, this.#at + this.#length, part)) {
      this.#length += part.length
      return
    }
    const rare = this.#rarely
    rare.more ??= []
    rare.more.push(part)
    rare.moreSize = (rare.moreSize ?? 0) + part.length
  }

  /** For protocols: the message is whole, or (`false`) will never be. */
  finish(isComplete = true, trailers: readonly Field[] = NO_FIELDS): void {
    if (this.#isOver) return
    this.#isOver = true
    this.isComplete = isComplete
    if (trailers.length > 0) this.#rarely.trailers = trailers
    this.#rare?.whenComplete?.resolve(isComplete)
    this.#rare?.whenOver?.resolve(isComplete)
  }
}

/** The request of an exchange. */
export class HttpRequest extends HttpMessage<RequestHead> {
  get method(): string {
    return this.head.method
  }

  /** Absolute, as far as the client said where it goes. */
  get url(): string {
    return this.head.url
  }

  /** What stood in the request line. */
  get target(): string {
    return this.head.target
  }
}

/** The response of an exchange. */
export class HttpResponse extends HttpMessage<ResponseHead> {
  #events: EventsSoFar | undefined

  get status(): number {
    return this.head.status
  }

  /** The reason phrase; empty in HTTP/2. */
  get statusText(): string {
    return this.head.statusText
  }

  /** Whether its `content-type` is `text/event-stream`. */
  get isEventStream(): boolean {
    return /^text\/event-stream\s*(?:;|$)/i.test(this.header('content-type') ?? '')
  }

  /**
   * The server-sent events that have come so far, as clients read them: also while the response runs, and of a body in gzip,
   * deflate or br as far as it was flushed. What was not kept of the body (`isBodyTruncated`) is missing, and so are an event
   * of which the end has not come and those without data.
   *
   * @throws {@link MitmError} `MITM_BODY_UNDECODABLE` when the octets are not what `content-encoding` says.
   */
  events(): readonly ReceivedEvent[] {
    this.#events ??= new EventsSoFar()
    return this.#events.read(this.keptSize, (index) => this.keptFrom(index), this.header('content-encoding'))
  }
}

function joinFields(fields: readonly Field[]): Readonly<Record<string, string>> {
  const joined: Record<string, string> = Object.create(null) as Record<string, string>
  for (const [name, value] of fields) {
    const key = name.toLowerCase()
    const before = joined[key]
    joined[key] = before === undefined ? value : before + separatorOf(key) + value
  }
  return joined
}

/** What the values of several fields of one name are joined by. @param name - In lower case. */
export function separatorOf(name: string): string {
  if (name === 'set-cookie') return '\n'
  // HTTP/2 lets clients send one field for each of them (RFC 9113 section 8.2.3).
  return name === 'cookie' ? '; ' : ', '
}

function decodeText(octets: Buffer, charset: string | undefined): string {
  if (!charset || /^utf-?8$/i.test(charset)) return octets.toString('utf8')
  try {
    return new TextDecoder(charset).decode(octets)
  } catch {
    return octets.toString('utf8') // an unknown charset label: browsers fall back too
  }
}
