import { expect, test } from 'vitest'

import * as faults from './faults.ts'

/** Bad options: the call, and what the error must say. */
const refused: readonly [call: string, make: () => unknown, message: RegExp][] = [
  bad('resetPeer', { afterBytes: -1 }, /afterBytes is -1, expected a whole number from 0 on/),
  bad('resetPeer', { after: 1 }, /"after" is not an option, expected afterBytes, of, forward, side/),
  bad('resetPeer', { forward: true, afterBytes: 5 }, /forward is true, expected it only for a fault in place of/),
  bad('resetPeer', { forward: true, side: 'server' }, /forward is true, expected it only/),
  bad('emptyResponse', { forward: 1 }, /forward is 1, expected true or false/),
  bad('emptyResponse', { side: 'server' }, /"side" is not an option, expected forward/),
  bad('limitData', undefined, /its options are undefined, expected an object of bytes, of, side/),
  bad('limitData', {}, /bytes is undefined, expected a whole number from 0 on/),
  bad('limitData', { bytes: 1.5 }, /bytes is 1.5/),
  bad('limitData', { bytes: 1, of: 'head' }, /of is "head", expected "body" or "message"/),
  bad('timeout', { ms: -5 }, /ms is -5, expected milliseconds from 0 on/),
  bad('timeout', { ms: 2 ** 31 }, /ms is 2147483648/),
  bad('stall', { side: 'both' }, /side is "both", expected "client" or "server"/),
  bad('halfClose', { afterBytes: '5' }, /afterBytes is "5"/),
  bad('slowClose', {}, /ms is undefined/),
  bad('latency', {}, /ms is undefined, expected milliseconds/),
  bad('latency', { ms: Number.NaN }, /ms is /),
  bad('latency', { ms: 5, jitterMs: -1 }, /jitterMs is -1/),
  bad('latency', { ms: 5, distribution: 'gauss' }, /distribution is "gauss", expected "uniform" or "normal" or/),
  bad('latency', { ms: 0, jitterMs: 5, distribution: 'lognormal' }, /ms is 0, expected more than 0 for lognormal/),
  bad('bandwidth', { kbps: 0 }, /kbps is 0, expected a number of kilobits a second from 0.001/),
  bad('bandwidth', { kbps: -1 }, /kbps is -1/),
  bad('bandwidth', { kbps: Number.POSITIVE_INFINITY }, /kbps is /),
  bad('slicer', { averageSize: 0 }, /averageSize is 0, expected a whole number from 1 on/),
  bad('slicer', { averageSize: 5, sizeVariation: 5 }, /sizeVariation is 5, expected less than averageSize \(5\)/),
  bad('slicer', { averageSize: 5, delayMs: -1 }, /delayMs is -1/),
  bad('packetLoss', { rate: 1 }, /rate is 1, expected a number from 0 to 0.99/),
  bad('packetLoss', { rate: 0.1, correlation: 1.1 }, /correlation is 1.1, expected a number from 0 to 1/),
  bad('packetLoss', { rate: 0.1, rtoMs: -1 }, /rtoMs is -1/),
  bad('dribble', { chunks: 0, totalMs: 1 }, /chunks is 0, expected a whole number from 1/),
  bad('dribble', { chunks: 1 }, /totalMs is undefined/),
  bad('network', { downKbps: 1, upKbps: 0, rttMs: 1 }, /upKbps is 0/),
  bad('network', { downKbps: 1, upKbps: 1, rttMs: -1 }, /rttMs is -1/),
  bad('network', { downKbps: 1, upKbps: 1, rttMs: 1, lossRate: 1 }, /lossRate is 1/),
  bad('network', 4, /its options are 4, expected an object of downKbps/),
  bad('contentLength', 'short', /flaw is "short", expected "tooLarge" or "tooSmall" or/),
  bad('contentLength', undefined, /flaw is undefined/),
  bad('malformedHead', 'toString', /flaw is "toString", expected "nul" or/),
  bad('largeHead', { bytes: 0 }, /bytes is 0, expected a whole number from 1 to 67108864/),
  bad('malformedChunk', { flaw: 'end' }, /flaw is "end", expected "size" or "lineEnd"/),
  bad('malformedChunk', { headers: { 'a b': 'c' } }, /headers is {"a b":"c"}, expected header fields by name/),
  bad('malformedChunk', { headers: { a: 'c\r\nd' } }, /headers is/),
  bad('malformedChunk', { headers: [['a', 'b']] }, /headers is/),
  bad('randomDataThenClose', { bytes: 0 }, /bytes is 0/),
  bad('randomDataThenClose', { seed: 0.5 }, /seed is 0.5/),
  bad('redirectLoop', { status: 300 }, /status is 300, expected 301, 302, 303, 307, 308/),
  bad('status', 199, /code is 199, expected a whole number from 200 to 599/),
  bad('status', '503', /code is "?503"?, expected/),
  bad('wrongContentType', { type: 'a\nb' }, /type is "a\\nb", expected a text without line ends/),
  bad('corruptEncoding', 'bad', /flaw is "bad", expected "mislabelled" or "corrupt" or "truncated"/),
  bad('duplicateEvent', { index: -1 }, /index is -1/),
  bad('malformedEvent', { flaw: 'json' }, /flaw is "json", expected "data" or "utf8" or "field"/),
  bad('stallAfterEvents', {}, /count is undefined/),
  bad('closeAfterEvents', { count: 1, end: 'stall' }, /end is "stall", expected "close" or "reset"/),
  bad('closeAfterEvents', { count: 1, partialBytes: -1 }, /partialBytes is -1/),
  bad('http2Reset', 'REFUSED', /code is "REFUSED", expected a whole number from 0 to 4294967295 or one of NO_ERROR,/),
  bad('http2Reset', 2 ** 32, /code is 4294967296/),
  bad('http2Reset', -1, /code is -1/),
  bad('http2Reset', 'toString', /code is "toString"/),
  bad('http2GoAway', { code: 1.5 }, /code is 1.5, expected a whole number from 0 to/),
  bad(
    'http2GoAway',
    { lastStream: 'after' },
    /lastStream is "after", expected "this" or "before" or a whole number from/,
  ),
  bad('http2GoAway', { lastStream: 2 ** 31 }, /lastStream is 2147483648/),
  bad('http2GoAway', { afterBytes: 5 }, /afterBytes is 5, expected it only if the stream gets no response/),
  bad('http2GoAway', { lastStream: 'this', forward: true }, /forward is true, expected it only if the stream gets no/),
  bad('http2GoAway', { side: 'server' }, /"side" is not an option, expected code, lastStream, afterBytes, forward/),
  bad(
    'http2Withhold',
    { frame: 'SETTINGS' },
    /frame is "SETTINGS", expected "DATA" or "HEADERS" or "WINDOW_UPDATE" or/,
  ),
  bad('http2Withhold', {}, /frame is undefined/),
  bad('http2Settings', {}, /it was given no setting, expected at least one/),
  bad('http2Settings', { maxFrameSize: 100 }, /maxFrameSize is 100, expected a whole number from 16384 to 16777215/),
  bad('http2Settings', { initialWindowSize: 2 ** 31 }, /initialWindowSize is 2147483648/),
  bad('http2Settings', { enablePush: 1 }, /"enablePush" is not an option/),
  bad('http2IllegalFrame', 'huge', /flaw is "huge", expected "oversized" or "wrongLength" or/),
  [
    'http2Reset with of',
    () => Reflect.apply(faults.http2Reset, undefined, [1, { of: 'message' }]),
    /"of" is not an option, expected afterBytes, forward, side/,
  ],
  [
    'http2Reset with forward towards the server',
    () => faults.http2Reset(1, { forward: true, side: 'server' }),
    /forward is true, expected it only for a fault in place of the response/,
  ],
  ['contentLength with by', () => faults.contentLength('negative', { by: 1 }), /by is 1, expected none for negative/],
  ['contentLength by 0', () => faults.contentLength('tooLarge', { by: 0 }), /by is 0, expected a whole number from 1/],
  ['status with a body', () => faults.status(204, { body: 'x' }), /there is a body, expected none with 204/],
  [
    'status with a time',
    () => faults.status(503, { retryAfter: -1 }),
    /retryAfter is -1, expected a whole number of s/,
  ],
  [
    'status with no time',
    () => faults.status(503, { retryAfter: new Date(Number.NaN) }),
    /retryAfter is null, expected/,
  ],
]

