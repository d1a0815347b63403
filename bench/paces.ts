/** How well the faults that slow traffic down keep to their numbers. */
import { startProxy } from './measures.ts'
import type { Bench } from './measures.ts'
import type { Result } from './report.ts'
import { median, quantile } from './statistics.ts'

const DOWNLOAD_BYTES = 5 * 2 ** 20
/** About a second, and four, for the download. */
const RATES_KBPS = [10_000, 40_000]
const DELAYS_MS = [20, 200]
const REQUESTS = 25

/** Rate of `bandwidth`, and delay of `latency`. */
export async function paces(bench: Bench): Promise<Result[]> {
  const { load } = bench
  const { child, port } = await startProxy(bench, 'mitm')
  const results: Result[] = []
  await load.call('bulk', { port, direction: 'download', size: DOWNLOAD_BYTES })
  for (const kbps of RATES_KBPS) {
    await child.call('slow', { kbps })
    const tookMs = await load.call('bulk', { port, direction: 'download', size: DOWNLOAD_BYTES })
    const measured = (DOWNLOAD_BYTES * 8) / tookMs
    results.push({
      name: `error of bandwidth({ kbps: ${kbps} }) over 5 MiB`,
      value: (Math.abs(measured - kbps) / kbps) * 100,
      unit: '%',
      target: 5,
      details: `${measured.toFixed(0)} kbit/s in ${tookMs.toFixed(0)} ms`,
    })
  }
  await child.call('slow', {})
  const plain = median(await load.call('times', { port, count: REQUESTS }))
  for (const ms of DELAYS_MS) {
    await child.call('slow', { latencyMs: ms })
    const times = await load.call('times', { port, count: REQUESTS })
    const timerError = await child.call('timerError', ms)
    results.push({
      name: `error of latency({ ms: ${ms} }), beyond that of the timer`,
      value: Math.abs(median(times) - plain - ms - timerError),
      unit: 'ms',
      target: 5,
      details:
        `median of ${REQUESTS} requests ${median(times).toFixed(1)} ms, 95 % below ${quantile(times, 0.95).toFixed(1)} ms; ` +
        `without ${plain.toFixed(1)} ms; the timer itself ${timerError.toFixed(1)} ms late`,
    })
  }
  await child.stop()
  return results
}
