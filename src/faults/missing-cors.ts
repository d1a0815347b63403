import type { Fault } from '../fault.ts'
import { refuseOptions } from './check.ts'

/**
 * Takes the `access-control-…` fields out of the response, so that pages of other origins may not read it. Where the
 * browser asks by a preflight first, that one fails if the rule matches `OPTIONS` too.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT` when it is given anything: it has no options.
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function forgetCors(mitm: TestMitm): void {
 *   mitm.when('https://api.test/**').fault(faults.missingCors())
 * }
 * ```
 */
export function missingCors(...none: readonly never[]): Fault {
  refuseOptions('missingCors', none)
  return {
    name: 'missingCors',
    text: 'missingCors',
    parts: [
      {
        stage: 'rewriteResponse',
        rewrite: {
          needsBody: false,
          apply: (message) => ({
            ...message,
            fields: message.fields.filter(([name]) => !/^access-control-/i.test(name.trim())),
          }),
        },
      },
    ],
  }
}
