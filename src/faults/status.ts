import { STATUS_CODES } from 'node:http'
import { types } from 'node:util'

import type { Field } from '../exchange.ts'
import type { Fault } from '../fault.ts'
import { checkOptions, invalidFault, optional, wholeNumber, show } from './check.ts'
import type { OptionCheck } from './check.ts'
import { fieldsOf, headerFields } from './field-checks.ts'
import type { FaultHeaders } from './field-checks.ts'

/** The options of {@link status}. */
export interface StatusOptions {
  /** When to try again, as `retry-after` says it: whole seconds, or a moment. */
  retryAfter?: number | Date | undefined
  /** Header fields. `content-type` is `text/plain` for a body unless named here. */
  headers?: FaultHeaders | undefined
  /** As it is sent. @defaultValue none */
  body?: string | Uint8Array | undefined
}

const isMoment: OptionCheck = (value) =>
  wholeNumber(0)(value) === undefined || (types.isDate(value) && !Number.isNaN(value.getTime()))
    ? undefined
    : 'a whole number of seconds from 0 on, or a Date'

const isBody: OptionCheck = (value) =>
  typeof value === 'string' || types.isUint8Array(value) ? undefined : 'a text or octets'

/**
 * Answers with a status, as an overloaded server or a gateway does. The server is not contacted.
 *
 * @param code - From 200 to 599.
 * @throws {@link MitmError} `MITM_INVALID_FAULT`, also for a body with 204 or 304, which have none.
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function overloadTheShop(mitm: TestMitm): void {
 *   mitm.get('https://shop.test/api/*').fault(faults.status(503, { retryAfter: 2 })).times(2)
 * }
 * ```
 */
export function status(code: number, options: StatusOptions = {}): Fault {
  const expected = wholeNumber(200, 599)(code)
  if (expected !== undefined) throw invalidFault('status', `code is ${show(code)}, expected ${expected}`)
  const {
    retryAfter,
    headers = {},
    body = '',
  } = checkOptions('status', options, {
    retryAfter: optional(isMoment),
    headers: optional(headerFields),
    body: optional(isBody),
  })
  const octets = Buffer.from(body)
  if (octets.length > 0 && (code === 204 || code === 304)) {
    throw invalidFault('status', `there is a body, expected none with ${code}`)
  }
  const given = fieldsOf(headers)
  const hasType = given.some(([name]) => name.toLowerCase() === 'content-type')
  const fields: readonly Field[] = [
    ...(octets.length > 0 && !hasType ? [['content-type', 'text/plain; charset=utf-8'] as const] : []),
    ...given,
    ...(retryAfter === undefined ? [] : [['retry-after', momentText(retryAfter)] as const]),
  ]
  const response = { status: code, statusText: STATUS_CODES[code] ?? '', fields, body: octets }
  return {
    name: 'status',
    text: `status ${code}${retryAfter === undefined ? '' : `, retry after ${momentText(retryAfter)}`}`,
    parts: [{ stage: 'answer', answer: { kind: 'respond', needsBody: false, response: () => response } }],
  }
}

/** RFC 9110 section 10.2.3. */
function momentText(moment: number | Date): string {
  return typeof moment === 'number' ? String(moment) : moment.toUTCString()
}
