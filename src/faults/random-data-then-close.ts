import { createHash } from 'node:crypto'

import type { Fault } from '../fault.ts'
import { checkOptions, optional, wholeNumber } from './check.ts'

/** The options of {@link randomDataThenClose}. */
export interface RandomDataThenCloseOptions {
  /** How many octets, up to 16 MiB. @defaultValue 100 */
  bytes?: number | undefined
  /** Other octets for another seed; for the same one always the same. @defaultValue 1 */
  seed?: number | undefined
}

const MAX_BYTES = 16 * 1024 * 1024

/**
 * Answers with octets that are no HTTP, and closes the connection. The server is not contacted. None of the octets is in
 * ASCII, so that no client finds a line or a status in them.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function answerGarbage(mitm: TestMitm): void {
 *   mitm.get('https://shop.test/api/stock').fault(faults.randomDataThenClose())
 * }
 * ```
 */
export function randomDataThenClose(options: RandomDataThenCloseOptions = {}): Fault {
  const { bytes = 100, seed = 1 } = checkOptions('randomDataThenClose', options, {
    bytes: optional(wholeNumber(1, MAX_BYTES)),
    seed: optional(wholeNumber(0)),
  })
  return {
    name: 'randomDataThenClose',
    text: `randomDataThenClose of ${bytes} octets`,
    parts: [{ stage: 'answer', answer: { kind: 'raw', octets: () => garbage(bytes, seed), end: 'close' } }],
  }
}

function garbage(bytes: number, seed: number): Buffer {
  const blocks: Buffer[] = []
  for (let size = 0; size < bytes; size += 32) {
    blocks.push(createHash('sha256').update(`${seed}/${size}`).digest())
  }
  return Buffer.from(Buffer.concat(blocks, bytes).map((octet) => octet | 0x80))
}
