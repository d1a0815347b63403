/** Waiting for what passes through a mitm that records it. */
import { MitmError } from './errors.ts'
import type { Exchange } from './exchange.ts'
import type { ReceivedEvent } from './internal/event-stream.ts'
import type { Signal } from './internal/signal.ts'
import { demandKnown, invalidOption } from './options.ts'
import { compileFilter } from './rules/filter.ts'
import type { ExchangeFilter } from './rules/filter.ts'
import type { WebSocketMessage } from './web-socket-message.ts'

/** How long the `waitFor` methods wait. */
export interface WaitOptions {
  /** Longest wait in milliseconds. @defaultValue 30000 */
  timeoutMs?: number | undefined
  /** Gives the wait up: it rejects with the reason of the signal. */
  signal?: AbortSignal | undefined
}

/** When traffic counts as settled. */
export interface IdleOptions extends WaitOptions {
  /** Milliseconds in which nothing new may begin. @defaultValue 100 */
  quietMs?: number | undefined
}

/** What is waited for: the record of what passes. */
export interface Traffic {
  readonly exchanges: readonly Exchange[]
  readonly changes: Pick<Signal, 'until'>
}

const DEFAULT_WAIT_MS = 30_000
const DEFAULT_QUIET_MS = 100

/**
 * Waits for a request that matches, or for the head of its final response. One that has passed already counts.
 *
 * @throws {@link MitmError} `MITM_WAIT_TIMEOUT`, also when there will be no more traffic; `MITM_INVALID_FILTER`,
 *   `MITM_INVALID_OPTION`.
 */
export async function waitForExchange(
  traffic: Traffic,
  what: 'request' | 'response',
  filter: ExchangeFilter,
  options: WaitOptions,
): Promise<Exchange> {
  demandKnown(options, ['timeoutMs', 'signal'])
  const { timeoutMs = DEFAULT_WAIT_MS, signal } = options
  const compiled = compileFilter(filter)
  const isReady = (exchange: Exchange): boolean => what === 'request' || exchange.response !== undefined
  const outcome = await traffic.changes.until(
    () => traffic.exchanges.find((exchange) => isReady(exchange) && compiled.misses(exchange).length === 0),
    { timeoutMs, signal },
  )
  if (outcome.state === 'met') return outcome.value
  const why = outcome.state === 'timeout' ? `none in ${timeoutMs} ms` : 'the mitm was closed'
  throw new MitmError(
    'MITM_WAIT_TIMEOUT',
    `Waited for the ${what} ${compiled.text}: ${why}; ${traffic.exchanges.length} other requests came`,
  )
}

/**
 * Waits for a server-sent event in the responses of the exchanges that match. One that has passed already counts.
 *
 * @throws {@link MitmError} `MITM_WAIT_TIMEOUT`, also when there will be no more traffic; `MITM_INVALID_FILTER`,
 *   `MITM_INVALID_OPTION`, `MITM_BODY_UNDECODABLE`; what `matches` throws.
 */
export async function waitForServerSentEvent(
  traffic: Traffic,
  filter: ExchangeFilter,
  matches: (event: ReceivedEvent) => boolean,
  options: WaitOptions,
): Promise<ReceivedEvent> {
  if (typeof matches !== 'function') throw invalidOption('matches', matches, 'a function that is given an event')
  demandKnown(options, ['timeoutMs', 'signal'])
  const { timeoutMs = DEFAULT_WAIT_MS, signal } = options
  const compiled = compileFilter(filter)
  // No event is looked at twice.
  const seen = new Map<Exchange, number>()
  const find = (): ReceivedEvent | undefined => {
    for (const exchange of traffic.exchanges) {
      if (!exchange.response?.isEventStream || compiled.misses(exchange).length > 0) continue
      const events = exchange.response.events()
      const found = events.slice(seen.get(exchange) ?? 0).find((event) => matches(event))
      if (found) return found
      seen.set(exchange, events.length)
    }
    return undefined
  }
  const outcome = await traffic.changes.until(find, { timeoutMs, signal })
  if (outcome.state === 'met') return outcome.value
  const why = outcome.state === 'timeout' ? `none in ${timeoutMs} ms` : 'the mitm was closed'
  const others = [...seen.values()].reduce((sum, count) => sum + count, 0)
  throw new MitmError(
    'MITM_WAIT_TIMEOUT',
    `Waited for a server-sent event of ${compiled.text}: ${why}; ${others} others came in ${seen.size} event streams`,
  )
}

