/** The proxy that is measured, as a process: the mitm, or the bare relay. It measures itself. */
import { setTimeout } from 'node:timers/promises'

import { http, HttpResponse } from 'msw-2'

import { CertificateAuthority, faults, startMitm } from '../src/index.ts'
import type { MswHandler, Rule, TestMitm } from '../src/index.ts'
import { answer } from './child.ts'
import { BULK_HOST, HTTP2_HOST, SMALL_HOST, SOCKET_HOST } from './messages.ts'
import type { OriginFacts } from './origin.ts'
import { startRelay } from './relay.ts'
import { median } from './statistics.ts'

export type ProxyKind = 'mitm' | 'relay'

export type ProxyCalls = {
  /** Starts listening; returns the port. */
  start: { input: { kind: ProxyKind; origin: OriginFacts }; output: number }
  /** Adds so many rules, none of which means a request of this bench. */
  addRules: { input: number; output: null }
  /** Adds so many handlers of MSW, none of which means a request of this bench; of other hosts only, or of its own too. */
  addHandlers: { input: { count: number; of: 'other hosts' | 'all hosts' }; output: null }
  /** Lets all server-sent events pass a rule that changes none. */
  rewriteEvents: { input: null; output: null }
  /** Adds a rule that could touch what goes to a host, and does not. */
  addRuleFor: { input: string; output: null }
  /** Slows everything down from now on; nothing, if nothing is said. */
  slow: { input: { kbps?: number; latencyMs?: number }; output: null }
  /** How much later than said the timers of this process run out, in milliseconds: the median. */
  timerError: { input: number; output: number }
  /** CPU time of this process so far, in microseconds: user and system, all threads. */
  cpu: { input: null; output: number }
  /**
   * Forgets what was recorded; returns how many exchanges that were, or messages with their echoes, and fails if one of them was
   * not recorded whole.
   */
  reset: { input: null; output: number }
  /** Watches the resident memory from now on. */
  watchMemory: { input: null; output: null }
  /** What was seen since `watchMemory`, in octets. */
  memory: { input: null; output: { before: number; peak: number } }
  /** Starts and closes a mitm as often as said; returns the milliseconds of each. */
  startAndClose: { input: number; output: number[] }
}

const SAMPLE_MS = 2
let mitm: TestMitm | undefined
let slowed: Rule | undefined
/** They are dropped with the records, and added again. */
let ruleCount = 0
let ruledHost: string | undefined
let handlers: MswHandler[] = []
let memory = { before: 0, peak: 0 }
let sampler: NodeJS.Timeout | undefined

/** Rules as suites have them: other hosts, other paths of the same host, other methods, fields and bodies. */
function addRule(at: number): void {
  switch (at % 5) {
    case 0:
      mitm?.get(`https://api${at}.test/price`).json({ at })
      break
    case 1:
      mitm?.post(`https://${SMALL_HOST}/charge/${at}`).respond(503)
      break
    case 2:
      mitm?.get(`https://${SMALL_HOST}/items/${at}/*`).json({ at })
      break
    case 3:
      mitm?.when({ host: SMALL_HOST, headers: { 'x-case': String(at) } }).rewriteResponse({ headers: { 'x-at': 'y' } })
      break
    default:
      mitm?.when({ method: 'POST', url: `**/graphql/${at}`, json: { at } }).json({ at })
  }
}

/** Handlers as suites have them: other hosts, and of the same host other paths, parameters, methods, wildcards and RegExps. */
function makeHandler(at: number, of: 'other hosts' | 'all hosts'): MswHandler {
  const resolve = (): Response => HttpResponse.json({ at })
  switch (of === 'other hosts' ? 0 : at % 6) {
    case 0:
      return http.get(`https://api${at}.test/price/:id`, resolve)
    case 1:
      return http.post(`https://${SMALL_HOST}/api/items`, resolve)
    case 2:
      return http.get(`https://${SMALL_HOST}/api/items/:id/parts/${at}`, resolve)
    case 3:
      return http.get(`*/charge/${at}`, resolve)
    case 4:
      return http.get(new RegExp(`/orders/${at}$`), resolve)
    default:
      return http.get(`/relative/${at}/:id`, resolve)
  }
}

