/** How much later than by the relay the pieces of a streamed response come. */
import type { Lateness } from './chunks.ts'
import { startProxy } from './measures.ts'
import type { Bench, RunningProxy } from './measures.ts'
import type { Result } from './report.ts'
import { median, quantile } from './statistics.ts'

const CHUNKS = 40
const WARM_UP_ROUNDS = 2

/** The medians of each round. */
interface Rounds {
  readonly first: number[]
  readonly next: number[]
}

/** Delay of the first octet, and of each next chunk: relayed as they come, and event by event through a rule. */
export async function stream(bench: Bench): Promise<Result[]> {
  const proxies = await Promise.all([
    startProxy(bench, 'relay'),
    startProxy(bench, 'mitm'),
    startProxy(bench, 'mitm'),
  ] as const)
  const [relay, mitm, ruled] = proxies
  await ruled.child.call('rewriteEvents', null)
  const rounds = new Map<RunningProxy, Rounds>(proxies.map((proxy) => [proxy, { first: [], next: [] }]))
  for (const { port } of proxies) await bench.load.call('openStream', port)
  for (let at = -WARM_UP_ROUNDS; at < bench.amounts.rounds; at++) {
    // They take turns, in changing order. One at a time: that is the method.
    for (const proxy of at % 2 === 0 ? proxies : proxies.toReversed()) {
      const { first, next }: Lateness = await bench.load.call('stream', { port: proxy.port, count: CHUNKS })
      if (at < 0) continue
      rounds.get(proxy)?.first.push(first)
      rounds.get(proxy)?.next.push(median(next))
    }
  }
  for (const { port } of proxies) await bench.load.call('close', port)
  await mitm.child.call('reset', null)
  await ruled.child.call('reset', null)
  await Promise.all(proxies.map(({ child }) => child.stop()))
  const compare = (name: string, proxy: RunningProxy, which: keyof Rounds): Result => {
    const values = rounds.get(proxy)?.[which] ?? []
    const others = rounds.get(relay)?.[which] ?? []
    return {
      name: `${name}, later than by the relay`,
      value: median(values) - median(others),
      unit: 'ms',
      target: 2,
      details:
        `medians of ${values.length} rounds: ${median(values).toFixed(2)} ms (95 % below ${quantile(values, 0.95).toFixed(2)}), ` +
        `relay ${median(others).toFixed(2)} ms (${quantile(others, 0.95).toFixed(2)})`,
    }
  }
  return [
    compare('first octet of a streamed response', mitm, 'first'),
    compare('each next chunk of it', mitm, 'next'),
    compare('first octet through rewriteEvents()', ruled, 'first'),
    compare('each next event through it', ruled, 'next'),
  ]
}
