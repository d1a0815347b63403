import type { Side } from '../errors.ts'
import type { Fault } from '../fault.ts'
import { checkOptions, octetCount, oneOf, optional, sideName, yesOrNo } from './check.ts'
import { cutText } from './cut-text.ts'

/** The options of {@link resetPeer}. */
export interface ResetPeerOptions {
  /** Octets that pass before. @defaultValue none: the reset is in place of the whole message */
  afterBytes?: number | undefined
  /** What `afterBytes` counts: octets behind the head, or from the first of the head on. @defaultValue `'body'` */
  of?: 'body' | 'message' | undefined
  /** For a reset in place of the response: whether the server gets the request first. @defaultValue `false` */
  forward?: boolean | undefined
  /** Towards whom. @defaultValue `'client'` */
  side?: Side | undefined
}

/**
 * Breaks the connection with a TCP reset (RST), as a process that dies or a firewall does.
 *
 * Without options the reset comes in place of the response, when the request has come whole, and the server is not
 * contacted; with `forward: true` the server does its work and only the response is lost.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function loseTheReceipt(mitm: TestMitm): void {
 *   mitm.post('https://pay.test/charge').fault(faults.resetPeer({ forward: true })).once()
 * }
 * ```
 */
export function resetPeer(options: ResetPeerOptions = {}): Fault {
  const {
    afterBytes,
    of = 'body',
    forward = false,
    side = 'client',
  } = checkOptions('resetPeer', options, {
    afterBytes: optional(octetCount),
    of: optional(oneOf('body', 'message')),
    forward: optional(yesOrNo),
    side: optional(sideName),
  })
  return {
    name: 'resetPeer',
    text: cutText('resetPeer', { afterBytes, of, forward, side }),
    parts: [
      {
        stage: 'cut',
        side,
        afterBytes,
        countsHead: of === 'message',
        forwards: forward,
        end: 'reset',
        afterMs: 0,
      },
    ],
  }
}
