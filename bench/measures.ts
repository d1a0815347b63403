/** What is measured. Each measure starts its own proxy processes; all share one origin and one load process. */
import { join } from 'node:path'

import { Child } from './child.ts'
import type { LoadCalls } from './load.ts'
import { SMALL_HOST } from './messages.ts'
import type { OriginCalls, OriginFacts } from './origin.ts'
import type { ProxyCalls, ProxyKind } from './proxy.ts'
import type { Result } from './report.ts'
import { median, quantile } from './statistics.ts'

/** How much is measured. */
export interface Amounts {
  readonly connections: number
  readonly perConnection: number
  readonly rounds: number
  readonly starts: number
  readonly hosts: number
  readonly bodyBytes: number
  /** Of HTTP/2, in each round. */
  readonly http2Requests: number
}

/** The processes and numbers that all measures share. */
export interface Bench {
  /** Where the built modules are. */
  readonly folder: string
  readonly origin: Child<OriginCalls>
  readonly originFacts: OriginFacts
  readonly load: Child<LoadCalls>
  readonly amounts: Amounts
  /** Options of Node for the proxies. */
  readonly execArgv: readonly string[]
}

const MEBIBYTE = 2 ** 20
const WARM_UP_ROUNDS = 2
const WARM_UP_HOSTS = 12
const RULES = 1000

/** A proxy in a process of its own. */
export interface RunningProxy {
  readonly isMitm: boolean
  readonly child: Child<ProxyCalls>
  readonly port: number
}

/** Starts a proxy. */
export async function startProxy(bench: Bench, kind: ProxyKind): Promise<RunningProxy> {
  const child = new Child<ProxyCalls>(join(bench.folder, 'proxy.js'), bench.execArgv)
  return { isMitm: kind === 'mitm', child, port: await child.call('start', { kind, origin: bench.originFacts }) }
}

/** CPU per small request of two proxies, in microseconds, and how they compare. */
export interface CpuComparison {
  readonly ratios: readonly number[]
  readonly micros: readonly number[]
  readonly otherMicros: readonly number[]
}

/** What passes the proxies while they are measured. */
export interface Traffic {
  open(port: number): Promise<unknown>
  /** Returns how many requests were answered. */
  run(port: number): Promise<number>
  close(port: number): Promise<unknown>
  /** What it is, in words. */
  readonly text: string
}

/** Small requests of HTTP/1.1. */
export function smallRequests({ load, amounts: { connections, perConnection } }: Bench): Traffic {
  return {
    open: (port) => load.call('open', { port, connections }),
    run: (port) => load.call('run', { port, perConnection }),
    close: (port) => load.call('close', port),
    text: `${connections * perConnection} on ${connections} connections`,
  }
}

/** Rounds of both alternate, and each pair gives one ratio. */
export async function compareCpu(
  bench: Bench,
  traffic: Traffic,
  one: RunningProxy,
  other: RunningProxy,
): Promise<CpuComparison> {
  const { rounds } = bench.amounts
  const round = async ({ child, port, isMitm }: RunningProxy): Promise<number> => {
    const before = await child.call('cpu', null)
    const count = await traffic.run(port)
    const spent = (await child.call('cpu', null)) - before
    const recorded = await child.call('reset', null)
    if (isMitm && recorded !== count) throw new Error(`${recorded} of ${count} exchanges were recorded`)
    return spent / count
  }
  await traffic.open(one.port)
  await traffic.open(other.port)
  const micros: number[] = []
  const otherMicros: number[] = []
  for (let at = -WARM_UP_ROUNDS; at < rounds; at++) {
    // Who is first alternates too, so that a machine that slows down slows both. One at a time: that is the method.
    const isOneFirst = at % 2 === 0
    const first = await round(isOneFirst ? one : other)
    const second = await round(isOneFirst ? other : one)
    if (at < 0) continue
    micros.push(isOneFirst ? first : second)
    otherMicros.push(isOneFirst ? second : first)
  }
  await traffic.close(one.port)
  await traffic.close(other.port)
  await Promise.all([one.child.stop(), other.child.stop()])
  const ratios = micros.map((value, at) => value / (otherMicros[at] ?? Number.NaN))
  return { ratios, micros, otherMicros }
}

/** How the ratios differ, and of what. */
export function cpuDetails({ ratios }: CpuComparison, { text }: Traffic): string {
  return `ratios ${quantile(ratios, 0).toFixed(2)} to ${quantile(ratios, 1).toFixed(2)} in ${ratios.length} rounds of ${text}`
}

