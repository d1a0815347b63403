import type { Fault } from '../fault.ts'
import { HTTP2_ERRORS } from '../http2-errors.ts'
import { checkOptions, invalidFault, optional, wholeNumber } from './check.ts'
import type { OptionCheck } from './check.ts'
import { CUT_CHECKS, cutFault } from './cut-options.ts'
import { http2CodeCheck, http2CodeOf, http2CodeText } from './http2-code.ts'
import type { Http2Code } from './http2-code.ts'

/** The options of {@link http2GoAway}. */
export interface Http2GoAwayOptions {
  /** A number, or a name: `'ENHANCE_YOUR_CALM'`. @defaultValue `'NO_ERROR'` */
  code?: Http2Code | undefined
  /**
   * The last stream that is answered. `'this'`: that of the exchange, which goes on. `'before'`: the one before it, so that
   * the exchange gets no response, and the client may send it again on another connection. Or its number: 0 is none.
   *
   * @defaultValue `'this'`
   */
  lastStream?: 'this' | 'before' | number | undefined
  /** Octets of the response's body that pass before. Not with `'this'`. @defaultValue none: it is in place of the response */
  afterBytes?: number | undefined
  /** Whether the server gets the request all the same. Not with `'this'`, where it does. @defaultValue `false` */
  forward?: boolean | undefined
}

const largest = wholeNumber(0, 2 ** 31 - 1)

const lastStreamCheck: OptionCheck = (value) => {
  if (value === 'this' || value === 'before') return undefined
  const expected = largest(value)
  return expected && `"this" or "before" or ${expected}`
}

/**
 * Takes leave of a connection of HTTP/2 by GOAWAY: the client opens no more streams on it, and it ends when what is under
 * way is over. All exchanges on streams beyond the last one end without a response, not only the one of the rule.
 *
 * An exchange by HTTP/1 whose response would not come ends with its connection (FIN); but with `HTTP_1_1_REQUIRED`, and
 * with `lastStream: 'this'`, it goes well.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 * @see RFC 9113 section 6.8: https://www.rfc-editor.org/rfc/rfc9113#section-6.8
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function restartTheServer(mitm: TestMitm): void {
 *   mitm.get('https://shop.test/api/stock').fault(faults.http2GoAway({ lastStream: 'before' })).once()
 * }
 * ```
 */
export function http2GoAway(options: Http2GoAwayOptions = {}): Fault {
  const {
    code = 'NO_ERROR',
    lastStream = 'this',
    afterBytes,
    forward,
  } = checkOptions('http2GoAway', options, {
    code: optional(http2CodeCheck),
    lastStream: optional(lastStreamCheck),
    afterBytes: CUT_CHECKS.afterBytes,
    forward: CUT_CHECKS.forward,
  })
  const number = http2CodeOf(code)
  const name = 'http2GoAway'
  const label = `${name} ${http2CodeText(number)}, the last stream is`
  if (lastStream === 'this') {
    if (afterBytes !== undefined || forward !== undefined) {
      const option = afterBytes === undefined ? 'forward' : 'afterBytes'
      throw invalidFault(name, `${option} is ${afterBytes ?? forward}, expected it only if the stream gets no response`)
    }
    return {
      name,
      text: `${label} this`,
      parts: [{ stage: 'http2', failure: { kind: 'goAway', code: number } }],
      http2: 'needed',
    }
  }
  return cutFault(
    name,
    { afterBytes, forward },
    {
      end: 'close',
      afterMs: 0,
      label: `${label} ${lastStream === 'before' ? 'the one before' : lastStream},`,
      http2: { kind: 'goAway', code: number, last: lastStream },
      demandsHttp2: number === HTTP2_ERRORS.HTTP_1_1_REQUIRED,
    },
  )
}
