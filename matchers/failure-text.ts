/** What a failed matcher says: the layout of Playwright's own matchers, with the traffic below. */
import type { CompiledFilter, Exchange } from '../src/index.ts'
import type { MatcherContext, MatcherResult } from './context.ts'
import type { Inspectable } from './inspectable.ts'
import type { WatchEnd } from './watch.ts'

/** Most lines of each list. */
const MAX_MATCHES = 10
const MAX_NEAREST = 5
const MAX_OTHERS = 10
/** Longest line, and longest part of a body, in characters. */
const MAX_LINE = 300
const MAX_BODY = 200

/** What a matcher found out. */
export interface Verdict {
  readonly name: string
  /** What stands between the parentheses of the matcher in the title. */
  readonly argument: string
  /** What was expected, in words. */
  readonly expected: string
  /** As the runner wants it: whether it was found, `.not` or not. */
  readonly pass: boolean
  /** Whether the requests that did not match are worth showing: too few did. */
  readonly showMisses: boolean
  readonly mitm: Inspectable
  readonly filter: CompiledFilter
  readonly matches: readonly Exchange[]
  readonly end: WatchEnd
  readonly timeoutMs: number
}

/** Makes the result of a matcher. The text is made of what is known now, not when the runner asks for it. */
export function matcherResult(context: MatcherContext, verdict: Verdict): MatcherResult {
  const { name, pass, expected } = verdict
  const actual = receivedText(verdict)
  const isFailure = pass === (context.isNot === true)
  const log = isFailure ? trafficLines(verdict) : []
  const text = isFailure ? failureText(context, verdict, actual, log) : ''
  const result: MatcherResult = { pass, message: () => text, name, expected, actual, log }
  if (verdict.end === 'timeout') result.timeout = verdict.timeoutMs
  return result
}

function failureText(context: MatcherContext, verdict: Verdict, actual: string, log: readonly string[]): string {
  const { utils } = context
  const { drawnSeed } = verdict.mitm
  const expected = utils?.EXPECTED_COLOR?.(verdict.expected) ?? verdict.expected
  const received = utils?.RECEIVED_COLOR?.(actual) ?? actual
  return [
    `${titleText(context, verdict)} failed`,
    '',
    `Proxy:    ${verdict.mitm.url}`,
    `Expected: ${expected}`,
    `Received: ${received}`,
    ...(verdict.end === 'timeout' ? [`Timeout:  ${verdict.timeoutMs}ms`] : []),
    ...(drawnSeed === undefined ? [] : [seedText(drawnSeed)]),
    ...(log.length > 0 ? ['', ...log] : []),
  ].join('\n')
}

function seedText(seed: number | string): string {
  return `Seed:     ${seed}; the same comes out with mitmOptions: { seed: ${JSON.stringify(seed)} }`
}

function titleText({ utils, isNot = false, promise = '' }: MatcherContext, { name, argument }: Verdict): string {
  const hint = utils?.matcherHint?.(name, 'mitm', argument, { isNot, promise })
  return hint ?? `expect(mitm)${promise && `.${promise}`}${isNot ? '.not' : ''}.${name}(${argument})`
}

function receivedText({ mitm, matches, end }: Verdict): string {
  const total = mitm.exchanges.length
  const matching = matches.length === 0 ? 'none' : String(matches.length)
  const counts = total === 0 ? 'no requests' : `${total} ${total === 1 ? 'request' : 'requests'}, ${matching} matching`
  return end === 'ended' ? `${counts}; still waiting when the test ended` : counts
}

function trafficLines({ mitm, filter, matches, showMisses }: Verdict): string[] {
  if (mitm.exchanges.length === 0) return ['No request reached this mitm: is the page or the server using its proxy?']
  const groups = [section('Matching requests:', matches, MAX_MATCHES, describeWithBody)]
  if (showMisses) {
    const matching = new Set(matches)
    const missed = mitm.exchanges.filter((exchange) => !matching.has(exchange))
    const nearest = nearestOf(missed, filter)
    const others = missed.filter((exchange) => !nearest.has(exchange))
    groups.push(
      section('Nearest misses:', [...nearest.keys()], MAX_NEAREST, (exchange) => [
        requestLine(exchange),
        ...(nearest.get(exchange) ?? []).map((miss) => cut(`  - ${miss}`, MAX_LINE)),
      ]),
      section('Other requests:', others, MAX_OTHERS, (exchange) => [requestLine(exchange)]),
    )
  }
  return groups.filter((group) => group.length > 0).flatMap((group, index) => (index === 0 ? group : ['', ...group]))
}

/** Those that missed in the fewest ways, best first; of equals, the first that came. */
function nearestOf(missed: readonly Exchange[], filter: CompiledFilter): Map<Exchange, readonly string[]> {
  return new Map(
    missed
      .map((exchange) => [exchange, filter.misses(exchange)] as const)
      .toSorted(([, left], [, right]) => left.length - right.length)
      .slice(0, MAX_NEAREST),
  )
}

function section(
  title: string,
  exchanges: readonly Exchange[],
  most: number,
  describe: (exchange: Exchange) => string[],
): string[] {
  if (exchanges.length === 0) return []
  const lines = exchanges.slice(0, most).flatMap(describe)
  if (exchanges.length > most) lines.push(`… and ${exchanges.length - most} more`)
  return [title, ...lines.map((line) => `  ${line}`)]
}

function describeWithBody(exchange: Exchange): string[] {
  const body = bodyText(exchange)
  return body === undefined ? [requestLine(exchange)] : [requestLine(exchange), `  body: ${body}`]
}

function requestLine(exchange: Exchange): string {
  try {
    return cut(`${exchange}${remarkOn(exchange)}`, MAX_LINE)
  } catch {
    return '(a request whose head cannot be read)'
  }
}

function remarkOn({ isResent, source, handler, answeredBy }: Exchange): string {
  if (isResent) return ' (sent again by the browser itself)'
  if (source === 'handler') return ' (sent by a handler)'
  if (!handler) return ''
  const verb = answeredBy === 'server' ? 'let through' : 'answered'
  return ` (${verb} by the handler ${handler.header}${handler.where === undefined ? '' : `, ${handler.where}`})`
}

function bodyText({ request }: Exchange): string | undefined {
  if (request.bodySize === 0) return undefined
  try {
    const text = request.text()
    // Control characters and what UTF-8 could not decode: not a text that a terminal should be given.
    if (!/[^\P{Cc}\s]|\ufffd/u.test(text)) return cut(text.replace(/\s+/g, ' '), MAX_BODY)
  } catch {
    // Not kept whole, or not what its content-encoding says: its size says enough.
  }
  return `${request.bodySize} octets`
}

function cut(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most)}…` : text
}
