/** What is known of an exchange by HTTP/2 alone. */

/** RFC 9113 section 7, by their number. */
const ERROR_NAMES: readonly string[] = [
  'NO_ERROR',
  'PROTOCOL_ERROR',
  'INTERNAL_ERROR',
  'FLOW_CONTROL_ERROR',
  'SETTINGS_TIMEOUT',
  'STREAM_CLOSED',
  'FRAME_SIZE_ERROR',
  'REFUSED_STREAM',
  'CANCEL',
  'COMPRESSION_ERROR',
  'CONNECT_ERROR',
  'ENHANCE_YOUR_CALM',
  'INADEQUATE_SECURITY',
  'HTTP_1_1_REQUIRED',
]

/** The name of an error code of HTTP/2, such as `REFUSED_STREAM`; one that nobody has defined is told in hexadecimal. */
export function http2ErrorName(code: number): string {
  return ERROR_NAMES[code] ?? `0x${code.toString(16)}`
}

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
  /** The error code of a GOAWAY that the server sent while the exchange was under way, if it did. */
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
