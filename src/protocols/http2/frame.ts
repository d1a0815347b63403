/** The words of HTTP/2's framing layer (RFC 9113 sections 3.4, 4.1, 6). */

/** What a client sends before its first frame. */
export const PREFACE: Buffer = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

/** Octets of a frame before its payload. */
export const FRAME_HEAD_BYTES = 9

/** The longest payload that an endpoint takes unless its SETTINGS say otherwise. */
export const DEFAULT_MAX_FRAME_BYTES = 16_384

/** How much may be sent before there is word of more room, unless SETTINGS say otherwise (RFC 9113 section 6.9.2). */
export const DEFAULT_WINDOW_BYTES = 65_535

/** What an HPACK table may hold unless SETTINGS say otherwise. */
export const DEFAULT_TABLE_BYTES = 4096

/** The last of all streams, by which a GOAWAY says that it will say later which one is the last (RFC 9113 section 6.8). */
export const MAX_STREAM_ID: number = 2 ** 31 - 1

/** Frame types. The last one is of RFC 9218. */
export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goAway: 7,
  windowUpdate: 8,
  continuation: 9,
  priorityUpdate: 16,
} as const

/** Flags. What `1` means depends on the type of the frame. */
export const FLAG = {
  endStream: 0x1,
  ack: 0x1,
  endHeaders: 0x4,
  padded: 0x8,
  priority: 0x20,
} as const

/** Identifiers of settings. The last one is of RFC 8441. */
export const SETTING = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
  enableConnectProtocol: 8,
} as const

/** Error codes (RFC 9113 section 7), which RST_STREAM and GOAWAY carry. */
export const ERROR_CODE = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  connectError: 10,
  enhanceYourCalm: 11,
  inadequateSecurity: 12,
  http11Required: 13,
} as const
