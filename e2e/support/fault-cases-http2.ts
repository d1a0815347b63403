/** The fault matrix: the frames of HTTP/2. */
import type { FaultCase, Seen } from './fault-case.ts'

const HTTP2 = { layer: 'http2' } as const

const BROKEN = 'ERR_HTTP2_PROTOCOL_ERROR'
const TRUNCATED = 'succeeds, 10 of 100 octets'
const OTHER = 'succeeds, with other octets'
/** What Node's client finds out by itself, Node 20 tells nobody of: it ends the session, and lets its streams wait. */
const FOUND_BY_NODE: readonly Seen[] = ['hangs', 'ERR_HTTP2_ERROR']
const FOUND_IN_BODY: readonly Seen[] = ['body: hangs', 'body: ERR_HTTP2_ERROR']
/** For undici, GOAWAY ends all that is under way. */
const GONE = 'UND_ERR_SOCKET'

const HANGS = { chromium: 'hangs', undici: 'hangs', http2: 'hangs' } as const
const BODY_HANGS = { chromium: 'body: hangs', undici: 'body: hangs', http2: 'body: hangs' } as const
const SUCCEEDS = { chromium: 'succeeds', undici: 'succeeds', http2: 'succeeds' } as const

const RESETS: readonly FaultCase[] = [
  {
    ...HTTP2,
    code: "http2Reset('INTERNAL_ERROR')",
    fault: (faults) => faults.http2Reset('INTERNAL_ERROR'),
    what: 'RST_STREAM in place of the response; with codes that are not named below it is the same',
    chromium: BROKEN,
    undici: 'NGHTTP2_INTERNAL_ERROR',
    http2: 'NGHTTP2_INTERNAL_ERROR',
  },
  {
    ...HTTP2,
    code: "http2Reset('ENHANCE_YOUR_CALM', { forward: true })",
    fault: (faults) => faults.http2Reset('ENHANCE_YOUR_CALM', { forward: true }),
    what: 'the server gets the request, and its response is lost',
    chromium: BROKEN,
    undici: 'NGHTTP2_ENHANCE_YOUR_CALM',
    http2: 'NGHTTP2_ENHANCE_YOUR_CALM',
  },
  {
    ...HTTP2,
    code: 'http2Reset(4660)',
    fault: (faults) => faults.http2Reset(4660),
    what: 'a code that nobody has defined',
    chromium: BROKEN,
    undici: 'ERR_HTTP2_STREAM_ERROR',
    http2: 'ERR_HTTP2_STREAM_ERROR',
  },
  {
    ...HTTP2,
    code: "http2Reset('NO_ERROR')",
    fault: (faults) => faults.http2Reset('NO_ERROR'),
    what: 'Node takes it for an end like others',
    chromium: BROKEN,
    undici: 'UND_ERR_INFO',
    http2: 'closes with NO_ERROR',
  },
  {
    ...HTTP2,
    code: "http2Reset('CANCEL')",
    fault: (faults) => faults.http2Reset('CANCEL'),
    what: 'the same',
    chromium: BROKEN,
    undici: 'UND_ERR_INFO',
    http2: 'closes with CANCEL',
  },
  {
    ...HTTP2,
    code: "http2Reset('REFUSED_STREAM')",
    fault: (faults) => faults.http2Reset('REFUSED_STREAM'),
    what: 'the request was not looked at: Chromium sends it three times, and then tells the page',
    chromium: 'ERR_HTTP2_SERVER_REFUSED_STREAM',
    undici: 'NGHTTP2_REFUSED_STREAM',
    http2: 'NGHTTP2_REFUSED_STREAM',
  },
  {
    ...HTTP2,
    code: "http2Reset('HTTP_1_1_REQUIRED')",
    fault: (faults) => faults.http2Reset('HTTP_1_1_REQUIRED'),
    what: 'Chromium sends the request again by HTTP/1.1, where nothing goes wrong with it',
    chromium: 'succeeds',
    undici: 'NGHTTP2_HTTP_1_1_REQUIRED',
    http2: 'NGHTTP2_HTTP_1_1_REQUIRED',
  },
  {
    ...HTTP2,
    code: "http2Reset('INTERNAL_ERROR', { afterBytes: 10 })",
    fault: (faults) => faults.http2Reset('INTERNAL_ERROR', { afterBytes: 10 }),
    what: 'in the middle of the body',
    chromium: `body: ${BROKEN}`,
    undici: 'body: NGHTTP2_INTERNAL_ERROR',
    http2: 'body: NGHTTP2_INTERNAL_ERROR',
  },
  {
    ...HTTP2,
    code: "http2Reset('REFUSED_STREAM', { afterBytes: 10 })",
    fault: (faults) => faults.http2Reset('REFUSED_STREAM', { afterBytes: 10 }),
    what: 'too late for the request to be sent again',
    chromium: 'body: ERR_HTTP2_SERVER_REFUSED_STREAM',
    undici: 'body: NGHTTP2_REFUSED_STREAM',
    http2: 'body: NGHTTP2_REFUSED_STREAM',
  },
  {
    ...HTTP2,
    code: "http2Reset('HTTP_1_1_REQUIRED', { afterBytes: 10 })",
    fault: (faults) => faults.http2Reset('HTTP_1_1_REQUIRED', { afterBytes: 10 }),
    chromium: 'body: ERR_HTTP_1_1_REQUIRED',
    undici: 'body: NGHTTP2_HTTP_1_1_REQUIRED',
    http2: 'body: NGHTTP2_HTTP_1_1_REQUIRED',
  },
  {
    ...HTTP2,
    code: "http2Reset('CANCEL', { afterBytes: 10 })",
    fault: (faults) => faults.http2Reset('CANCEL', { afterBytes: 10 }),
    what: 'undici takes what has come for all of it',
    chromium: `body: ${BROKEN}`,
    undici: TRUNCATED,
    http2: 'body: closes with CANCEL',
  },
  {
    ...HTTP2,
    code: "http2Reset('NO_ERROR', { afterBytes: 10 })",
    fault: (faults) => faults.http2Reset('NO_ERROR', { afterBytes: 10 }),
    what: 'everybody does',
    chromium: TRUNCATED,
    undici: TRUNCATED,
    http2: TRUNCATED,
  },
  {
    ...HTTP2,
    code: "http2Reset('CANCEL', { afterBytes: 10, side: 'server' })",
    fault: (faults) => faults.http2Reset('CANCEL', { afterBytes: 10, side: 'server' }),
    what: 'the server sees the request break off in its body (of 1000 octets); the client is told the same',
    uploads: 1000,
    chromium: BROKEN,
    undici: 'UND_ERR_INFO',
    http2: 'closes with CANCEL',
  },
]

