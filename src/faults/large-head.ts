import type { Fault } from '../fault.ts'
import { checkOptions, wholeNumber } from './check.ts'
import { appendLines, headFault } from './head-edit.ts'

/** The options of {@link largeHead}. */
export interface LargeHeadOptions {
  /** Octets of the whole head; one that is larger by itself is left. Up to 64 MiB. */
  bytes: number
}

const MAX_BYTES = 64 * 1024 * 1024
const FRAME_BYTES = 'x-large: \r\n'.length

/**
 * Makes the head of the response as large as said, by a field `x-large`. Node's clients take 16 KiB, Chromium 256 KiB.
 *
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function overflowTheHead(mitm: TestMitm): void {
 *   mitm.get('https://shop.test/api/*').fault(faults.largeHead({ bytes: 300_000 }))
 * }
 * ```
 */
export function largeHead(options: LargeHeadOptions): Fault {
  const { bytes } = checkOptions('largeHead', options, { bytes: wholeNumber(1, MAX_BYTES) })
  return headFault('largeHead', `largeHead of ${bytes} octets`, (head) =>
    head.length >= bytes
      ? head
      : appendLines(head, `x-large: ${'a'.repeat(Math.max(1, bytes - head.length - FRAME_BYTES))}\r\n`),
  )
}
