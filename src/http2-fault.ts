/** What goes wrong with the frames of HTTP/2 on purpose: the words for it. What makes them is in `faults/`. */
import type { Field } from './http-message.ts'

/** What goes wrong with the frames of HTTP/2 (RFC 9113 section 6). No effect on exchanges of HTTP/1. */
export interface Http2Part {
  readonly stage: 'http2'
  readonly failure:
    /** GOAWAY to the client, which covers this exchange: it goes on, and the connection ends behind all that is under way. */
    | { readonly kind: 'goAway'; readonly code: number }
    /** Frames that the client waits for are held, as long as the exchange is under way and the fault is there. */
    | { readonly kind: 'withhold'; readonly frame: 'WINDOW_UPDATE' | 'PING' }
    /** SETTINGS to the client, for its connection, until the fault is gone. */
    | { readonly kind: 'settings'; readonly settings: Http2SettingValues }
    /** Frames in place of the response. */
    | { readonly kind: 'frames'; readonly frames: readonly FaultyHttp2Frame[] }
    /** Octets in place of the response, between two frames. */
    | { readonly kind: 'octets'; readonly octets: Buffer }
}

/** SETTINGS by the names of `node:http2`, with values that are legal. */
export type Http2SettingValues = Readonly<
  Partial<
    Record<
      'headerTableSize' | 'initialWindowSize' | 'maxFrameSize' | 'maxConcurrentStreams' | 'maxHeaderListSize',
      number
    >
  >
>

/** A frame that need not be legal (RFC 9113 section 4.1). */
export interface FaultyHttp2Frame {
  readonly type: number
  /** @defaultValue 0 */
  readonly flags?: number
  /** The stream of the exchange, or none (0), or the one this much above that of the exchange. @defaultValue `'exchange'` */
  readonly stream?: 'exchange' | 'connection' | { readonly above: number }
  /** @defaultValue none */
  readonly payload?: Buffer
  /** A field block behind `payload`, written as it is given. @defaultValue none */
  readonly fields?: readonly Field[]
  /** What its head says of its length. @defaultValue the truth */
  readonly length?: number
}

/** How a cut ends an exchange by HTTP/2; one by HTTP/1 ends with its connection, as the cut says. */
export type Http2Cut =
  /** RST_STREAM, which leaves the other exchanges of the connection alone. */
  | { readonly kind: 'reset'; readonly code: number }
  /**
   * GOAWAY, of which the exchange is beyond the last stream: `before` is the one before it, so that the client may send it
   * again. The connection ends behind all else that is under way.
   */
  | { readonly kind: 'goAway'; readonly code: number; readonly last: 'before' | number }
