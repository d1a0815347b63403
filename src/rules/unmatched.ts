/** What becomes of requests that no rule is for: hermetic suites let none of them reach a server. */
import type { Connection } from '../connection.ts'
import { MitmError } from '../errors.ts'
import type { MitmErrorDetails } from '../errors.ts'
import type { Exchange } from '../exchange.ts'
import type { MaybePromise } from '../internal/maybe-promise.ts'
import type { ConnectionIntervention, ConnectionMoment, Intervention } from '../middleware.ts'
import { invalidOption } from '../options.ts'
import type { Destination } from '../protocol.ts'
import { corsFields, isPreflight, preflightAnswer } from './cors.ts'
import { compileFilter } from './filter.ts'
import type { CompiledFilter, ExchangeFilter } from './filter.ts'
import type { ListedHandler } from './listed-handler.ts'
import { nearestHandlers, nearestRules } from './nearest-rules.ts'
import type { Rule } from './rule.ts'
import { patternOfHost, quote, suggestedHandler, suggestedRule } from './suggested-rule.ts'
import { warn } from './warn.ts'

/**
 * `forward` sends them to their servers; `warn` does too, and prints a warning; `block` answers them with an error; `fail` lets
 * the test fail as well.
 */
export type UnmatchedMode = 'forward' | 'warn' | 'block' | 'fail'

/** What MSW calls them (`onUnhandledRequest`): `bypass` is `forward`, and `error` is `fail`. */
export type UnhandledMode = 'bypass' | 'warn' | 'error'

/** What becomes of requests that no rule is for, and which of them are let through. */
export interface UnmatchedOptions {
  readonly mode: UnmatchedMode | UnhandledMode
  /** Requests that go to their servers all the same. @defaultValue `[]` */
  readonly allow?: readonly ExchangeFilter[] | undefined
}

/** The value of the option `unmatched`. */
export type Unmatched = UnmatchedMode | UnhandledMode | UnmatchedOptions

/** The error for a request that was not let through. */
export class UnmatchedError extends MitmError {
  /** Whether the test must fail for it, even where the application has swallowed it. */
  readonly failsTest: boolean

  constructor(mode: UnmatchedMode, message: string, details?: MitmErrorDetails) {
    super('MITM_UNMATCHED_REQUEST', message, details)
    this.failsTest = mode === 'fail'
  }
}

const MODES: ReadonlyMap<unknown, UnmatchedMode> = new Map<string, UnmatchedMode>([
  ['forward', 'forward'],
  ['bypass', 'forward'],
  ['warn', 'warn'],
  ['block', 'block'],
  ['fail', 'fail'],
  ['error', 'fail'],
])
const MODE_NAMES = "'forward', 'warn', 'block' or 'fail' (of MSW: 'bypass', 'warn' or 'error')"
const MAX_NEAREST = 3
const MAX_MISSES = 4
const NOT_FORWARDED = 502

/** Decides about requests and connections that no rule is for. */
export class UnmatchedPolicy {
  readonly #mode: UnmatchedMode
  readonly #allow: readonly CompiledFilter[]
  readonly #maxBodyBytes: number
  readonly #warned = new Set<string>()

  /**
   * @param limits - `maxBodyBytes`: octets held of a body that a filter of `allow` looks at.
   * @throws {@link MitmError} `MITM_INVALID_OPTION`, and `MITM_INVALID_FILTER` for what stands in `allow`.
   */
  constructor(option: Unmatched = 'forward', limits: { readonly maxBodyBytes?: number | undefined } = {}) {
    const { mode, allow } = check(option)
    this.#mode = mode
    this.#allow = (allow ?? []).map((filter, index) => compileAllowed(filter, index))
    this.#maxBodyBytes = limits.maxBodyBytes ?? 10 * 1024 * 1024
  }

  /** Whether anything is held back at all. */
  get isHermetic(): boolean {
    return this.#mode === 'block' || this.#mode === 'fail'
  }

  /** Whether anything comes of requests that no rule is for. */
  get isWatching(): boolean {
    return this.#mode !== 'forward'
  }

