/** The parts of a filter that look at what came of a request: `status` and `fault`. */
import type { Exchange } from '../exchange.ts'
import { FAULT_NAMES } from '../fault-names.ts'
import { nearestWord } from '../internal/nearest-word.ts'
import { compileTest } from './filter-part.ts'
import type { FilterPart } from './filter-part.ts'

/** Compiles `status`. @throws {@link MitmError} `MITM_INVALID_FILTER` */
export function compileStatus(value: unknown): FilterPart {
  const test = compileTest('status', value, 'a status from 100 to 599', (literal) =>
    typeof literal === 'number' && Number.isInteger(literal) && literal >= 100 && literal <= 599
      ? { text: String(literal), test: (actual) => actual === literal }
      : undefined,
  )
  const matches = ({ response }: Exchange): boolean => response !== undefined && test.test(response.status)
  return {
    key: 'status',
    text: `with status ${test.text}`,
    stage: 'response',
    matches,
    misses: (exchange) =>
      matches(exchange)
        ? []
        : [`status is ${exchange.response?.status ?? 'not known (no response)'}, expected ${test.text}`],
  }
}

/** Compiles `fault`. @throws {@link MitmError} `MITM_INVALID_FILTER` */
export function compileFault(value: unknown): FilterPart {
  // That there was none is known only when none can come any more.
  const isOver = (exchange: Exchange): boolean => exchange.endReason !== undefined
  if (value === false) {
    return faultPart('without a fault', 'none', (exchange) => isOver(exchange) && exchange.faults.length === 0)
  }
  if (value === true) return faultPart('with a fault', 'any', ({ faults }) => faults.length > 0)
  const nearest = typeof value === 'string' ? nearestWord(value, FAULT_NAMES) : undefined
  const hint = nearest === undefined ? '' : `; did you mean ${nearest}?`
  const expected = `the name of a fault such as "resetPeer", or true or false${hint}`
  const test = compileTest('fault', value, expected, (literal) =>
    FAULT_NAMES.some((name) => name === literal)
      ? { text: String(literal), test: (actual) => actual === literal }
      : undefined,
  )
  return faultPart(`with the fault ${test.text}`, test.text, ({ faults }) => faults.some(({ name }) => test.test(name)))
}

function faultPart(text: string, expected: string, matches: (exchange: Exchange) => boolean): FilterPart {
  return {
    key: 'fault',
    text,
    stage: 'response',
    matches,
    misses: (exchange) => (matches(exchange) ? [] : [`fault is ${foundFaults(exchange)}, expected ${expected}`]),
    isKnown: (exchange) => exchange.endReason !== undefined || matches(exchange),
  }
}

function foundFaults({ faults, endReason }: Exchange): string {
  const names = faults.map(({ name }) => name).join(', ')
  if (endReason === undefined) return `${names || 'none'} so far`
  return names || 'none'
}
