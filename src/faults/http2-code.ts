/** Error codes of HTTP/2, by number or by name. */
import { HTTP2_ERRORS } from '../http2-errors.ts'
import type { Http2ErrorName } from '../http2-errors.ts'
import type { OptionCheck } from './check.ts'

/** An error code: any number of 32 bits is legal, and what nobody has defined too. */
export type Http2Code = number | Http2ErrorName

const LARGEST = 2 ** 32 - 1

/** An error code. */
export const http2CodeCheck: OptionCheck = (value) => {
  const code = typeof value === 'string' && Object.hasOwn(HTTP2_ERRORS, value) ? 0 : value
  return typeof code === 'number' && Number.isInteger(code) && code >= 0 && code <= LARGEST
    ? undefined
    : `a whole number from 0 to ${LARGEST} or one of ${Object.keys(HTTP2_ERRORS).join(', ')}`
}

/** The number of an error code that was checked. */
export function http2CodeOf(code: Http2Code): number {
  return typeof code === 'string' ? HTTP2_ERRORS[code] : code
}

/** `7 (REFUSED_STREAM)`. */
export function http2CodeText(code: number): string {
  const name = Object.entries(HTTP2_ERRORS).find(([, number]) => number === code)?.[0]
  return name === undefined ? String(code) : `${code} (${name})`
}