const LEAVES: readonly FaultCase[] = [
  {
    ...HTTP2,
    code: 'http2GoAway()',
    fault: (faults) => faults.http2GoAway(),
    what: 'GOAWAY, and the response behind it; the connection ends when all that is under way is over',
    chromium: 'succeeds',
    undici: GONE,
    http2: 'succeeds',
  },
  {
    ...HTTP2,
    code: "http2GoAway({ code: 'ENHANCE_YOUR_CALM' })",
    fault: (faults) => faults.http2GoAway({ code: 'ENHANCE_YOUR_CALM' }),
    what: 'the same with an error, which ends a session of Node at once',
    chromium: 'succeeds',
    undici: GONE,
    http2: 'ERR_HTTP2_SESSION_ERROR',
  },
  {
    ...HTTP2,
    code: 'http2GoAway({ lastStream: 2147483647 })',
    fault: (faults) => faults.http2GoAway({ lastStream: 2147483647 }),
    what: 'as servers do that leave in two steps: every stream is covered',
    chromium: 'succeeds',
    undici: GONE,
    http2: 'succeeds',
  },
  {
    ...HTTP2,
    code: "http2GoAway({ lastStream: 'before' })",
    fault: (faults) => faults.http2GoAway({ lastStream: 'before' }),
    what: 'the request was not looked at: Chromium sends it three times, on a new connection each, and then tells the page',
    chromium: 'ERR_HTTP2_SERVER_REFUSED_STREAM',
    undici: GONE,
    http2: 'NGHTTP2_REFUSED_STREAM',
  },
  {
    ...HTTP2,
    code: 'http2GoAway({ lastStream: 0 })',
    fault: (faults) => faults.http2GoAway({ lastStream: 0 }),
    what: 'nor was any other that is under way on the connection',
    chromium: 'ERR_HTTP2_SERVER_REFUSED_STREAM',
    undici: GONE,
    http2: 'NGHTTP2_REFUSED_STREAM',
  },
  {
    ...HTTP2,
    code: "http2GoAway({ code: 'ENHANCE_YOUR_CALM', lastStream: 'before' })",
    fault: (faults) => faults.http2GoAway({ code: 'ENHANCE_YOUR_CALM', lastStream: 'before' }),
    what: 'with an error nobody sends it again',
    chromium: BROKEN,
    undici: GONE,
    http2: 'ERR_HTTP2_SESSION_ERROR',
  },
  {
    ...HTTP2,
    code: "http2GoAway({ code: 'HTTP_1_1_REQUIRED', lastStream: 'before' })",
    fault: (faults) => faults.http2GoAway({ code: 'HTTP_1_1_REQUIRED', lastStream: 'before' }),
    what: 'Chromium sends it, and all that is under way, again by HTTP/1.1',
    chromium: 'succeeds',
    undici: GONE,
    http2: 'ERR_HTTP2_SESSION_ERROR',
  },
  {
    ...HTTP2,
    code: "http2GoAway({ lastStream: 'before', afterBytes: 10 })",
    fault: (faults) => faults.http2GoAway({ lastStream: 'before', afterBytes: 10 }),
    what: 'in the middle of the body',
    chromium: 'body: ERR_HTTP2_SERVER_REFUSED_STREAM',
    undici: `body: ${GONE}`,
    http2: 'body: NGHTTP2_REFUSED_STREAM',
  },
]

