/** What the options `passthrough` and `intercept` keep from rules: TLS that is not opened. */
import { authorityOf } from '../protocol.ts'
import type { Destination } from '../protocol.ts'
import type { Act } from './act.ts'
import { needsOpenedTls } from './fault-stages.ts'
import type { ExchangeFilter } from './filter.ts'
import { timesText } from './limits.ts'
import type { Rule } from './rule.ts'

/** Whether the TLS of a host is passed through; for `undefined`, on every port. */
export type PassthroughTest = (host: string, port: number | undefined) => boolean

/** A URL pattern for one host over TLS, in which nothing of scheme and authority is left open. */
const TLS_URL = /^(?:https|wss):\/\/(\[[\da-f:.]+\]|[\w.-]+)(?::(\d+))?(?:[/?#]|$)/i
/** A host pattern for one host. */
const ONE_HOST = /^(\[[\da-f:.]+\]|[\w.-]+)(?::(\d+))?$/i

/** Knows which rules are for TLS that is not opened, and remembers which ones it kept from something. */
export class Unopened {
  readonly #isPassedThrough: PassthroughTest
  readonly #kept = new WeakMap<Rule, Map<string, number>>()

  constructor(isPassedThrough: PassthroughTest = () => false) {
    this.#isPassedThrough = isPassedThrough
  }

  /** Why an act could never be done to what a filter means, in words; undefined when it could, or that is not certain. */
  problemWith(filter: ExchangeFilter, act: Act): string | undefined {
    if (!needsOpenedTls(act)) return undefined
    const host = tlsHostOf(filter, act)
    if (!host || !this.#isPassedThrough(host.name, host.port)) return undefined
    const authority = host.port === undefined ? host.name : authorityOf({ host: host.name, port: host.port })
    return (
      `TLS to ${authority} is passed through (options passthrough and intercept), so that nothing can look into it; ` +
      'expected faults of dialling, cuts or paces there'
    )
  }

  /** A connection is passed through: notes the rules that might have been for it. */
  note(rules: readonly Rule[], destination: Destination): void {
    const authority = authorityOf(destination)
    for (const rule of rules) {
      if (!rule.isLive || rule.profile.isForClosedTls || !rule.filter.mayMatch(destination)) continue
      const kept = this.#kept.get(rule) ?? new Map<string, number>()
      this.#kept.set(rule, kept.set(authority, (kept.get(authority) ?? 0) + 1))
    }
  }

  /** In words, with a semicolon before it: what a rule that was never applied could not look into. */
  text(rule: Rule): string {
    const kept = this.#kept.get(rule)
    if (!kept || rule.calls > 0) return ''
    const hosts = [...kept].map(([authority, times]) => `${authority} (${timesText(times)})`)
    return `; could not look into TLS that is passed through, to ${hosts.join(', ')}`
  }
}

/** The one host that a filter is for, if it is certain that an act of it has to do with TLS. */
function tlsHostOf(filter: ExchangeFilter, act: Act): { name: string; port: number | undefined } | undefined {
  const { url, host } =
    typeof filter === 'string'
      ? { url: filter, host: undefined }
      : typeof filter === 'object' && !(filter instanceof RegExp)
        ? filter
        : {}
  const [, name, port] = TLS_URL.exec(typeof url === 'string' ? url : '') ?? []
  if (name !== undefined) return { name: bare(name), port: port === undefined ? 443 : Number(port) }
  // Without a scheme it might be plain HTTP, but for a handshake.
  const isOfTls = act.kind === 'fault' && act.fault.parts.every(({ stage }) => stage === 'tls')
  const [, anyName, anyPort] = ONE_HOST.exec(isOfTls && typeof host === 'string' ? host : '') ?? []
  if (anyName === undefined) return undefined
  return { name: bare(anyName), port: anyPort === undefined ? undefined : Number(anyPort) }
}

function bare(host: string): string {
  return host.replace(/^\[|\]$/g, '')
}
