import type { Fault } from '../fault.ts'
import { checkOptions, oneOf } from './check.ts'
import { cutFault } from './cut-options.ts'

/** The frames that can be withheld. */
const FRAMES = ['DATA', 'HEADERS', 'WINDOW_UPDATE', 'PING'] as const

/** The options of {@link http2Withhold}. */
export interface Http2WithholdOptions {
  /**
   * `'HEADERS'`: the server has its request, but nothing of the response comes. `'DATA'`: the head of the response comes, and
   * nothing behind it. `'WINDOW_UPDATE'`: the client may send no more of its request's body than it may at first.
   * `'PING'`: pings of the client are not answered while the exchange is under way.
   */
  frame: (typeof FRAMES)[number]
}

/**
 * Withholds frames that the client waits for. When the fault is removed they come after all, and everything goes on.
 *
 * In exchanges by HTTP/1 the response or its body is withheld alike; the other frames there are in HTTP/2 only.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 * @see RFC 9113 section 6: https://www.rfc-editor.org/rfc/rfc9113#section-6
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { Rule, TestMitm } from 'playwright-mitm/core'
 *
 * export function stallTheUpload(mitm: TestMitm): Rule {
 *   return mitm.post('https://shop.test/photos').fault(faults.http2Withhold({ frame: 'WINDOW_UPDATE' }))
 * }
 * ```
 */
export function http2Withhold(options: Http2WithholdOptions): Fault {
  const { frame } = checkOptions('http2Withhold', options, { frame: oneOf(...FRAMES) })
  const name = 'http2Withhold'
  const text = `${name} ${frame}`
  if (frame === 'WINDOW_UPDATE' || frame === 'PING') {
    return { name, text, parts: [{ stage: 'http2', failure: { kind: 'withhold', frame } }], http2: 'needed' }
  }
  const place = frame === 'DATA' ? { afterBytes: 0 } : { forward: true }
  const { parts } = cutFault(name, place, { end: 'stall', afterMs: 0 })
  return { name, text, parts, http2: 'wanted' }
}
