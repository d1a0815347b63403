/** Checks the options of faults, so that each of them refuses bad input in the same words. */
import { MitmError } from '../errors.ts'
import type { Side } from '../errors.ts'
import { noteCallSite } from '../internal/call-site.ts'

/** What an option must be: what is wrong with a value, in words; undefined when nothing is. */
export type OptionCheck = (value: unknown) => string | undefined

/**
 * Checks the options of a fault, and gives them back.
 *
 * @param fault - The name of the function that makes it.
 * @throws {@link MitmError} `MITM_INVALID_FAULT` naming the fault, the option, its value and what was expected.
 */
export function checkOptions<Options extends object>(
  fault: string,
  options: Options,
  checks: { readonly [Key in keyof Required<Options>]: OptionCheck },
): Options {
  if (Object.prototype.toString.call(options) !== '[object Object]') {
    throw invalidFault(
      fault,
      `its options are ${show(options)}, expected an object of ${Object.keys(checks).join(', ')}`,
    )
  }
  for (const key of Object.keys(options)) {
    if (!Object.hasOwn(checks, key)) {
      throw invalidFault(fault, `${JSON.stringify(key)} is not an option, expected ${Object.keys(checks).join(', ')}`)
    }
  }
  for (const [key, check] of Object.entries<OptionCheck>(checks)) {
    const value: unknown = Reflect.get(options, key)
    const expected = check(value)
    if (expected !== undefined) throw invalidFault(fault, `${key} is ${show(value)}, expected ${expected}`)
  }
  return options
}

/** Refuses options of a fault that has none. @throws {@link MitmError} `MITM_INVALID_FAULT` */
export function refuseOptions(fault: string, given: readonly unknown[]): void {
  if (given.length > 0) throw invalidFault(fault, `it was given ${show(given[0])}, but it has no options`)
}

/** The error for a fault that cannot be. It names the line of the call. */
export function invalidFault(fault: string, problem: string): MitmError {
  const where = noteCallSite()()
  return new MitmError(
    'MITM_INVALID_FAULT',
    `Cannot make the fault ${fault}()${where ? ` (${where})` : ''}: ${problem}`,
  )
}

/** An option that may be left out. */
export function optional(check: OptionCheck): OptionCheck {
  return (value) => (value === undefined ? undefined : check(value))
}

/** A whole number. */
export function wholeNumber(least: number, most: number = Number.MAX_SAFE_INTEGER): OptionCheck {
  const range = most === Number.MAX_SAFE_INTEGER ? `from ${least} on` : `from ${least} to ${most}`
  return (value) =>
    typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most
      ? undefined
      : `a whole number ${range}`
}

/** Any number in a range. */
export function numberIn(least: number, most: number, unit = ''): OptionCheck {
  const range = most === Number.POSITIVE_INFINITY ? `from ${least} on` : `from ${least} to ${most}`
  return (value) =>
    typeof value === 'number' && value >= least && value <= most
      ? undefined
      : `a number${unit && ` of ${unit}`} ${range}`
}

/** The longest time that Node's timers can hold, some 24 days. */
const MAX_TIMER_MS = 2 ** 31 - 1

/** Milliseconds. */
export const milliseconds: OptionCheck = (value) =>
  typeof value === 'number' && value >= 0 && value <= MAX_TIMER_MS ? undefined : 'milliseconds from 0 on'

/** A number of octets. */
export const octetCount: OptionCheck = wholeNumber(0)

/** A word out of several. */
export function oneOf(...words: readonly string[]): OptionCheck {
  return (value) =>
    typeof value === 'string' && words.includes(value)
      ? undefined
      : words.map((word) => JSON.stringify(word)).join(' or ')
}

/** Towards whom. */
export const sideName: OptionCheck = oneOf('client' satisfies Side, 'server' satisfies Side)

/** `true` or `false`. */
export const yesOrNo: OptionCheck = (value) => (typeof value === 'boolean' ? undefined : 'true or false')

/** A value in words. */
export function show(value: unknown): string {
  if (typeof value === 'function') return 'a function'
  try {
    return JSON.stringify(value) ?? String(value)
  } catch {
    return String(value)
  }
}
