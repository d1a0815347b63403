import type { Fault, FaultyHttp2Frame, Http2Part } from '../fault.ts'
import type { Field } from '../http-message.ts'
import { invalidFault, oneOf, show } from './check.ts'

/** What is wrong with the frames of a response. See {@link http2IllegalFrame}. */
export type Http2FrameFlaw =
  | 'oversized'
  | 'wrongLength'
  | 'illegalPadding'
  | 'hpackGarbage'
  | 'uppercaseField'
  | 'connectionField'
  | 'missingStatus'
  | 'contentLengthMismatch'
  | 'dataFirst'
  | 'strayContinuation'
  | 'interruptedHeaders'
  | 'unknownStream'
  | 'pushPromise'
  | 'windowOverflow'
  | 'zeroWindowUpdate'
  | 'illegalSettings'
  | 'notHttp2'

/** RFC 9113 section 6. */
const DATA = 0
const HEADERS = 1
const SETTINGS = 4
const PUSH_PROMISE = 5
const PING = 6
const WINDOW_UPDATE = 8
const CONTINUATION = 9

const END_STREAM = 0x1
const END_HEADERS = 0x4
const PADDED = 0x8

const STATUS: Field = [':status', '200']
const OK: readonly Field[] = [STATUS, ['content-type', 'text/plain']]
/**
 * A field of the static table. A head that a session of `node:http2` reads, and refuses, has no others before what is wrong
 * with it: Node 20 aborts the process where fields in memory of their own are left over.
 */
const STATIC: Field = ['accept-encoding', 'gzip, deflate']
const BODY = Buffer.from('playwright-mitm')

function head(fields: readonly Field[], flags: number = END_HEADERS): FaultyHttp2Frame {
  return { type: HEADERS, flags, fields }
}

/** The end of a response, for clients that mind nothing. */
const body: FaultyHttp2Frame = { type: DATA, flags: END_STREAM, payload: BODY }

function uint32(value: number): Buffer {
  const octets = Buffer.alloc(4)
  octets.writeUInt32BE(value)
  return octets
}

const overflow: FaultyHttp2Frame = { type: WINDOW_UPDATE, payload: uint32(2 ** 31 - 1) }

const FRAMES: Readonly<Record<Exclude<Http2FrameFlaw, 'notHttp2'>, readonly FaultyHttp2Frame[]>> = {
  // Whatever the client allows, it can hardly be as much.
  oversized: [head(OK), { ...body, length: 2 ** 24 - 1 }],
  wrongLength: [{ type: PING, stream: 'connection', payload: Buffer.alloc(4) }, head(OK), body],
  illegalPadding: [head(OK), { ...body, flags: END_STREAM | PADDED, payload: Buffer.from([BODY.length + 1, ...BODY]) }],
  // An index that is in no table (RFC 7541 section 6.1).
  hpackGarbage: [{ type: HEADERS, flags: END_HEADERS, payload: Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f]) }],
  uppercaseField: [head([STATUS, ['X-Upper-Case', 'a']]), body],
  connectionField: [head([STATUS, ['connection', 'keep-alive']]), body],
  missingStatus: [head([STATIC]), body],
  contentLengthMismatch: [head([...OK, ['content-length', '100']]), body],
  dataFirst: [body],
  strayContinuation: [{ type: CONTINUATION, flags: END_HEADERS, fields: [STATUS] }],
  interruptedHeaders: [head([STATUS], 0), body],
  unknownStream: [{ ...body, stream: { above: 1000 } }, head(OK), body],
  pushPromise: [
    {
      type: PUSH_PROMISE,
      flags: END_HEADERS,
      payload: uint32(2),
      fields: [
        [':method', 'GET'],
        [':scheme', 'https'],
        [':authority', 'pushed.test'],
        [':path', '/'],
      ],
    },
    head(OK),
    body,
  ],
  windowOverflow: [overflow, overflow, head(OK), body],
  zeroWindowUpdate: [{ type: WINDOW_UPDATE, payload: uint32(0) }, head(OK), body],
  illegalSettings: [
    // INITIAL_WINDOW_SIZE (4) beyond the largest.
    { type: SETTINGS, stream: 'connection', payload: Buffer.from([0, 4, ...uint32(2 ** 31)]) },
    head(OK),
    body,
  ],
}

/** What an HTTP/1 server says to what it does not understand. */
const NOT_HTTP2 = 'HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n'

/**
 * Sends frames in place of the response that break the rules of HTTP/2, as no server should. Clients end the stream, or
 * the whole connection with all that is under way on it. No effect on exchanges by HTTP/1.
 *
 * @param flaw - `'oversized'`: a frame longer than any client takes. `'wrongLength'`: a PING of 4 octets.
 *   `'illegalPadding'`: more of it than the frame is long. `'hpackGarbage'`: a field block that cannot be decoded.
 *   `'uppercaseField'`: a name in upper case. `'connectionField'`: a `connection` field. `'missingStatus'`: a head without
 *   `:status`. `'contentLengthMismatch'`: a body shorter than its `content-length`. `'dataFirst'`: DATA without a head.
 *   `'strayContinuation'`: CONTINUATION of nothing. `'interruptedHeaders'`: DATA where CONTINUATION must follow.
 *   `'unknownStream'`: DATA of a stream that nobody has opened. `'pushPromise'`: a push that nobody wants.
 *   `'windowOverflow'`: a window beyond 2^31-1. `'zeroWindowUpdate'`: one by nothing. `'illegalSettings'`: a value out of
 *   range. `'notHttp2'`: HTTP/1.1 between the frames.
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 * @see RFC 9113 sections 4 to 8: https://www.rfc-editor.org/rfc/rfc9113#section-5.4
 *
 * @example
 * ```ts
 * import { faults } from 'playwright-mitm/core'
 * import type { TestMitm } from 'playwright-mitm/core'
 *
 * export function answerLikeABrokenServer(mitm: TestMitm): void {
 *   mitm.get('https://shop.test/api/stock').fault(faults.http2IllegalFrame('hpackGarbage'))
 * }
 * ```
 */
export function http2IllegalFrame(flaw: Http2FrameFlaw): Fault {
  const expected = oneOf(...Object.keys(FRAMES), 'notHttp2')(flaw)
  if (expected !== undefined) {
    throw invalidFault('http2IllegalFrame', `flaw is ${show(flaw)}, expected ${expected}`)
  }
  const failure: Http2Part['failure'] =
    flaw === 'notHttp2' ? { kind: 'octets', octets: Buffer.from(NOT_HTTP2) } : { kind: 'frames', frames: FRAMES[flaw] }
  return {
    name: 'http2IllegalFrame',
    text: `http2IllegalFrame ${flaw}`,
    parts: [{ stage: 'http2', failure }],
    http2: 'needed',
  }
}
