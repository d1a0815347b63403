/** Header fields as users give them. */
import type { Field } from '../exchange.ts'
import { separatorOf } from '../http-message.ts'

/**
 * Header fields. An object sets those it names, in any case: a text, an array for several fields of one name, `null` or
 * `undefined` to take the field away; all others stay, in their order and case. An array of pairs replaces all fields.
 */
export type HeadersInput = Readonly<Record<string, string | readonly string[] | null | undefined>> | readonly Field[]

const NAME = /^[\w!#$%&'*+.^`|~-]+$/
/** RFC 9110 section 5.5, with obs-text: what would end the line early is not in it. */
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

/** What is wrong with `headers`, in words; undefined when nothing is. */
export function problemWithHeaders(headers: unknown): string | undefined {
  if (headers === undefined) return undefined
  if (Array.isArray(headers)) {
    for (const pair of headers as readonly unknown[]) {
      if (!Array.isArray(pair) || pair.length !== 2) return 'headers has an item that is no [name, value]'
      const problem = problemWithField(pair[0], pair[1])
      if (problem) return problem
    }
    return undefined
  }
  if (Object.prototype.toString.call(headers) !== '[object Object]') {
    return 'headers is neither an object of values by name nor an array of [name, value]'
  }
  for (const [name, value] of Object.entries(headers as object)) {
    const values: readonly unknown[] = Array.isArray(value) ? value : [value ?? '']
    for (const one of values) {
      const problem = problemWithField(name, one)
      if (problem) return problem
    }
  }
  return undefined
}

/** The fields that `headers` makes of `fields`. */
export function applyHeaders(fields: readonly Field[], headers: HeadersInput | undefined): readonly Field[] {
  if (!headers) return fields
  if (isPairs(headers)) return headers.map(([name, value]): Field => [name, value])
  let changed = fields
  for (const [name, value] of Object.entries(headers)) changed = setField(changed, name, value)
  return changed
}

/** `fields` with the values of one name replaced, in the place and spelling of the first, or at the end. */
export function setField(
  fields: readonly Field[],
  name: string,
  value: string | readonly string[] | null | undefined,
): readonly Field[] {
  const key = name.toLowerCase()
  const values = typeof value === 'string' ? [value] : (value ?? [])
  const place = fields.findIndex(([before]) => before.toLowerCase() === key)
  const spelling = fields[place]?.[0] ?? name
  const news = values.map((one): Field => [spelling, one])
  if (place === -1) return news.length > 0 ? [...fields, ...news] : fields
  const rest = fields.slice(place + 1).filter(([before]) => before.toLowerCase() !== key)
  return [...fields.slice(0, place), ...news, ...rest]
}

/** The value of a field; several of one name are joined as in `headers`. */
export function fieldValue(fields: readonly Field[], name: string): string | undefined {
  const values = fields.filter(([before]) => before.toLowerCase() === name).map(([, value]) => value)
  return values.length > 0 ? values.join(separatorOf(name)) : undefined
}

/** Whether `headers` says something about this field. */
export function namesField(headers: HeadersInput | undefined, name: string): boolean {
  if (!headers) return false
  const names = isPairs(headers) ? headers.map(([one]) => one) : Object.keys(headers)
  return names.some((one) => one.toLowerCase() === name)
}

function isPairs(headers: HeadersInput): headers is readonly Field[] {
  return Array.isArray(headers)
}

function problemWithField(name: unknown, value: unknown): string | undefined {
  if (typeof name !== 'string' || !NAME.test(name)) return `headers has the name ${JSON.stringify(name)}, which is none`
  if (typeof value === 'string' && VALUE.test(value)) return undefined
  const isList = name.toLowerCase() === 'set-cookie' && typeof value === 'string' && value.includes('\n')
  const hint = isList ? '; give an array for several' : ''
  return `headers has a value for ${name} that cannot be in a header: ${JSON.stringify(value) ?? String(value)}${hint}`
}
