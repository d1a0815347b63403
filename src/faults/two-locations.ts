import type { Fault } from '../fault.ts'
import { refuseOptions } from './check.ts'
import { appendLines, headFault, valueOf } from './head-edit.ts'

/**
 * Gives the response two `location` fields that differ: one more if it has one, else both.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT` when it is given anything: it has no options.
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function redirectToTwoPlaces(mitm: TestMitm): void {
 *   mitm.get('https://shop.test/login').fault(faults.twoLocations())
 * }
 * ```
 */
export function twoLocations(...none: readonly never[]): Fault {
  refuseOptions('twoLocations', none)
  return headFault('twoLocations', 'twoLocations', (head) => {
    const first = valueOf(head, 'location') === undefined ? 'location: /first-location\r\n' : ''
    return appendLines(head, `${first}location: /second-location\r\n`)
  })
}