const WAITS: readonly FaultCase[] = [
  {
    ...HTTP2,
    ...HANGS,
    code: "http2Withhold({ frame: 'HEADERS' })",
    fault: (faults) => faults.http2Withhold({ frame: 'HEADERS' }),
    what: 'the server has answered, but nothing of that comes until the fault is removed',
  },
  {
    ...HTTP2,
    ...BODY_HANGS,
    code: "http2Withhold({ frame: 'DATA' })",
    fault: (faults) => faults.http2Withhold({ frame: 'DATA' }),
    what: 'the same of what is behind the head',
  },
  {
    ...HTTP2,
    ...HANGS,
    code: "http2Withhold({ frame: 'WINDOW_UPDATE' })",
    fault: (faults) => faults.http2Withhold({ frame: 'WINDOW_UPDATE' }),
    what: 'a request (here of 3 MB) gets stuck when as much of it has been sent as the server allowed at first',
    uploads: 3_000_000,
  },
  {
    ...HTTP2,
    ...SUCCEEDS,
    code: "http2Withhold({ frame: 'PING' })",
    fault: (faults) => faults.http2Withhold({ frame: 'PING' }),
    what: 'clients that ping meanwhile give the connection up, after a time of theirs',
  },
  {
    ...HTTP2,
    ...HANGS,
    code: 'http2Settings({ initialWindowSize: 0 })',
    fault: (faults) => faults.http2Settings({ initialWindowSize: 0 }),
    what: 'requests (here of 3 MB) can send nothing more of their bodies, until the fault is removed',
    uploads: 3_000_000,
  },
  {
    ...HTTP2,
    ...SUCCEEDS,
    code: 'http2Settings({ maxConcurrentStreams: 0 })',
    fault: (faults) => faults.http2Settings({ maxConcurrentStreams: 0 }),
    what: 'this request goes well; others on the same connection wait until the fault is removed',
  },
]

/** What is wrong with the frames, and what is seen of it. */
const FLAWS: readonly (readonly [
  flaw: Parameters<Parameters<FaultCase['fault']>[0]['http2IllegalFrame']>[0],
  what: string,
  chromium: Seen,
  undici: FaultCase['undici'],
  http2?: FaultCase['http2'],
])[] = [
  ['oversized', 'a frame longer than the client takes', 'body: ERR_HTTP2_FRAME_SIZE_ERROR', FOUND_IN_BODY],
  ['wrongLength', 'PING of 4 octets', 'ERR_HTTP2_FRAME_SIZE_ERROR', FOUND_BY_NODE],
  ['illegalPadding', 'more padding than the frame is long', `body: ${BROKEN}`, FOUND_IN_BODY],
  ['hpackGarbage', 'a field block that cannot be decoded', 'ERR_HTTP2_COMPRESSION_ERROR', FOUND_BY_NODE],
  ['uppercaseField', 'a field name in upper case', BROKEN, 'NGHTTP2_PROTOCOL_ERROR'],
  ['connectionField', 'a `connection` field', OTHER, 'NGHTTP2_PROTOCOL_ERROR'],
  ['missingStatus', 'a head without `:status`', BROKEN, 'NGHTTP2_PROTOCOL_ERROR'],
  ['contentLengthMismatch', 'a body shorter than its `content-length`', OTHER, 'body: NGHTTP2_PROTOCOL_ERROR'],
  ['dataFirst', 'DATA without a head', BROKEN, FOUND_BY_NODE],
  ['strayContinuation', 'CONTINUATION of nothing', BROKEN, FOUND_BY_NODE],
  ['interruptedHeaders', 'DATA where CONTINUATION must follow', BROKEN, FOUND_BY_NODE],
  ['unknownStream', 'DATA of a stream that nobody has opened', OTHER, FOUND_BY_NODE],
  ['pushPromise', 'a push, which Chromium and undici have forbidden', BROKEN, 'ERR_HTTP2_ERROR', OTHER],
  ['windowOverflow', 'a window beyond 2^31-1', 'ERR_HTTP2_FLOW_CONTROL_ERROR', 'ERR_HTTP2_ERROR'],
  ['zeroWindowUpdate', 'a window that is opened by nothing', 'ERR_HTTP2_FLOW_CONTROL_ERROR', 'ERR_HTTP2_ERROR'],
  ['illegalSettings', 'a setting out of its range', OTHER, 'ERR_HTTP2_ERROR'],
  ['notHttp2', 'HTTP/1.1 between the frames', BROKEN, FOUND_BY_NODE],
]

const ILLEGAL: readonly FaultCase[] = FLAWS.map(([flaw, what, chromium, undici, http2 = undici]) => ({
  ...HTTP2,
  code: `http2IllegalFrame('${flaw}')`,
  fault: (faults) => faults.http2IllegalFrame(flaw),
  what,
  chromium,
  undici,
  http2,
}))

export const HTTP2_FRAME_CASES: readonly FaultCase[] = [...RESETS, ...LEAVES, ...WAITS, ...ILLEGAL]
