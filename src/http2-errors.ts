/** The error codes of HTTP/2 by name (RFC 9113 section 7), which RST_STREAM and GOAWAY carry. */

/** All of them. */
export const HTTP2_ERRORS = {
  NO_ERROR: 0,
  PROTOCOL_ERROR: 1,
  INTERNAL_ERROR: 2,
  FLOW_CONTROL_ERROR: 3,
  SETTINGS_TIMEOUT: 4,
  STREAM_CLOSED: 5,
  FRAME_SIZE_ERROR: 6,
  REFUSED_STREAM: 7,
  CANCEL: 8,
  COMPRESSION_ERROR: 9,
  CONNECT_ERROR: 10,
  ENHANCE_YOUR_CALM: 11,
  INADEQUATE_SECURITY: 12,
  HTTP_1_1_REQUIRED: 13,
} as const

/** The name of an error code of HTTP/2. */
export type Http2ErrorName = keyof typeof HTTP2_ERRORS

const NAMES: ReadonlyMap<number, string> = new Map(Object.entries(HTTP2_ERRORS).map(([name, code]) => [code, name]))

/** The name of an error code of HTTP/2, such as `REFUSED_STREAM`; one that nobody has defined is told in hexadecimal. */
export function http2ErrorName(code: number): string {
  return NAMES.get(code) ?? `0x${code.toString(16)}`
}
