/** Which exchange a rule missed by the least: why a rule was not applied. */
import type { Exchange } from '../exchange.ts'
import type { CompiledFilter } from './filter.ts'

/** More of them are not looked at, the newest first. */
const MAX_EXCHANGES = 200

/** The exchange that misses a filter in the fewest ways, and these; undefined when none comes near. */
export function nearestMiss(filter: CompiledFilter, exchanges: readonly Exchange[]): string | undefined {
  const newest = exchanges.slice(-MAX_EXCHANGES).toReversed()
  const misses = newest.map((exchange) => ({ exchange, why: filter.misses(exchange) }))
  const nearest = misses
    .filter(({ why }) => why.length > 0)
    .toSorted((one, other) => one.why.length - other.why.length)[0]
  if (!nearest) return undefined
  const { method, url } = nearest.exchange.request
  return `nearest was ${method} ${url}, but ${nearest.why.join(', and ')}`
}
