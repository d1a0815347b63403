/** The servers of a bridge, whichever version of HTTP they speak: what is sent to them, and what comes of it. */
import type { Field } from '../../exchange.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import type { Holdable } from '../../internal/pump.ts'
import type { OctetWriter } from '../../internal/writable.ts'
import type { GoAway } from './go-away.ts'

/** The head of a request on its way to a server, as HTTP/2 has it. */
export interface BridgedRequestHead {
  readonly method: string
  readonly scheme: string
  readonly authority: string
  /** Whether only a Host field says the authority. */
  readonly isByHost?: boolean | undefined
  readonly path: string
  /** Of an extended CONNECT (RFC 8441). */
  readonly protocol?: string | undefined
  readonly fields: readonly Field[]
  /** The names of fields that may be in no table. */
  readonly sensitive?: readonly string[] | undefined
  /** Whether a session has read it so, and found nothing wrong with it. */
  readonly isSound?: boolean | undefined
}

/** The head of a response on its way to the client. */
export interface BridgedResponseHead {
  readonly status: number
  readonly fields: readonly Field[]
  readonly sensitive?: readonly string[] | undefined
  /** As that of a request. */
  readonly isSound?: boolean | undefined
}

/** Why no more comes of a response. */
export type ServerFailure =
  /** RST_STREAM, with its code. */
  | { readonly kind: 'reset'; readonly code: number }
  /** The connection ended, or broke. */
  | { readonly kind: 'closed' | 'lost' }
  /** What came is no response. */
  | { readonly kind: 'malformed'; readonly reason: string }

/** Is told what comes of a request. After `end` and `failed`, nothing. It throws nothing, nor do its promises reject. */
export interface ResponseHandlers {
  interim(head: BridgedResponseHead): void
  /** @param isWhole - Whether nothing follows: `end` is not called then. */
  head(head: BridgedResponseHead, isWhole: boolean): MaybePromise<void>
  /** Until a promise that it returns has settled, nothing more is read. */
  data(octets: Buffer): MaybePromise<void>
  end(trailers: readonly Field[]): MaybePromise<void>
  failed(failure: ServerFailure): void
  /** The stream is gone behind the whole response, with this code: the server takes no more of the request. */
  closed?(code: number): void
}

/** A request that is on its way to a server. */
export interface ServerRequest {
  /** Takes the body. */
  readonly writer: OctetWriter
  /** What reads the response: held while its client has enough. */
  readonly pump: Holdable
  /** The stream that it has at the server, in HTTP/2. */
  readonly streamId: number | undefined
  /** Whether the connection had another request before, so that it may end at any time. */
  readonly isKept: boolean
  /** Calls `done` when what was written has been sent, or never will be. */
  afterSent(done: () => void): void
  /** The request is whole. */
  end(trailers: readonly Field[]): void
  /** Ends the connection to the server, with all that is under way on it: `close` sends no more, and reads on. */
  endConnection(how: 'close' | 'reset'): void
  /** Nobody wants a response any more. @param code - What RST_STREAM is to say. */
  abort(code: number): void
}

/** A server that requests can be sent to. */
export interface BridgeServer {
  /** The address that is really connected to. */
  readonly address: string
  /** Whether it takes another request now. */
  readonly isFree: boolean
  /**
   * Sends the head of a request.
   *
   * @param hasBody - Whether `writer` will be written to, or trailers follow.
   * @throws what the head cannot be sent for.
   */
  request(head: BridgedRequestHead, hasBody: boolean, handlers: ResponseHandlers): ServerRequest
  /** Lets go of it: what is under way ends first. */
  close(): void
}

/** What a server tells of its connection. */
export interface ServerWatcher {
  /** What octets that have been read become. */
  hook(octets: Buffer): MaybePromise<Buffer>
  /** Octets have passed, in either direction. */
  touched(): void
  /** A hook failed. */
  failed(error: unknown): void
  /** It has said something more of itself (RFC 9113 section 6.5). */
  settingsCame(): void
  /** It wants no more requests (RFC 9113 section 6.8). Those of streams beyond `lastStreamId` it has not looked at. */
  goAway(goAway: GoAway): void
  /** Whether its end is that of the client's connection. */
  isWatched(): boolean
  /** Its connection is over, after what was under way on it has been told so. @param isReset - Whether it broke. */
  gone(isReset: boolean): void
}
