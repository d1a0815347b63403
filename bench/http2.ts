/** What HTTP/2 costs: many streams on one connection. */
import { compareCpu, cpuDetails, startProxy } from './measures.ts'
import type { Bench, Traffic } from './measures.ts'
import { HTTP2_HOST } from './messages.ts'
import type { Result } from './report.ts'
import { median } from './statistics.ts'

const STREAMS = 100

/** CPU per small request by HTTP/2, against the relay: where no rule could touch it, and where one could. */
export async function cpuOfHttp2(bench: Bench): Promise<Result[]> {
  return [await measure(bench, 'relayed', 2.5), await measure(bench, 'bridged', 8)]
}

async function measure(bench: Bench, mode: 'relayed' | 'bridged', target: number): Promise<Result> {
  const { load, amounts } = bench
  const traffic: Traffic = {
    open: (port) => load.call('openHttp2', port),
    run: (port) => load.call('runHttp2', { port, count: amounts.http2Requests, streams: STREAMS }),
    close: (port) => load.call('closeHttp2', port),
    text: `${amounts.http2Requests}, ${STREAMS} streams at once`,
  }
  const mitm = await startProxy(bench, 'mitm')
  if (mode === 'bridged') await mitm.child.call('addRuleFor', HTTP2_HOST)
  const compared = await compareCpu(bench, traffic, mitm, await startProxy(bench, 'relay'))
  const { ratios, micros, otherMicros } = compared
  return {
    name: `CPU per small HTTP/2 request, ${mode}, mitm : relay`,
    value: median(ratios),
    unit: '',
    target,
    details: `mitm ${median(micros).toFixed(1)} µs, relay ${median(otherMicros).toFixed(1)} µs; ${cpuDetails(compared, traffic)}`,
  }
}
