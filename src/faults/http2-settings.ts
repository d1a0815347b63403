import type { Fault, Http2SettingValues } from '../fault.ts'
import { checkOptions, invalidFault, optional, wholeNumber } from './check.ts'

/** The options of {@link http2Settings}: at least one. What is not given stays as it is. */
export interface Http2SettingsOptions {
  /** How many streams may be open at once; those that are open stay. */
  maxConcurrentStreams?: number | undefined
  /** Octets of a request's body that may be sent before the next WINDOW_UPDATE; 0 to 2147483647. */
  initialWindowSize?: number | undefined
  /** Octets of the longest frame that the client may send; 16384 to 16777215. */
  maxFrameSize?: number | undefined
  /** Octets of the field table that the client may keep. */
  headerTableSize?: number | undefined
  /** Octets of the largest head that is taken; only an advice. */
  maxHeaderListSize?: number | undefined
}

const LARGEST = 2 ** 32 - 1

/**
 * Tells the client other SETTINGS of HTTP/2, when its request has come: they are for its whole connection, from then on,
 * until the fault is removed. The exchange itself goes well, unless it waits for what it may not do any more. No effect on
 * exchanges by HTTP/1.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 * @see RFC 9113 section 6.5.2: https://www.rfc-editor.org/rfc/rfc9113#section-6.5.2
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { Rule, TestMitm } from 'playwright-mitm/core'
 *
 * export function oneByOne(mitm: TestMitm): Rule {
 *   return mitm.when('https://shop.test/**').fault(faults.http2Settings({ maxConcurrentStreams: 1 }))
 * }
 * ```
 */
export function http2Settings(options: Http2SettingsOptions): Fault {
  const checked = checkOptions('http2Settings', options, {
    maxConcurrentStreams: optional(wholeNumber(0, LARGEST)),
    initialWindowSize: optional(wholeNumber(0, 2 ** 31 - 1)),
    maxFrameSize: optional(wholeNumber(2 ** 14, 2 ** 24 - 1)),
    headerTableSize: optional(wholeNumber(0, LARGEST)),
    maxHeaderListSize: optional(wholeNumber(0, LARGEST)),
  })
  const given = Object.entries(checked).filter(([, value]) => value !== undefined)
  if (given.length === 0) throw invalidFault('http2Settings', 'it was given no setting, expected at least one')
  // Boundary: the names are those that were checked.
  const settings = Object.fromEntries(given) as Http2SettingValues
  return {
    name: 'http2Settings',
    text: `http2Settings ${given.map(([name, value]) => `${name} ${value}`).join(', ')}`,
    parts: [{ stage: 'http2', failure: { kind: 'settings', settings } }],
    http2: 'needed',
  }
}
