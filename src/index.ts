/** The public names of the core: everything without Playwright. */
export { isMitmError, MitmError } from './errors.ts'
export type { ErrorCode } from './errors.ts'
export type { Exchange } from './exchange.ts'
export { compileFilter } from './rules/filter.ts'
export type { CompiledFilter, ExchangeFilter } from './rules/filter.ts'
