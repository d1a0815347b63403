/** What the matchers ask of the object under test. */
import { MitmError } from '../src/index.ts'
import type { Exchange } from '../src/index.ts'

/** How a wait for a change came out; `ended` when the test is over. */
export type InspectableOutcome<T> = { state: 'met'; value: T } | { state: 'timeout' } | { state: 'ended' }

/** Tells when something may have changed. */
export interface InspectableChanges {
  /** Waits until `check` returns something other than undefined: looks at once, then at every change. */
  until<T>(
    check: () => T | undefined,
    options?: { timeoutMs?: number | undefined; signal?: AbortSignal | undefined },
  ): Promise<InspectableOutcome<T>>
}

/** What `expect(mitm)` takes: the `mitm` of a test, or anything else that can show its traffic in this way. */
export interface Inspectable {
  /** Keeps other objects from fitting by accident. */
  readonly isMitm: true
  /** The address of the proxy, shown in failures. */
  readonly url: string
  /** What decided everything that was left to chance; undefined when nothing was. Shown in failures. */
  readonly drawnSeed?: number | string | undefined
  /** What has passed, in the order of its start. */
  readonly exchanges: readonly Exchange[]
  /** Fires at every moment of an exchange; it is ended when the test is. */
  readonly changes: InspectableChanges
  /**
   * Waits until no exchange is in flight (event streams and upgraded ones do not count) and nothing new has begun for
   * `quietMs`.
   *
   * @returns Whether that came to be within `timeoutMs`.
   */
  waitForIdle(options?: {
    quietMs?: number | undefined
    timeoutMs?: number | undefined
    signal?: AbortSignal | undefined
  }): Promise<boolean>
}

/**
 * Refuses what is not a mitm.
 *
 * @throws {@link MitmError} `MITM_INVALID_RECEIVER`.
 *
 * @internal
 */
export function demandInspectable(receiver: unknown, matcher: string): asserts receiver is Inspectable {
  if (typeof receiver === 'object' && receiver !== null && 'isMitm' in receiver && receiver.isMitm === true) return
  throw new MitmError(
    'MITM_INVALID_RECEIVER',
    `${matcher}() expects a mitm, such as the fixture "mitm" or what startMitm() gives: got ${describe(receiver)}`,
  )
}

function describe(value: unknown): string {
  if (value instanceof Promise) return 'a promise; await it first'
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 50))
  if (typeof value !== 'object' || value === null) return String(value)
  const { constructor } = value
  return typeof constructor === 'function' && constructor !== Object
    ? `an object of class ${constructor.name}`
    : 'an object'
}