  /** Whether requests to this host are looked at. */
  mayIntercept(destination: Destination): boolean {
    return this.isWatching && !this.#allow.some((filter) => filter.matchesDestination(destination))
  }

  /** Whether a request to this host may be refused, so that its server must not be contacted before there is one. */
  mayAnswer(destination: Destination): boolean {
    return this.isHermetic && this.mayIntercept(destination)
  }

  /**
   * Decides about an exchange that no rule has answered, and reports it when it is refused.
   *
   * @param rules - All of them, newest first.
   * @param applied - Those that were applied. One that is for everything and does not answer lets nothing through.
   * @param handlers - Those of MSW that there are, newest first.
   * @returns undefined to let it pass; a promise only where a filter of `allow` looks at the body.
   */
  intercept(
    exchange: Exchange,
    rules: readonly Rule[],
    applied: readonly Rule[],
    handlers: readonly ListedHandler[] = [],
  ): MaybePromise<Intervention | undefined> {
    if (!this.isWatching || applied.some(opens)) return undefined
    return this.#allowFrom(0, exchange, { rules, handlers })
  }

  /**
   * Decides about a connection that turned out not to be HTTP, or to be TLS that is not opened, and for which no rule has a fault.
   *
   * @param rules - All of them, newest first. One that means the connection lets it through.
   */
  interceptConnection(
    connection: Connection,
    { stage, destination, isPassthrough = false }: ConnectionMoment,
    rules: readonly Rule[],
  ): ConnectionIntervention | undefined {
    if (!this.isHermetic || stage !== 'relay') return undefined
    const isMeant = (filter: CompiledFilter): boolean => filter.matchesConnection(destination, connection)
    if (this.#allow.some(isMeant)) return undefined
    if (rules.some((rule) => rule.isLive && opens(rule) && isMeant(rule.filter))) return undefined
    const authority = `${destination.host.includes(':') ? `[${destination.host}]` : destination.host}:${destination.port}`
    const text = [
      `A connection to ${authority} ${isPassthrough ? 'whose TLS is passed through' : 'that is not HTTP'} matches no rule, and unmatched is ${quote(this.#mode)}.`,
      'Only filters that name nothing but hosts can let it through:',
      `  unmatched: { mode: ${quote(this.#mode)}, allow: [{ host: ${quote(authority)} }] }`,
      SEE,
    ]
    return { refuse: new UnmatchedError(this.#mode, text.join('\n'), { authority }) }
  }

  #allowFrom(first: number, exchange: Exchange, known: Known): MaybePromise<Intervention | undefined> {
    for (const [at, filter] of this.#allow.entries()) {
      if (at < first || !filter.headMatches(exchange)) continue
      if (filter.needsBodyOf(exchange)) return this.#allowWithBody(at, filter, exchange, known)
      if (filter.restMatches(exchange)) return undefined
    }
    return this.#refuse(exchange, known)
  }

  async #allowWithBody(
    at: number,
    filter: CompiledFilter,
    exchange: Exchange,
    known: Known,
  ): Promise<Intervention | undefined> {
    exchange.request.keepBody(this.#maxBodyBytes)
    await exchange.request.whenComplete()
    return filter.restMatches(exchange) ? undefined : this.#allowFrom(at + 1, exchange, known)
  }

  #refuse(exchange: Exchange, known: Known): Intervention | undefined {
    if (this.#mode === 'warn') {
      this.#warn(exchange, known)
      return undefined
    }
    // The request that it asks about is the one to be told of: so that one may come.
    const permission = isPreflight(exchange) ? preflightAnswer(exchange, undefined) : undefined
    if (permission) return { answer: permission }
    const error = new UnmatchedError(this.#mode, unmatchedText(exchange, known, this.#mode))
    exchange.error ??= error
    exchange.connection.report(error)
    const fields = corsFields(
      exchange,
      [
        ['content-type', 'text/plain; charset=utf-8'],
        ['cache-control', 'no-store'],
        ['x-playwright-mitm-error', error.code],
      ],
      undefined,
    )
    const body = Buffer.from(`playwright-mitm: ${error.message}\n`)
    return {
      answer: {
        kind: 'respond',
        answeredBy: 'mitm',
        needsBody: false,
        response: () => ({ status: NOT_FORWARDED, statusText: 'Bad Gateway', fields, body }),
      },
    }
  }

  /** Once for each method and path; what a page loads of itself, and preflights, are none of it. */
  #warn(exchange: Exchange, known: Known): void {
    const { method, url } = exchange.request
    const key = `${method} ${url.replace(/[?#].*/, '')}`
    const destination = exchange.request.header('sec-fetch-dest') ?? 'empty'
    if (this.#warned.has(key) || destination !== 'empty' || isPreflight(exchange)) return
    this.#warned.add(key)
    warn(unmatchedText(exchange, known, this.#mode))
  }
}

/** What there was when a request came. */
interface Known {
  /** Newest first. */
  readonly rules: readonly Rule[]
  readonly handlers: readonly ListedHandler[]
}

const SEE = 'See "Hermetic suites" in docs/rules.md'

/** What is told of a request that was not let through. */
function unmatchedText(exchange: Exchange, { rules, handlers }: Known, mode: UnmatchedMode): string {
  const { method, url } = exchange.request
  const near = nearestRules(exchange, rules, MAX_NEAREST)
  const nearHandlers = nearestHandlers(exchange, handlers, MAX_NEAREST)
  const host = patternOfHost(exchange)
  return [
    `${method} ${url} matches no rule${handlers.length > 0 ? ' and no handler' : ''}, and unmatched is ${quote(mode)}.`,
    ...(near.length > 0 ? ['', 'Nearest rules:'] : []),
    ...near.flatMap(({ rule, misses }) => [
      `  ${rule.describe()}${rule.where === undefined ? '' : ` (${rule.where})`}`,
      ...misses.slice(0, MAX_MISSES).map((miss) => `    - ${miss}`),
    ]),
    ...(nearHandlers.length > 0 ? ['', 'Nearest handlers:'] : []),
    ...nearHandlers.flatMap(({ handler, misses }) => [
      `  ${handler.describe()}`,
      ...misses.slice(0, MAX_MISSES).map((miss) => `    - ${miss}`),
    ]),
    '',
    'A rule for it:',
    `  ${suggestedRule(exchange)}`,
    ...(handlers.length > 0 ? ['A handler of MSW for it:', `  ${suggestedHandler(exchange)}`] : []),
    ...(host === undefined
      ? []
      : ['Or let it through:', `  unmatched: { mode: ${quote(mode)}, allow: [${quote(host)}] }`]),
    SEE,
  ].join('\n')
}

/** Whether a rule, once it is applied, lets the exchange reach its server. `mitm.slow()` must not. */
function opens(rule: Rule): boolean {
  return rule.decides || !rule.filter.isForAll
}

interface CheckedOptions {
  readonly mode: UnmatchedMode
  readonly allow?: readonly ExchangeFilter[] | undefined
}

function check(option: unknown): CheckedOptions {
  const known = MODES.get(option)
  if (known) return { mode: known }
  const expected = `${MODE_NAMES}, or { mode, allow } with one of them as mode`
  if (Object.prototype.toString.call(option) !== '[object Object]') throw invalidOption('unmatched', option, expected)
  const { mode: given, allow, ...others } = option as Readonly<Record<string, unknown>> // just found to be an object
  const [unknown] = Object.keys(others)
  if (unknown !== undefined)
    throw invalidOption(`unmatched.${unknown}`, others[unknown], 'mode or allow', 'is not an option')
  const mode = MODES.get(given)
  if (!mode) throw invalidOption('unmatched.mode', given, MODE_NAMES)
  if (allow !== undefined && !Array.isArray(allow)) throw invalidOption('unmatched.allow', allow, 'an array of filters')
  return { mode, allow }
}

function compileAllowed(filter: ExchangeFilter, index: number): CompiledFilter {
  const compiled = compileFilter(filter)
  const [key] = compiled.responseKeys
  if (key === undefined) return compiled
  throw invalidOption(
    'unmatched.allow',
    filter,
    'filters for requests',
    `has ${key} in its filter ${index}, which only a response can tell`,
  )
}
