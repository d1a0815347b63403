/** The fault matrix: messages that break off, or take their time. */
import type { FaultCase } from './fault-case.ts'

export const TCP_CASES: readonly FaultCase[] = [
  {
    layer: 'tcp',
    code: 'resetPeer()',
    fault: (faults) => faults.resetPeer(),
    what: 'a TCP reset (RST) in place of the response; the server is not contacted',
    chromium: 'ERR_CONNECTION_RESET',
    undici: 'ECONNRESET',
    https: 'ECONNRESET',
  },
]
