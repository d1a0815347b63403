import type { Fault } from '../fault.ts'

/**
 * Takes the `access-control-…` fields out of the response, so that pages of other origins may not read it. Where the
 * browser asks by a preflight first, that one fails if the rule matches `OPTIONS` too.
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
export function missingCors(): Fault {
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
