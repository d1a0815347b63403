/** How much later than by the relay the pieces of a streamed response come. */
import type { Lateness } from './chunks.ts'
import { startProxy } from './measures.ts'
import type { Bench, RunningProxy } from './measures.ts'
import { HTTP2_HOST } from './messages.ts'
import type { Result } from './report.ts'
import { median, quantile } from './statistics.ts'

const CHUNKS = 40
const WARM_UP_ROUNDS = 2
const TARGET_MS = 2

/** The medians of each round. */
interface Rounds {
  readonly first: number[]
  readonly next: number[]
}

/** Delay of the first octet, and of each next chunk: relayed as they come, and event by event through a rule. */
export async function stream(bench: Bench): Promise<Result[]> {
  return [...(await streamBy(bench, 'HTTP/1.1')), ...(await streamBy(bench, 'HTTP/2'))]
}

async function streamBy(bench: Bench, version: 'HTTP/1.1' | 'HTTP/2'): Promise<Result[]> {
  const [relay, mitm, apart, ruled] = await Promise.all([
    startProxy(bench, 'relay'),
    startProxy(bench, 'mitm'),
    startProxy(bench, 'mitm'),
    startProxy(bench, 'mitm'),
  ] as const)
  await apart.child.call('addRuleFor', HTTP2_HOST)
  await ruled.child.call('rewriteEvents', null)
  const isHttp2 = version === 'HTTP/2'
  const proxies = isHttp2 ? [relay, mitm, apart, ruled] : [relay, mitm, ruled]
  const rounds = new Map<RunningProxy, Rounds>(proxies.map((proxy) => [proxy, { first: [], next: [] }]))
  for (const { port } of proxies) await bench.load.call('openStream', { port, isHttp2 })
  for (let at = -WARM_UP_ROUNDS; at < bench.amounts.rounds; at++) {
    // They take turns, in changing order. One at a time: that is the method.
    for (const proxy of at % 2 === 0 ? proxies : proxies.toReversed()) {
      const { first, next }: Lateness = await bench.load.call('stream', { port: proxy.port, count: CHUNKS })
      if (at < 0) continue
      rounds.get(proxy)?.first.push(first)
      rounds.get(proxy)?.next.push(median(next))
    }
  }
  for (const { port, child } of proxies) {
    // Nothing may have gone wrong, and nothing be missing in the record.
    await child.call('reset', null)
    await bench.load.call('closeStream', port)
  }
  await Promise.all([relay, mitm, apart, ruled].map(({ child }) => child.stop()))
  const compare = (name: string, proxy: RunningProxy, which: keyof Rounds, target?: number): Result => {
    const values = rounds.get(proxy)?.[which] ?? []
    const others = rounds.get(relay)?.[which] ?? []
    return {
      name: `${name} in ${version}, later than by the relay`,
      value: median(values) - median(others),
      unit: 'ms',
      ...(target !== undefined && { target }),
      details:
        `medians of ${values.length} rounds: ${median(values).toFixed(2)} ms (95 % below ${quantile(values, 0.95).toFixed(2)}), ` +
        `relay ${median(others).toFixed(2)} ms (${quantile(others, 0.95).toFixed(2)})`,
    }
  }
  return [
    compare('first octet of a streamed response', mitm, 'first', TARGET_MS),
    compare('each next chunk of it', mitm, 'next', TARGET_MS),
    ...(isHttp2
      ? [
          compare('first octet where a rule could touch it', apart, 'first', TARGET_MS),
          compare('each next chunk of that', apart, 'next', TARGET_MS),
        ]
      : []),
    compare('first octet through rewriteEvents()', ruled, 'first'),
    compare('each next event through it', ruled, 'next', TARGET_MS),
  ]
}
