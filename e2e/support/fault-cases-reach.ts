/** The fault matrix: servers that cannot be reached, and proxies that misbehave. */
import type { FaultCase } from './fault-case.ts'

/** Chromium is told by SOCKS5 in the fixtures; what it says with an HTTP proxy is in `connect`. */
const UNREACHED = {
  layer: 'reach',
  chromium: 'ERR_SOCKS_CONNECTION_FAILED',
  connect: 'ERR_TUNNEL_CONNECTION_FAILED',
  undici: 'UND_ERR_ABORTED',
} as const

export const REACH_CASES: readonly FaultCase[] = [
  {
    ...UNREACHED,
    code: 'refuseConnection()',
    fault: (faults) => faults.refuseConnection(),
    what: 'nobody listens on the port of the server (`ECONNREFUSED`)',
    https: 'tunnel: status 502',
    reports: ['MITM_DIAL_FAILED'],
  },
  {
    ...UNREACHED,
    code: 'unreachable()',
    fault: (faults) => faults.unreachable(),
    what: 'there is no way to the server (`EHOSTUNREACH`)',
    https: 'tunnel: status 502',
    reports: ['MITM_DIAL_FAILED'],
  },
  {
    ...UNREACHED,
    code: 'dnsFailure()',
    fault: (faults) => faults.dnsFailure(),
    what: 'the name of the server cannot be resolved (`ENOTFOUND`)',
    https: 'tunnel: status 502',
    reports: ['MITM_DNS_FAILED'],
  },
  {
    ...UNREACHED,
    code: 'dialTimeout({ ms: 50 })',
    fault: (faults) => faults.dialTimeout({ ms: 50 }),
    what: 'the server does not answer, and the mitm gives up after `ms`',
    https: 'tunnel: status 504',
    reports: ['MITM_DIAL_TIMEOUT'],
  },
]
