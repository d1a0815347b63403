import type { Fault } from '../fault.ts'
import { HTTP2_ERRORS } from '../http2-errors.ts'
import { checkOptions, invalidFault, show } from './check.ts'
import { CUT_CHECKS, cutFault } from './cut-options.ts'
import type { CutOptions } from './cut-options.ts'
import { http2CodeCheck, http2CodeOf, http2CodeText } from './http2-code.ts'
import type { Http2Code } from './http2-code.ts'

export type { Http2Code } from './http2-code.ts'

/** The options of {@link http2Reset}. */
export type Http2ResetOptions = Omit<CutOptions, 'of'>

/**
 * Ends one stream of HTTP/2 by RST_STREAM, and leaves the other exchanges of the connection alone. An exchange by HTTP/1
 * ends with a TCP reset of its connection; but with `HTTP_1_1_REQUIRED` it goes well, as that is what it asks for.
 *
 * Without options the reset comes in place of the response, and the server is not contacted. Octets of the body are
 * counted as they are in DATA. A reset towards the server is told to the client as well.
 *
 * @param code - A number, or a name: `'REFUSED_STREAM'`.
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 * @see RFC 9113 section 6.4: https://www.rfc-editor.org/rfc/rfc9113#section-6.4
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function refuseUnderLoad(mitm: TestMitm): void {
 *   mitm.get('https://shop.test/api/*').fault(faults.http2Reset('ENHANCE_YOUR_CALM')).probability(0.1)
 * }
 * ```
 */
export function http2Reset(code: Http2Code, options: Http2ResetOptions = {}): Fault {
  const expected = http2CodeCheck(code)
  if (expected !== undefined) throw invalidFault('http2Reset', `code is ${show(code)}, expected ${expected}`)
  const { afterBytes, forward, side } = CUT_CHECKS
  const checked = checkOptions('http2Reset', options, { afterBytes, forward, side })
  const number = http2CodeOf(code)
  return cutFault('http2Reset', checked, {
    end: 'reset',
    afterMs: 0,
    label: `http2Reset ${http2CodeText(number)}`,
    http2: { kind: 'reset', code: number },
    demandsHttp2: number === HTTP2_ERRORS.HTTP_1_1_REQUIRED,
  })
}
