/** Filters for rules, which are chosen before there is a response. */
import { invalidRule } from './act.ts'
import type { CompiledFilter } from './filter.ts'

/** Gives a filter back. @throws {@link MitmError} `MITM_INVALID_RULE` when it looks at the response */
export function demandRequestFilter(method: string, compiled: CompiledFilter): CompiledFilter {
  if (!compiled.needsResponse) return compiled
  throw invalidRule(
    method,
    `the filter has ${compiled.responseKeys.join(' and ')}, but rules are chosen before there is a response; ` +
      'a function for rewriteResponse() can look at the response, and a matcher at faults',
    `when ${compiled.text}`,
  )
}