/** CPU per small request, against the relay. */
export async function cpuPerRequest(bench: Bench): Promise<Result[]> {
  const traffic = smallRequests(bench)
  const compared = await compareCpu(bench, traffic, await startProxy(bench, 'mitm'), await startProxy(bench, 'relay'))
  const { ratios, micros, otherMicros } = compared
  return [
    {
      name: 'CPU per small HTTPS request, mitm : relay',
      value: median(ratios),
      unit: '',
      target: 1.4,
      details: `mitm ${median(micros).toFixed(1)} µs, relay ${median(otherMicros).toFixed(1)} µs; ${cpuDetails(compared, traffic)}`,
    },
  ]
}

/** CPU per small request with rules that do not match, against none. */
export async function cpuOfRules(bench: Bench): Promise<Result[]> {
  const ruled = await startProxy(bench, 'mitm')
  await ruled.child.call('addRules', RULES)
  const traffic = smallRequests(bench)
  const compared = await compareCpu(bench, traffic, ruled, await startProxy(bench, 'mitm'))
  const { ratios, micros, otherMicros } = compared
  return [
    {
      name: `CPU per small request, ${RULES} rules that do not match : none`,
      value: median(ratios),
      unit: '',
      target: 2,
      details: `with rules ${median(micros).toFixed(1)} µs, without ${median(otherMicros).toFixed(1)} µs; ${cpuDetails(compared, traffic)}`,
    },
  ]
}

/** A mitm that starts and closes, in a process that has its certificate authority. */
export async function startAndClose(bench: Bench): Promise<Result[]> {
  const child = new Child<ProxyCalls>(join(bench.folder, 'proxy.js'), bench.execArgv)
  const [first = Number.NaN] = await child.call('startAndClose', 1)
  const times = await child.call('startAndClose', bench.amounts.starts)
  await child.stop()
  return [
    {
      name: 'start and close of a mitm',
      value: median(times),
      unit: 'ms',
      target: 2,
      details: `median of ${times.length}; 95 % below ${quantile(times, 0.95).toFixed(2)} ms; the first, with its CA, ${first.toFixed(0)} ms`,
    },
  ]
}

/** The first request to a host that the mitm has no certificate for yet, against one to a host that it knows. */
export async function newHost(bench: Bench): Promise<Result[]> {
  const { load, origin, amounts } = bench
  const names = Array.from({ length: WARM_UP_HOSTS + amounts.hosts }, (_, at) => `h${at}.bench.test`)
  await origin.call('prepare', names)
  const { child, port } = await startProxy(bench, 'mitm')
  await load.call('first', { port, host: SMALL_HOST })
  const fresh: number[] = []
  const cached: number[] = []
  for (const [at, host] of names.entries()) {
    // One at a time: each is timed alone.
    const freshMs = await load.call('first', { port, host })
    const cachedMs = await load.call('first', { port, host: SMALL_HOST })
    if (at < WARM_UP_HOSTS) continue
    fresh.push(freshMs)
    cached.push(cachedMs)
  }
  await child.call('reset', null)
  await child.stop()
  return [
    {
      name: 'first request to a new host, more than to a known one',
      value: median(fresh) - median(cached),
      unit: 'ms',
      target: 15,
      details: `new ${median(fresh).toFixed(2)} ms, known ${median(cached).toFixed(2)} ms; medians of ${fresh.length}`,
    },
  ]
}

/** Resident memory that a large body takes beyond what the process had before. */
export async function memoryOfBody(bench: Bench): Promise<Result[]> {
  const results: Result[] = []
  for (const direction of ['download', 'upload'] as const) {
    for (const kind of ['mitm', 'relay'] as const) {
      results.push(await memoryOf(bench, kind, direction))
    }
  }
  return results
}

async function memoryOf(bench: Bench, kind: ProxyKind, direction: 'download' | 'upload'): Promise<Result> {
  const { load, amounts } = bench
  const { child, port } = await startProxy(bench, kind)
  await load.call('bulk', { port, direction, size: MEBIBYTE })
  await child.call('watchMemory', null)
  const startedMs = performance.now()
  await load.call('bulk', { port, direction, size: amounts.bodyBytes })
  const tookMs = performance.now() - startedMs
  const { before, peak } = await child.call('memory', null)
  await child.call('reset', null)
  await child.stop()
  const size = amounts.bodyBytes / MEBIBYTE
  return {
    name: `memory for a ${direction} of ${size} MiB, ${kind}`,
    value: (peak - before) / MEBIBYTE,
    unit: 'MiB',
    ...(kind === 'mitm' && { target: 40 }),
    details: `${(before / MEBIBYTE).toFixed(0)} MiB before; ${((size / tookMs) * 1000).toFixed(0)} MiB/s`,
  }
}
