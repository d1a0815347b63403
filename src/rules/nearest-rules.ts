/** Which rules came nearest to matching an exchange, and why they did not. */
import type { Exchange } from '../exchange.ts'
import { isWebSocketHandshake } from '../web-socket-handshake.ts'
import type { ListedHandler } from './listed-handler.ts'
import { locate } from './request-location.ts'
import type { Rule } from './rule.ts'

/** A rule that was not applied. */
export interface NearRule {
  readonly rule: Rule
  /** Why not, part by part. */
  readonly misses: readonly string[]
}

/** What a miss costs: another host is farthest, then another URL or method, then everything else. */
const OTHER_HOST = 100
const OTHER_URL = 2
/** And this much more, the less of it is the same. */
const UNLIKE_URL = 8
const OTHER_METHOD = 4

/**
 * The rules that came nearest, best first; of equals the newest. Those that are for everything and answer nothing are not
 * among them.
 *
 * @param rules - Newest first.
 */
export function nearestRules(exchange: Exchange, rules: readonly Rule[], most: number): NearRule[] {
  return rules
    .filter((rule) => rule.decides || !rule.filter.isForAll)
    .map((rule) => ({ rule, misses: missesOf(rule, exchange) }))
    .map((near) => ({ near, distance: distanceOf(near, exchange) }))
    .toSorted((left, right) => left.distance - right.distance)
    .slice(0, most)
    .map(({ near }) => near)
}

/** The handlers for the host of an exchange that came nearest, best first; of equals the newest. */
export function nearestHandlers(
  exchange: Exchange,
  handlers: readonly ListedHandler[],
  most: number,
): { readonly handler: ListedHandler; readonly misses: readonly string[] }[] {
  const { method, url } = exchange.request
  const isForWebSockets = isWebSocketHandshake(exchange)
  const location = locate(url)
  const { host, port = 80 } = location
  return handlers
    .filter((handler) => handler.isForWebSockets === isForWebSockets && handler.mayMatch({ host, port, tls: false }))
    .map((handler) => ({ handler, misses: handler.misses(method, location) }))
    .toSorted((left, right) => handlerDistance(left.misses) - handlerDistance(right.misses))
    .slice(0, most)
}

function handlerDistance(misses: readonly string[]): number {
  return misses.reduce((sum, miss) => sum + (miss.startsWith('url ') ? OTHER_URL + OTHER_METHOD : 1), 0)
}

function missesOf(rule: Rule, exchange: Exchange): readonly string[] {
  const { filter } = rule
  // Of a body that was not held, nothing can be said: some other part has missed.
  const misses = exchange.request.isComplete ? filter.misses(exchange) : filter.headMisses(exchange)
  return misses.length > 0 ? misses : [whyPassedOver(rule, exchange)]
}

function whyPassedOver(rule: Rule, exchange: Exchange): string {
  if (rule.acts.length === 0 && !rule.decides) return 'it does nothing: it has not been told what to do'
  return rule.passedOver(exchange) ?? 'its turn had not come'
}

function distanceOf({ rule, misses }: NearRule, { request }: Exchange): number {
  const { host, port, href } = locate(request.url)
  const isOtherHost = !rule.filter.mayMatch({ host, port: port ?? 80, tls: false })
  const costs = misses.map((miss) => {
    if (/^(?:url|path|host) /.test(miss)) return OTHER_URL + UNLIKE_URL * (1 - likeness(href, rule.filter.text))
    return miss.startsWith('method ') ? OTHER_METHOD : 1
  })
  return costs.reduce((sum, cost) => sum + cost, isOtherHost ? OTHER_HOST : 0)
}

/** From 0 to 1: how much of a URL stands at the beginning of the one in a filter's words. */
function likeness(href: string, text: string): number {
  const wanted = text.slice(Math.max(0, text.search(/\w+:\/\//)))
  let at = 0
  while (at < href.length && href[at] === wanted[at]) at++
  return at / Math.max(1, href.length)
}