/**
 * Waits for a message of the WebSockets that match. One that has passed already counts.
 *
 * @throws {@link MitmError} `MITM_WAIT_TIMEOUT`, also when there will be no more traffic; `MITM_INVALID_FILTER`,
 *   `MITM_INVALID_OPTION`; what `matches` throws.
 */
export async function waitForMessage(
  traffic: Traffic,
  filter: ExchangeFilter,
  matches: (message: WebSocketMessage) => boolean,
  options: WaitOptions,
): Promise<WebSocketMessage> {
  if (typeof matches !== 'function') throw invalidOption('matches', matches, 'a function that is given a message')
  demandKnown(options, ['timeoutMs', 'signal'])
  const { timeoutMs = DEFAULT_WAIT_MS, signal } = options
  const compiled = compileFilter(filter, { webSocket: true })
  const counts = { messages: 0, sockets: 0 }
  const find = (): WebSocketMessage | undefined => {
    const sockets = traffic.exchanges.filter(({ webSocket, messages }) => webSocket && messages.length > 0)
    const meant = sockets.filter((exchange) => compiled.misses(exchange).length === 0)
    counts.sockets = meant.length
    counts.messages = meant.reduce((sum, { messages }) => sum + messages.length, 0)
    // A held one may still become another: all are looked at each time.
    for (const { messages } of meant) {
      const found = messages.find((message) => matches(message))
      if (found) return found
    }
    return undefined
  }
  const outcome = await traffic.changes.until(find, { timeoutMs, signal })
  if (outcome.state === 'met') return outcome.value
  const why = outcome.state === 'timeout' ? `none in ${timeoutMs} ms` : 'the mitm was closed'
  throw new MitmError(
    'MITM_WAIT_TIMEOUT',
    `Waited for a message of ${compiled.text}: ${why}; ${counts.messages} others came in ${counts.sockets} WebSockets`,
  )
}

/** Waits until the traffic has settled; whether it did in time. @throws {@link MitmError} `MITM_INVALID_OPTION` */
export async function waitForIdle(traffic: Traffic, options: IdleOptions): Promise<boolean> {
  demandKnown(options, ['quietMs', 'timeoutMs', 'signal'])
  const { quietMs = DEFAULT_QUIET_MS, timeoutMs = DEFAULT_WAIT_MS, signal } = options
  const deadline = performance.now() + timeoutMs
  const left = (): number => Math.max(0, deadline - performance.now())
  for (;;) {
    // Each round waits for what the one before has found.
    const calm = await traffic.changes.until(() => isCalm(traffic), { timeoutMs: left(), signal })
    if (calm.state !== 'met') return false
    const before = traffic.exchanges.length
    const waitMs = Math.min(quietMs, left())
    const hasStirred = (): true | undefined =>
      traffic.exchanges.length !== before || !isCalm(traffic) ? true : undefined
    const stirred = await traffic.changes.until(hasStirred, { timeoutMs: waitMs, signal })
    if (stirred.state !== 'met') return waitMs === quietMs || stirred.state === 'ended'
  }
}

function isCalm({ exchanges }: Traffic): true | undefined {
  const isSettled = exchanges.every(
    (exchange) => exchange.endReason !== undefined || exchange.isStalled || isLongLived(exchange),
  )
  return isSettled ? true : undefined
}

function isLongLived({ response, request }: Exchange): boolean {
  if (!response) return false
  // In HTTP/2 a tunnel or a WebSocket is a CONNECT that was answered with 2xx (RFC 9113 section 8.5, RFC 8441).
  const isTunnel = request.method === 'CONNECT' && response.status >= 200 && response.status < 300
  return response.status === 101 || isTunnel || response.isEventStream
}
