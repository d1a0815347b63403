import type { Fault } from '../fault.ts'
import { invalidFault, oneOf } from './check.ts'
import { headFault, insertLines } from './head-edit.ts'

/** What is wrong with a head. See {@link malformedHead}. */
export type HeadFlaw = 'nul' | 'noColon' | 'obsFold' | 'spaceBeforeColon' | 'bareLf' | 'badVersion' | 'status9999'

const EDITS: Readonly<Record<HeadFlaw, (head: string) => string>> = {
  nul: (head) => insertLines(head, 'x-malformed: a\0b\r\n'),
  noColon: (head) => insertLines(head, 'x-malformed\r\n'),
  obsFold: (head) => insertLines(head, 'x-malformed: a\r\n b\r\n'),
  spaceBeforeColon: (head) => insertLines(head, 'x-malformed : a\r\n'),
  bareLf: (head) => head.replaceAll('\r\n', '\n'),
  badVersion: (head) => head.replace(/^HTTP\/[^ ]*/, 'HTTP/9.9'),
  status9999: (head) => head.replace(/(?<=^[^ ]* )\d+/, '9999'),
}

/**
 * Makes the head of the response one that breaks the grammar. Browsers forgive most of these; Node's clients none.
 *
 * @param flaw - `'nul'`: a NUL in a value. `'noColon'`: a line without a colon. `'obsFold'`: a value that goes on in a
 *   second line. `'spaceBeforeColon'`. `'bareLf'`: lines end with LF alone. `'badVersion'`: HTTP/9.9. `'status9999'`.
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 * @see RFC 9112 sections 2.2, 4 and 5: https://www.rfc-editor.org/rfc/rfc9112#section-5
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function answerLikeAnOldServer(mitm: TestMitm): void {
 *   mitm.get('https://old.test/*').fault(faults.malformedHead('spaceBeforeColon'))
 * }
 * ```
 */
export function malformedHead(flaw: HeadFlaw): Fault {
  const expected = oneOf(...Object.keys(EDITS))(flaw)
  if (expected !== undefined)
    throw invalidFault('malformedHead', `flaw is ${JSON.stringify(flaw)}, expected ${expected}`)
  return headFault('malformedHead', `malformedHead ${flaw}`, EDITS[flaw])
}
