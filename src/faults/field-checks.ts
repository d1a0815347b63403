/** Checks of what stands in heads that faults make. */
import type { Field } from '../exchange.ts'
import type { OptionCheck } from './check.ts'

/** Header fields that a fault adds: values by name. */
export type FaultHeaders = Readonly<Record<string, string | readonly string[]>>

/** The value of a field: latin1, without CR, LF and NUL (RFC 9110 section 5.5). */
export const fieldValue: OptionCheck = (value) =>
  typeof value === 'string' && !/[\r\n\0\u0100-\uffff]/.test(value)
    ? undefined
    : 'a text without line ends, NUL and characters above U+00FF'

/** Header fields by name, whose values are texts or lists of texts. */
export const headerFields: OptionCheck = (value) => {
  const isValid =
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.entries(value).every(
      ([name, text]) =>
        /^[!#$%&'*+.^_`|~\w-]+$/.test(name) && [text].flat().every((one) => fieldValue(one) === undefined),
    )
  return isValid ? undefined : 'header fields by name, whose values are texts or lists of texts'
}

/** The fields that {@link FaultHeaders} are. */
export function fieldsOf(headers: FaultHeaders): readonly Field[] {
  return Object.entries(headers).flatMap(([name, value]) => [value].flat().map((one): Field => [name, one]))
}

/** The lines that fields are on the wire. */
export function fieldLines(fields: readonly Field[]): string {
  return fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
}
