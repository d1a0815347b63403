/** The part of a filter that says what is not meant. */
import type { Connection } from '../connection.ts'
import type { Exchange } from '../exchange.ts'
import type { Destination } from '../protocol.ts'
import { isKnown, needsBody } from './filter-part.ts'
import type { FilterPart } from './filter-part.ts'
import { textOf } from './filter-text.ts'
import type { Forecast } from './url-glob.ts'

type Parts = readonly FilterPart[]

/** @param alternatives - The parts of each filter of which none may match. */
export function notPart(alternatives: readonly Parts[]): FilterPart {
  const all = alternatives.flat()
  const texts = alternatives.map(textOf)
  const stage = (['response', 'body'] as const).find((each) => all.some((part) => part.stage === each)) ?? 'head'
  // As long as one could still match, nothing is certain: a response that has not come is not "another status".
  const verdictOf = (parts: Parts, exchange: Exchange): 'yes' | 'no' | 'open' => {
    const known = parts.filter((part) => isKnown(part, exchange))
    if (known.some((part) => !part.matches(exchange))) return 'no'
    return known.length === parts.length ? 'yes' : 'open'
  }
  return {
    key: 'not',
    text: texts.map((text) => `not ${text}`).join(' and '),
    stage,
    matches: (exchange) => alternatives.every((parts) => verdictOf(parts, exchange) === 'no'),
    misses: (exchange) =>
      alternatives.flatMap((parts, index) => {
        const verdict = verdictOf(parts, exchange)
        if (verdict === 'no') return []
        return [verdict === 'yes' ? `not: it is ${texts[index]}` : `not: it may yet be ${texts[index]}`]
      }),
    isKnown: (exchange) =>
      alternatives.some((parts) => verdictOf(parts, exchange) === 'yes') ||
      alternatives.every((parts) => verdictOf(parts, exchange) !== 'open'),
    headRefuses: (exchange) =>
      alternatives.some((parts) => parts.every((part) => part.stage === 'head' && part.matches(exchange))),
    needsBody: (exchange) => alternatives.some((parts) => waitsForBody(parts, exchange)),
    isForConnections: all.every((part) => part.isForConnections),
    forecast: (destination, connection) => forecastOf(alternatives, destination, connection),
  }
}

function waitsForBody(parts: Parts, exchange: Exchange): boolean {
  if (!parts.some((part) => part.stage === 'body' && needsBody(part, exchange))) return false
  return parts.every((part) => (part.stage === 'head' ? part.matches(exchange) : !part.headRefuses?.(exchange)))
}

function forecastOf(
  alternatives: readonly Parts[],
  destination: Destination,
  connection: Connection | undefined,
): Forecast {
  const forecasts = alternatives.map((parts): Forecast => {
    const each = parts.map((part) => part.forecast?.(destination, connection) ?? 'some')
    if (each.includes('none')) return 'none'
    return each.every((forecast) => forecast === 'all') ? 'all' : 'some'
  })
  if (forecasts.every((forecast) => forecast === 'none')) return 'all'
  // With a connection it is decided now: what is not meant by any chance is not meant.
  return connection || forecasts.includes('all') ? 'none' : 'some'
}
