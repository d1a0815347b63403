/** What is known of an exchange by HTTP/2 alone. */
import { http2ErrorName } from './http2-errors.ts'

/** The stream of an exchange by HTTP/2. */
export class Http2Facts {
  /** Its number, on the connection of the client. */
  readonly streamId: number
  /** Whether the server answered without having been asked (server push, RFC 9113 section 8.4). */
  readonly isPushed: boolean
  /** What an extended CONNECT asked for, such as `websocket` (RFC 8441), if it is one. */
  protocol: string | undefined
  /** The error code with which the stream was reset (RST_STREAM), if it was: `endReason` says by whom. */
  resetCode: number | undefined
  /** The error code of a GOAWAY that the client was sent while the exchange was under way, by its server or by a fault. */
  goAwayCode: number | undefined

  constructor(streamId: number, isPushed = false) {
    this.streamId = streamId
    this.isPushed = isPushed
  }

  /** The name of `resetCode`: `CANCEL`. */
  get resetName(): string | undefined {
    return this.resetCode === undefined ? undefined : http2ErrorName(this.resetCode)
  }

  /** The name of `goAwayCode`: `NO_ERROR`. */
  get goAwayName(): string | undefined {
    return this.goAwayCode === undefined ? undefined : http2ErrorName(this.goAwayCode)
  }
}