function bad(name: keyof typeof faults, options: unknown, message: RegExp): [string, () => unknown, RegExp] {
  const make: unknown = Reflect.get(faults, name)
  if (typeof make !== 'function') throw new TypeError(`${name} is no fault`)
  return [`${name} with ${JSON.stringify(options)}`, () => Reflect.apply(make, undefined, [options]), message]
}

test.each(refused)('%s is refused', (_call, make, message) => {
  expect(make).toThrow(expect.objectContaining({ code: 'MITM_INVALID_FAULT' }))
  expect(make).toThrow(message)
})

/** What each fault says of itself. */
const texts: readonly [fault: { readonly name: string; readonly text: string }, text: string][] = [
  [faults.resetPeer(), 'resetPeer in place of the response'],
  [faults.resetPeer({ forward: true }), 'resetPeer in place of the response, which the server has sent'],
  [faults.emptyResponse(), 'emptyResponse in place of the response'],
  [faults.limitData({ bytes: 1 }), "limitData after 1 octet of the response's body"],
  [faults.limitData({ bytes: 9, of: 'message', side: 'server' }), 'limitData after 9 octets of the request'],
  [faults.timeout(), 'timeout in place of the response, without an end'],
  [faults.timeout({ ms: 5, side: 'server' }), 'timeout in place of the request, closed after 5 ms'],
  [faults.stall({ afterBytes: 0 }), "stall after 0 octets of the response's body"],
  [faults.halfClose(), 'halfClose in place of the response'],
  [faults.slowClose({ ms: 5 }), 'slowClose of 5 ms towards the client'],
  [faults.latency({ ms: 5 }), 'latency of 5 ms towards the client'],
  [faults.latency({ ms: 5, jitterMs: 1, side: 'server' }), 'latency of 5 ms ± 1 ms (uniform) towards the server'],
  [faults.bandwidth({ kbps: 400 }), 'bandwidth of 400 kbit/s towards the client'],
  [
    faults.slicer({ averageSize: 8, sizeVariation: 4, delayMs: 20 }),
    'slicer into pieces of 8 ± 4 octets, 20 ms apart, towards the client',
  ],
  [faults.packetLoss({ rate: 0.07, correlation: 0.5 }), 'packetLoss of 7 %, correlated by 0.5, towards the client'],
  [faults.dribble({ chunks: 5, totalMs: 100 }), 'dribble in 5 pieces over 100 ms towards the client'],
  [faults.network('Slow 4G'), 'network "Slow 4G" of 1600 kbit/s down, 750 kbit/s up, 150 ms round trip'],
  [
    faults.network({ downKbps: 1, upKbps: 2, rttMs: 3, lossRate: 0.01 }),
    'network of 1 kbit/s down, 2 kbit/s up, 3 ms round trip, 1 % lost',
  ],
  [faults.contentLength('tooLarge'), 'contentLength tooLarge by 1'],
  [faults.contentLength('negative'), 'contentLength negative'],
  [faults.malformedHead('obsFold'), 'malformedHead obsFold'],
  [faults.largeHead({ bytes: 9 }), 'largeHead of 9 octets'],
  [faults.twoLocations(), 'twoLocations'],
  [faults.unsolicited100(), 'unsolicited100'],
  [faults.unsolicited101(), 'unsolicited101'],
  [faults.malformedChunk(), 'malformedChunk size'],
  [faults.randomDataThenClose({ bytes: 5 }), 'randomDataThenClose of 5 octets'],
  [faults.redirectLoop(), 'redirectLoop with 302'],
  [faults.status(503, { retryAfter: 2 }), 'status 503, retry after 2'],
  [faults.missingCors(), 'missingCors'],
  [faults.wrongContentType({ type: 'text/html' }), 'wrongContentType text/html'],
  [faults.corruptEncoding('corrupt', { coding: 'br' }), 'corruptEncoding corrupt br'],
  [faults.http2Reset('REFUSED_STREAM'), 'http2Reset 7 (REFUSED_STREAM) in place of the response'],
  [faults.http2Reset(255, { afterBytes: 1 }), "http2Reset 255 after 1 octet of the response's body"],
  [faults.http2GoAway(), 'http2GoAway 0 (NO_ERROR), the last stream is this'],
  [
    faults.http2GoAway({ code: 11, lastStream: 'before', forward: true }),
    'http2GoAway 11 (ENHANCE_YOUR_CALM), the last stream is the one before, in place of the response, which the server has sent',
  ],
  [
    faults.http2GoAway({ lastStream: 7, afterBytes: 0 }),
    "http2GoAway 0 (NO_ERROR), the last stream is 7, after 0 octets of the response's body",
  ],
  [faults.http2Withhold({ frame: 'DATA' }), 'http2Withhold DATA'],
  [
    faults.http2Settings({ maxConcurrentStreams: 0, headerTableSize: 5 }),
    'http2Settings maxConcurrentStreams 0, headerTableSize 5',
  ],
  [faults.http2IllegalFrame('dataFirst'), 'http2IllegalFrame dataFirst'],
  [faults.duplicateEvent({ index: 2 }), 'duplicateEvent 2'],
  [faults.malformedEvent(), 'malformedEvent 0 (data)'],
  [faults.stallAfterEvents({ count: 1 }), 'stallAfterEvents after 1 event'],
  [
    faults.closeAfterEvents({ count: 2, end: 'reset', partialBytes: 3 }),
    'closeAfterEvents after 2 events and 3 octets more, by a reset',
  ],
]

test.each(texts)('$name says what it does', (fault, text) => {
  expect(fault.text).toBe(text)
  expect(text.startsWith(fault.name)).toBe(true)
  expect(fault.name in faults).toBe(true)
})