function sample(): void {
  memory.peak = Math.max(memory.peak, process.memoryUsage.rss())
}

answer<ProxyCalls>({
  start: async ({ kind, origin }) => {
    const authority = CertificateAuthority.fromPem(origin.ca, origin.caKey)
    if (kind === 'relay') {
      const ports: Record<string, number> = {
        [BULK_HOST]: origin.bulkPort,
        [HTTP2_HOST]: origin.http2Port,
        [SOCKET_HOST]: origin.socketPort,
      }
      return startRelay(authority, (host) => ports[host] ?? origin.smallPort)
    }
    mitm = await startMitm({
      certificateAuthority: authority,
      hosts: {
        '*.bench.test': `127.0.0.1:${origin.smallPort}`,
        [BULK_HOST]: `127.0.0.1:${origin.bulkPort}`,
        [HTTP2_HOST]: `127.0.0.1:${origin.http2Port}`,
        [SOCKET_HOST]: `127.0.0.1:${origin.socketPort}`,
      },
      upstream: { ca: origin.ca },
    })
    return mitm.port
  },
  addRules: (count) => {
    ruleCount = count
    for (let at = 0; at < count; at++) addRule(at)
    return null
  },
  addHandlers: ({ count, of }) => {
    handlers = Array.from({ length: count }, (_, at) => makeHandler(at, of))
    mitm?.use(...handlers)
    return null
  },
  rewriteEvents: () => {
    mitm?.when('**').rewriteEvents(() => undefined)
    return null
  },
  addRuleFor: (host) => {
    ruledHost = host
    mitm?.get(`https://${host}/elsewhere`).json({})
    return null
  },
  slow: ({ kbps, latencyMs }) => {
    slowed?.remove()
    slowed = undefined
    if (kbps !== undefined) slowed = mitm?.when('**').fault(faults.bandwidth({ kbps }))
    if (latencyMs !== undefined) slowed = mitm?.when('**').fault(faults.latency({ ms: latencyMs }))
    return null
  },
  timerError: async (ms) => {
    const errors: number[] = []
    for (let at = 0; at < 20; at++) {
      const startedMs = performance.now()
      // One after the other, as they are waited for in traffic.
      await setTimeout(ms)
      errors.push(performance.now() - startedMs - ms)
    }
    return median(errors)
  },
  cpu: () => {
    const { user, system } = process.cpuUsage()
    return user + system
  },
  reset: () => {
    if (!mitm) return 0
    const { exchanges, errors } = mitm
    // The status is not looked at: that would parse every head, and the load has checked every octet anyway.
    const broken = exchanges.find(({ endReason, webSocket }) => endReason !== 'complete' && !webSocket)
    if (broken) throw new Error(`Not recorded whole: ${broken} (${broken.endReason})`)
    if (errors[0]) throw errors[0]
    // Of a WebSocket, each message and its echo counts as one.
    const count = exchanges.reduce((sum, { webSocket, messages }) => sum + (webSocket ? messages.length / 2 : 1), 0)
    mitm.reset()
    for (let at = 0; at < ruleCount; at++) addRule(at)
    mitm.use(...handlers)
    if (ruledHost !== undefined) mitm.get(`https://${ruledHost}/elsewhere`).json({})
    return count
  },
  watchMemory: () => {
    const before = process.memoryUsage.rss()
    memory = { before, peak: before }
    sampler = setInterval(sample, SAMPLE_MS)
    return null
  },
  memory: () => {
    sample()
    clearInterval(sampler)
    return memory
  },
  startAndClose: async (count) => {
    const times: number[] = []
    for (let done = 0; done < count; done++) {
      const startedMs = performance.now()
      // One after the other: each is timed alone.
      const started = await startMitm()
      await started.close()
      times.push(performance.now() - startedMs)
    }
    return times
  },
})
