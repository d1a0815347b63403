/** Interim responses that nobody asked for. */
import type { Fault } from '../fault.ts'
import { refuseOptions } from './check.ts'
import { headFault } from './head-edit.ts'

/**
 * Sends `100 Continue` in front of the response to a request that expects none. RFC 9110 section 15.2 bids clients to
 * take it; some do not.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT` when it is given anything: it has no options.
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function sayContinueUnasked(mitm: TestMitm): void {
 *   mitm.get('https://shop.test/api/*').fault(faults.unsolicited100())
 * }
 * ```
 */
export function unsolicited100(...none: readonly never[]): Fault {
  refuseOptions('unsolicited100', none)
  return headFault('unsolicited100', 'unsolicited100', (head) => `HTTP/1.1 100 Continue\r\n\r\n${head}`)
}

/**
 * Sends `101 Switching Protocols` in front of the response to a request that asked for no other protocol, and closes the
 * connection behind the response.
 *
 * @see RFC 9110 section 15.2.2: https://www.rfc-editor.org/rfc/rfc9110#section-15.2.2
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function switchProtocolsUnasked(mitm: TestMitm): void {
 *   mitm.get('https://shop.test/api/*').fault(faults.unsolicited101())
 * }
 * ```
 */
export function unsolicited101(...none: readonly never[]): Fault {
  refuseOptions('unsolicited101', none)
  const interim = 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: unsolicited\r\n\r\n'
  return headFault('unsolicited101', 'unsolicited101', (head) => interim + head, { closes: true })
}
