/** The fault matrix: servers that cannot be reached, and proxies that misbehave. */
import type { FaultCase } from './fault-case.ts'

/** Chromium is told by SOCKS5 in the fixtures; what it says with an HTTP proxy is in `connect`. */
const UNREACHED = {
  layer: 'reach',
  chromium: 'ERR_SOCKS_CONNECTION_FAILED',
  connect: 'ERR_TUNNEL_CONNECTION_FAILED',
  undici: 'UND_ERR_ABORTED',
} as const

const DIALS: readonly FaultCase[] = [
  {
    ...UNREACHED,
    code: 'refuseConnection()',
    fault: (faults) => faults.refuseConnection(),
    what: 'nobody listens on the port of the server (`ECONNREFUSED`)',
    https: 'tunnel: status 502',
  },
  {
    ...UNREACHED,
    code: 'unreachable()',
    fault: (faults) => faults.unreachable(),
    what: 'there is no way to the server (`EHOSTUNREACH`)',
    https: 'tunnel: status 502',
  },
  {
    ...UNREACHED,
    code: 'dnsFailure()',
    fault: (faults) => faults.dnsFailure(),
    what: 'the name of the server cannot be resolved (`ENOTFOUND`)',
    https: 'tunnel: status 502',
  },
  {
    ...UNREACHED,
    code: 'dialTimeout({ ms: 50 })',
    fault: (faults) => faults.dialTimeout({ ms: 50 }),
    what: 'the server does not answer, and the mitm gives up after `ms`',
    https: 'tunnel: status 504',
  },
]

/** A proxy that refuses. */
const REFUSED = {
  layer: 'reach',
  chromium: 'ERR_SOCKS_CONNECTION_FAILED',
  connect: 'ERR_TUNNEL_CONNECTION_FAILED',
  undici: 'UND_ERR_ABORTED',
} as const

const TUNNELS: readonly FaultCase[] = [
  {
    ...REFUSED,
    code: 'connectStatus(503)',
    fault: (faults) => faults.connectStatus(503),
    what: 'the proxy answers CONNECT so; to SOCKS, with a general failure',
    https: 'tunnel: status 503',
  },
  {
    ...REFUSED,
    code: 'connectStatus(407)',
    fault: (faults) => faults.connectStatus(407),
    what: 'the proxy wants a password. Chromium hands this very response to the page, without a body',
    connect: 'body: ERR_TUNNEL_CONNECTION_FAILED',
    https: 'tunnel: status 407',
  },
  {
    ...REFUSED,
    code: 'socksReply(5)',
    fault: (faults) => faults.socksReply(5),
    what: 'the proxy answers SOCKS so (RFC 1928 section 6); to CONNECT, with 502',
    https: 'tunnel: status 502',
  },
  {
    layer: 'reach',
    code: 'connectClose()',
    fault: (faults) => faults.connectClose(),
    what: 'the proxy closes the connection (FIN) in place of a reply',
    chromium: 'ERR_SOCKS_CONNECTION_FAILED',
    connect: 'ERR_EMPTY_RESPONSE',
    undici: 'connects without end',
    https: 'tunnel: ECONNRESET',
  },
  {
    layer: 'reach',
    code: 'connectReset()',
    fault: (faults) => faults.connectReset(),
    what: 'the proxy resets the connection (RST) in place of a reply',
    chromium: 'ERR_CONNECTION_RESET',
    connect: 'ERR_CONNECTION_RESET',
    undici: ['ECONNRESET', 'UND_ERR_SOCKET'],
    https: 'tunnel: ECONNRESET',
  },
  {
    layer: 'reach',
    code: 'connectGarbage()',
    fault: (faults) => faults.connectGarbage(),
    what: 'the proxy replies with octets that are none of its protocol',
    chromium: 'ERR_SOCKS_CONNECTION_FAILED',
    connect: 'ERR_TUNNEL_CONNECTION_FAILED',
    undici: 'HTTPParserError',
    https: 'tunnel: HPE_INVALID_CONSTANT',
  },
  {
    layer: 'reach',
    code: 'connectStall()',
    fault: (faults) => faults.connectStall(),
    what: 'the proxy never replies',
    chromium: 'hangs',
    connect: 'hangs',
    undici: 'hangs',
    https: 'hangs',
  },
  {
    layer: 'reach',
    code: 'connectDelay({ ms: 200 })',
    fault: (faults) => faults.connectDelay({ ms: 200 }),
    what: 'the proxy replies late',
    lateMs: 195,
    chromium: 'succeeds, late',
    connect: 'succeeds, late',
    undici: 'succeeds, late',
    https: 'succeeds, late',
  },
]

export const REACH_CASES: readonly FaultCase[] = [...DIALS, ...TUNNELS]
