/** What a session is made with, and whom it tells of what. */
import type { Readable, Writable } from 'node:stream'

import type { Side } from '../../errors.ts'
import type { Field } from '../../exchange.ts'
import type { MaybePromise } from '../../internal/maybe-promise.ts'
import type { PumpEnd } from '../../internal/pump.ts'
import type { GoAway } from './go-away.ts'
import type { Http2Settings } from './settings.ts'
import type { Http2Stream, StreamHandlers } from './stream.ts'

/** A stream that the other endpoint has opened. */
export interface OpenedStream {
  readonly stream: Http2Stream
  /** All fields, pseudo-fields among them. */
  readonly section: readonly Field[]
  /** The names of those that may be in no table. */
  readonly sensitive: readonly string[]
  /** Whether content or trailers may follow. */
  readonly hasBody: boolean
}

/** What comes of a request, beside its content. */
export interface ResponseStreamHandlers extends StreamHandlers {
  /** A head, interim ones among them. @param endStream - Whether nothing follows: `end` comes next. */
  head(section: readonly Field[], endStream: boolean, sensitive: readonly string[]): void
}

/** What a session lies on, and whom it tells. */
export interface SessionOptions {
  readonly reader: Readable
  readonly writer: Writable
  /** Whose octets are read. Towards a server, streams are opened here. */
  readonly from: Side
  readonly bufferSize: number
  /** What the other endpoint is told first. */
  readonly settings: Http2Settings
  /** Largest list of fields that is taken: longer ones are refused, stream by stream. */
  readonly maxListBytes: number
  /** What octets that have been read become. */
  hook(octets: Buffer): MaybePromise<Buffer>
  /** Octets have passed, in either direction. */
  touched(): void
  /** The other endpoint has opened a stream. */
  opened?(stream: OpenedStream): void
  /** The other endpoint has said something of itself. The first time it has said all that it will say at first. */
  settingsCame(settings: Http2Settings): void
  /** The endpoint wants no new streams. Nothing has been done about it. */
  goAway(goAway: GoAway): void
  /** Nothing more comes. What is under way may still be written. */
  ended(end: PumpEnd): void
  /** The endpoint broke the rules, and has been told so. Nothing more is read. */
  broken(error: Error, code: number): void
  /** A hook failed. */
  failed(error: unknown): void
}
