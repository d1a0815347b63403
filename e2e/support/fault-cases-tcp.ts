/** The fault matrix: messages that break off. */
import type { FaultCase } from './fault-case.ts'

const TCP = { layer: 'tcp' } as const

/** Before a response, for all clients. */
const RESET = {
  chromium: 'ERR_CONNECTION_RESET',
  // It is a race in undici whether it hears of the reset or of the close first.
  undici: ['ECONNRESET', 'UND_ERR_SOCKET'],
  https: 'ECONNRESET',
} as const
const CLOSED = { chromium: 'ERR_EMPTY_RESPONSE', undici: 'UND_ERR_SOCKET', https: 'ECONNRESET' } as const
const HANGS = { chromium: 'hangs', undici: 'hangs', https: 'hangs' } as const
const BODY_HANGS = { chromium: 'body: hangs', undici: 'body: hangs', https: 'body: hangs' } as const
const TRUNCATED = 'succeeds, 10 of 100 octets'

const RESETS: readonly FaultCase[] = [
  {
    ...TCP,
    ...RESET,
    code: 'resetPeer()',
    fault: (faults) => faults.resetPeer(),
    what: 'a TCP reset (RST) in place of the response; the server is not contacted',
  },
  {
    ...TCP,
    ...RESET,
    code: 'resetPeer({ forward: true })',
    fault: (faults) => faults.resetPeer({ forward: true }),
    what: 'the same, but the server gets the request, and its response is lost',
  },
  {
    ...TCP,
    ...RESET,
    code: "resetPeer({ afterBytes: 20, of: 'message' })",
    fault: (faults) => faults.resetPeer({ afterBytes: 20, of: 'message' }),
    what: 'in the middle of the head',
  },
  {
    ...TCP,
    code: 'resetPeer({ afterBytes: 10 })',
    fault: (faults) => faults.resetPeer({ afterBytes: 10 }),
    what: 'in the middle of the body',
    asked: 'content-length',
    chromium: 'body: ERR_CONNECTION_RESET',
    undici: ['body: ECONNRESET', 'body: UND_ERR_SOCKET'],
    https: 'body: ECONNRESET',
  },
  {
    ...TCP,
    code: 'resetPeer({ afterBytes: 10 })',
    fault: (faults) => faults.resetPeer({ afterBytes: 10 }),
    asked: 'chunked',
    chromium: 'body: ERR_CONNECTION_RESET',
    undici: ['body: ECONNRESET', 'body: UND_ERR_SOCKET'],
    https: 'body: ECONNRESET',
  },
  {
    ...TCP,
    code: 'resetPeer({ afterBytes: 10 })',
    fault: (faults) => faults.resetPeer({ afterBytes: 10 }),
    asked: 'until close',
    chromium: 'body: ERR_CONNECTION_RESET',
    undici: TRUNCATED,
    https: [TRUNCATED, 'body: ECONNRESET'],
  },
  {
    ...TCP,
    code: "resetPeer({ afterBytes: 10, side: 'server' })",
    fault: (faults) => faults.resetPeer({ afterBytes: 10, side: 'server' }),
    what: 'the server sees the request break off in its body (of 1000 octets)',
    uploads: 1000,
    ...RESET,
  },
]

