/** What handlers of MSW cost a request that none of them means. */
import { compareCpu, cpuDetails, smallRequests, startProxy } from './measures.ts'
import type { Bench } from './measures.ts'
import type { Result } from './report.ts'
import { median } from './statistics.ts'

const HANDLERS = 300

/** CPU that a small request costs more with handlers than without: with some that name its host, and with none that does. */
export async function cpuOfHandlers(bench: Bench): Promise<Result[]> {
  return [await cpuWith(bench, 'all hosts'), await cpuWith(bench, 'other hosts')]
}

async function cpuWith(bench: Bench, of: 'other hosts' | 'all hosts'): Promise<Result> {
  const handled = await startProxy(bench, 'mitm')
  await handled.child.call('addHandlers', { count: HANDLERS, of })
  const traffic = smallRequests(bench)
  const compared = await compareCpu(bench, traffic, handled, await startProxy(bench, 'mitm'))
  const { ratios, micros, otherMicros } = compared
  const more = micros.map((value, at) => value - (otherMicros[at] ?? Number.NaN))
  const whose = of === 'all hosts' ? '' : ' of other hosts'
  return {
    name: `CPU of a small request, more with ${HANDLERS} handlers${whose} than without`,
    value: median(more),
    unit: 'µs',
    target: 100,
    details: `with ${median(micros).toFixed(1)} µs, without ${median(otherMicros).toFixed(1)} µs, ratio ${median(ratios).toFixed(2)}; ${cpuDetails(compared, traffic)}`,
  }
}
