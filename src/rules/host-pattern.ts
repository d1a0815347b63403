/** Host patterns in filters. */
import { parseHostPattern } from '../internal/host-pattern.ts'
import type { HostPattern } from '../internal/host-pattern.ts'
import type { Destination } from '../protocol.ts'
import { invalidFilter } from './filter-text.ts'
import type { Forecast } from './url-glob.ts'

/** A host pattern of a filter. */
export interface FilterHostPattern extends HostPattern {
  readonly forecast: (destination: Destination) => Forecast
}

/**
 * Compiles a host pattern.
 *
 * @throws {@link MitmError} `MITM_INVALID_FILTER` when it is no host, such as a URL.
 */
export function compileHostPattern(key: string, text: string): FilterHostPattern {
  const pattern = parseHostPattern(text)
  if (!pattern) throw invalidFilter(key, text, 'a host such as "api.test", "api.test:8443" or "*.shop.test"')
  return {
    ...pattern,
    forecast: ({ host, port }) => (pattern.matches(host.toLowerCase(), port) ? 'all' : 'none'),
  }
}