const CLOSES: readonly FaultCase[] = [
  {
    ...TCP,
    ...CLOSED,
    code: 'emptyResponse()',
    fault: (faults) => faults.emptyResponse(),
    what: 'the connection is closed (FIN) in place of the response',
  },
  {
    ...TCP,
    code: "limitData({ bytes: 20, of: 'message' })",
    fault: (faults) => faults.limitData({ bytes: 20, of: 'message' }),
    what: 'the connection is closed (FIN) in the middle of the head',
    chromium: 'ERR_RESPONSE_HEADERS_TRUNCATED',
    undici: 'UND_ERR_SOCKET',
    https: 'ECONNRESET',
  },
  {
    ...TCP,
    code: 'limitData({ bytes: 10 })',
    fault: (faults) => faults.limitData({ bytes: 10 }),
    what: 'in the middle of the body',
    asked: 'content-length',
    chromium: 'body: ERR_CONTENT_LENGTH_MISMATCH',
    undici: 'body: UND_ERR_SOCKET',
    https: 'body: ECONNRESET',
  },
  {
    ...TCP,
    code: 'limitData({ bytes: 10 })',
    fault: (faults) => faults.limitData({ bytes: 10 }),
    asked: 'chunked',
    chromium: 'body: ERR_INCOMPLETE_CHUNKED_ENCODING',
    undici: 'body: UND_ERR_SOCKET',
    https: 'body: ECONNRESET',
  },
  {
    ...TCP,
    code: 'limitData({ bytes: 10 })',
    fault: (faults) => faults.limitData({ bytes: 10 }),
    what: 'nobody can tell that anything is missing',
    asked: 'until close',
    chromium: TRUNCATED,
    undici: TRUNCATED,
    https: TRUNCATED,
  },
  {
    ...TCP,
    ...CLOSED,
    code: 'halfClose()',
    fault: (faults) => faults.halfClose(),
    what: 'a FIN in place of the response, but what the client sends is still read',
  },
  {
    ...TCP,
    code: 'halfClose({ afterBytes: 10 })',
    fault: (faults) => faults.halfClose({ afterBytes: 10 }),
    what: 'the same in the middle of the body',
    asked: 'content-length',
    chromium: 'body: ERR_CONTENT_LENGTH_MISMATCH',
    undici: 'body: UND_ERR_SOCKET',
    https: 'body: ECONNRESET',
  },
]

const WAITS: readonly FaultCase[] = [
  {
    ...TCP,
    ...HANGS,
    code: 'timeout()',
    fault: (faults) => faults.timeout(),
    what: 'nothing comes, and the connection stays open',
  },
  {
    ...TCP,
    ...CLOSED,
    code: 'timeout({ ms: 100 })',
    fault: (faults) => faults.timeout({ ms: 100 }),
    what: 'nothing comes, and after `ms` the connection is closed (FIN)',
  },
  {
    ...TCP,
    ...HANGS,
    code: 'stall()',
    fault: (faults) => faults.stall(),
    what: 'nothing comes, until the fault is removed',
  },
  {
    ...TCP,
    ...BODY_HANGS,
    code: 'stall({ afterBytes: 10 })',
    fault: (faults) => faults.stall({ afterBytes: 10 }),
    what: 'the same in the middle of the body',
  },
]

const LATE = { chromium: 'succeeds, late', undici: 'succeeds, late', https: 'succeeds, late' } as const

const PACES: readonly FaultCase[] = [
  {
    layer: 'pace',
    ...LATE,
    code: 'latency({ ms: 200 })',
    fault: (faults) => faults.latency({ ms: 200 }),
    what: 'every octet comes late, at the same rate',
    lateMs: 195,
  },
  {
    layer: 'pace',
    ...LATE,
    code: 'bandwidth({ kbps: 4 })',
    fault: (faults) => faults.bandwidth({ kbps: 4 }),
    what: 'octets pass no faster than that; all exchanges of the rule share it',
    lateMs: 250,
  },
  {
    layer: 'pace',
    ...LATE,
    code: 'slicer({ averageSize: 20, delayMs: 30 })',
    fault: (faults) => faults.slicer({ averageSize: 20, delayMs: 30 }),
    what: 'octets come in small pieces',
    lateMs: 150,
  },
  {
    layer: 'pace',
    ...LATE,
    code: 'packetLoss({ rate: 0.99, rtoMs: 50 })',
    fault: (faults) => faults.packetLoss({ rate: 0.99, rtoMs: 50 }),
    what: 'octets wait until they have been sent again; none is missing',
    lateMs: 50,
  },
  {
    layer: 'pace',
    ...LATE,
    code: 'dribble({ chunks: 5, totalMs: 200 })',
    fault: (faults) => faults.dribble({ chunks: 5, totalMs: 200 }),
    what: 'the body comes in equal pieces at equal distances',
    lateMs: 195,
  },
  {
    layer: 'pace',
    ...LATE,
    code: 'slowClose({ ms: 200 })',
    fault: (faults) => faults.slowClose({ ms: 200 }),
    what: 'the connection is closed late, which only matters where the response ends with it',
    asked: 'until close',
    lateMs: 195,
  },
]

export const TCP_CASES: readonly FaultCase[] = [...RESETS, ...CLOSES, ...WAITS, ...PACES]
