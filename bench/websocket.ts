/** What WebSockets cost: the echo of a message. */
import { compareCpu, cpuDetails, startProxy } from './measures.ts'
import type { Bench, Traffic } from './measures.ts'
import type { Result } from './report.ts'
import { median } from './statistics.ts'

/** CPU per echo of a message of 1 KiB, recorded, against the relay. */
export async function cpuOfWebSockets(bench: Bench): Promise<Result[]> {
  const { load, amounts } = bench
  const { connections, perConnection } = amounts
  const traffic: Traffic = {
    open: (port) => load.call('openSockets', { port, connections }),
    run: (port) => load.call('runSockets', { port, perConnection }),
    close: (port) => load.call('close', port),
    text: `${connections * perConnection} on ${connections} connections`,
  }
  const compared = await compareCpu(bench, traffic, await startProxy(bench, 'mitm'), await startProxy(bench, 'relay'))
  const { ratios, micros, otherMicros } = compared
  return [
    {
      name: 'CPU per WebSocket echo of 1 KiB, mitm : relay',
      value: median(ratios),
      unit: '',
      target: 2,
      details: `mitm ${median(micros).toFixed(1)} µs, relay ${median(otherMicros).toFixed(1)} µs; ${cpuDetails(compared, traffic)}`,
    },
  ]
}
