import type { Field } from '../exchange.ts'
import type { Fault } from '../fault.ts'
import { checkOptions, optional } from './check.ts'
import { fieldValue } from './field-checks.ts'

/** The options of {@link wrongContentType}. */
export interface WrongContentTypeOptions {
  /** What `content-type` says. @defaultValue `'application/octet-stream'` */
  type?: string | undefined
}

/**
 * Labels the response as something else. Browsers then do not run a module, apply a style sheet or read an event stream.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function answerAPage(mitm: TestMitm): void {
 *   mitm.get('https://shop.test/api/*').fault(faults.wrongContentType({ type: 'text/html' }))
 * }
 * ```
 */
export function wrongContentType(options: WrongContentTypeOptions = {}): Fault {
  const { type = 'application/octet-stream' } = checkOptions('wrongContentType', options, {
    type: optional(fieldValue),
  })
  const wrong: Field = ['content-type', type]
  return {
    name: 'wrongContentType',
    text: `wrongContentType ${type}`,
    parts: [
      {
        stage: 'rewriteResponse',
        rewrite: {
          needsBody: false,
          apply: (message) => ({
            ...message,
            fields: [...message.fields.filter(([name]) => name.trim().toLowerCase() !== 'content-type'), wrong],
          }),
        },
      },
    ],
  }
}
