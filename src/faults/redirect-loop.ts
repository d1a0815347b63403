import { STATUS_CODES } from 'node:http'

import type { Fault } from '../fault.ts'
import { checkOptions, optional } from './check.ts'

/** The options of {@link redirectLoop}. */
export interface RedirectLoopOptions {
  /**
   * 301, 302, 303, 307 or 308. After the first three clients repeat a POST as a GET, which the rule must match too for
   * the loop to be one.
   *
   * @defaultValue 302
   */
  status?: 301 | 302 | 303 | 307 | 308 | undefined
}

const STATUSES: readonly unknown[] = [301, 302, 303, 307, 308]

/**
 * Redirects each request to itself. The server is not contacted.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function redirectForEver(mitm: TestMitm): void {
 *   mitm.get('https://shop.test/login').fault(faults.redirectLoop())
 * }
 * ```
 */
export function redirectLoop(options: RedirectLoopOptions = {}): Fault {
  const { status = 302 } = checkOptions('redirectLoop', options, {
    status: optional((value) => (STATUSES.includes(value) ? undefined : STATUSES.join(', '))),
  })
  const statusText = STATUS_CODES[status] ?? ''
  return {
    name: 'redirectLoop',
    text: `redirectLoop with ${status}`,
    parts: [
      {
        stage: 'answer',
        answer: {
          kind: 'respond',
          needsBody: false,
          response: ({ request }) => ({
            status,
            statusText,
            // A browser keeps 301 and 308 for ever, and would not come back.
            fields: [
              ['location', request.url],
              ['cache-control', 'no-store'],
            ],
            body: Buffer.alloc(0),
          }),
        },
      },
    ],
  }
}
