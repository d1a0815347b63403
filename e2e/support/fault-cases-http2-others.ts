/** The fault matrix: what the faults of all versions of HTTP come to in HTTP/2. */
import type { FaultCase } from './fault-case.ts'

const HTTP2 = { layer: 'http2' } as const

const OTHER = 'succeeds, with other octets'
const GONE = 'UND_ERR_SOCKET'
const HANGS = { chromium: 'hangs', undici: 'hangs', http2: 'hangs' } as const
const BODY_HANGS = { chromium: 'body: hangs', undici: 'body: hangs', http2: 'body: hangs' } as const
const SUCCEEDS = { chromium: 'succeeds', undici: 'succeeds', http2: 'succeeds' } as const
const LATE = { chromium: 'succeeds, late', undici: 'succeeds, late', http2: 'succeeds, late' } as const
/** It is a race in Node whether it hears of the reset or of the close first. */
const RESET = {
  chromium: 'ERR_CONNECTION_RESET',
  undici: ['ECONNRESET', GONE],
  http2: ['ECONNRESET', 'closes with CANCEL'],
} as const
const CLOSED = { chromium: 'ERR_CONNECTION_CLOSED', undici: GONE, http2: 'closes with CANCEL' } as const
const BODY_CLOSED = {
  chromium: 'body: ERR_CONNECTION_CLOSED',
  undici: `body: ${GONE}`,
  http2: 'body: closes with CANCEL',
} as const

const CONNECTIONS: readonly FaultCase[] = [
  {
    ...HTTP2,
    ...RESET,
    code: 'resetPeer()',
    fault: (faults) => faults.resetPeer(),
    what: 'a TCP reset (RST), which ends all that is under way on the connection',
  },
  {
    ...HTTP2,
    code: 'resetPeer({ afterBytes: 10 })',
    fault: (faults) => faults.resetPeer({ afterBytes: 10 }),
    what: 'in the middle of the body',
    chromium: 'body: ERR_CONNECTION_RESET',
    undici: ['body: ECONNRESET', `body: ${GONE}`],
    http2: ['body: ECONNRESET', 'body: closes with CANCEL'],
  },
  {
    ...HTTP2,
    ...RESET,
    code: "resetPeer({ afterBytes: 10, side: 'server' })",
    fault: (faults) => faults.resetPeer({ afterBytes: 10, side: 'server' }),
    what: 'the server sees the request break off in its body (of 1000 octets)',
    uploads: 1000,
  },
  {
    ...HTTP2,
    ...CLOSED,
    code: 'emptyResponse()',
    fault: (faults) => faults.emptyResponse(),
    what: 'the connection is closed (FIN) in place of the response',
  },
  {
    ...HTTP2,
    ...BODY_CLOSED,
    code: 'limitData({ bytes: 10 })',
    fault: (faults) => faults.limitData({ bytes: 10 }),
    what: 'in the middle of the body',
  },
  {
    ...HTTP2,
    ...CLOSED,
    code: "limitData({ bytes: 10, side: 'server' })",
    fault: (faults) => faults.limitData({ bytes: 10, side: 'server' }),
    what: 'the server gets no more of the request (of 1000 octets), and closes as well',
    uploads: 1000,
  },
  {
    ...HTTP2,
    ...CLOSED,
    code: 'halfClose()',
    fault: (faults) => faults.halfClose(),
    what: 'a FIN in place of the response, but what the client sends is still read',
  },
  {
    ...HTTP2,
    ...CLOSED,
    code: 'timeout({ ms: 100 })',
    fault: (faults) => faults.timeout({ ms: 100 }),
    what: 'nothing comes, and after `ms` the connection is closed (FIN)',
  },
  { ...HTTP2, ...HANGS, code: 'stall()', fault: (faults) => faults.stall(), what: 'nothing comes of this exchange' },
  {
    ...HTTP2,
    ...BODY_HANGS,
    code: 'stall({ afterBytes: 10 })',
    fault: (faults) => faults.stall({ afterBytes: 10 }),
    what: 'the same in the middle of the body',
  },
  {
    ...HTTP2,
    ...LATE,
    code: 'latency({ ms: 200 })',
    fault: (faults) => faults.latency({ ms: 200 }),
    what: 'paces are of each exchange, as its octets would be by HTTP/1',
    lateMs: 195,
  },
  {
    ...HTTP2,
    ...LATE,
    code: 'bandwidth({ kbps: 4 })',
    fault: (faults) => faults.bandwidth({ kbps: 4 }),
    lateMs: 200,
  },
  {
    ...HTTP2,
    ...LATE,
    code: 'dribble({ chunks: 5, totalMs: 200 })',
    fault: (faults) => faults.dribble({ chunks: 5, totalMs: 200 }),
    lateMs: 195,
  },
]

const CONTENTS: readonly FaultCase[] = [
  {
    ...HTTP2,
    code: 'status(503)',
    fault: (faults) => faults.status(503),
    what: 'answers and changed content are the same in all versions',
    chromium: 'status 503',
    undici: 'status 503',
    http2: 'status 503',
  },
  {
    ...HTTP2,
    code: 'redirectLoop()',
    fault: (faults) => faults.redirectLoop(),
    chromium: 'ERR_TOO_MANY_REDIRECTS',
    undici: 'redirect count exceeded',
    http2: 'status 302',
  },
  {
    ...HTTP2,
    ...SUCCEEDS,
    code: 'missingCors()',
    fault: (faults) => faults.missingCors(),
    asked: 'cross-origin',
    chromium: 'ERR_FAILED',
  },
  {
    ...HTTP2,
    code: "corruptEncoding('corrupt', { coding: 'br' })",
    fault: (faults) => faults.corruptEncoding('corrupt', { coding: 'br' }),
    asked: 'gzip',
    chromium: 'body: ERR_CONTENT_DECODING_FAILED',
    undici: 'body: ERR__ERROR_FORMAT_WINDOW_BITS',
    http2: OTHER,
  },
]

export const HTTP2_OTHER_CASES: readonly FaultCase[] = [...CONNECTIONS, ...CONTENTS]
