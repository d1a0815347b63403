import { expect, test } from 'vitest'

import type { CutPart, Fault } from '../fault.ts'
import {
  closeAfterEvents,
  emptyResponse,
  halfClose,
  http2GoAway,
  http2Reset,
  http2Withhold,
  limitData,
  resetPeer,
  stall,
  stallAfterEvents,
  timeout,
} from './faults.ts'

const plain: CutPart = {
  stage: 'cut',
  side: 'client',
  afterBytes: undefined,
  countsHead: false,
  forwards: false,
  end: 'close',
  afterMs: 0,
}

const cuts: readonly [fault: Fault, part: CutPart][] = [
  [resetPeer(), { ...plain, end: 'reset' }],
  [resetPeer({ forward: true }), { ...plain, end: 'reset', forwards: true }],
  [
    resetPeer({ afterBytes: 3, of: 'message', side: 'server' }),
    { ...plain, side: 'server', afterBytes: 3, countsHead: true, end: 'reset' },
  ],
  [emptyResponse(), plain],
  [emptyResponse({ forward: true }), { ...plain, forwards: true }],
  [limitData({ bytes: 0 }), { ...plain, afterBytes: 0 }],
  [
    limitData({ bytes: 7, of: 'message', side: 'server' }),
    { ...plain, side: 'server', afterBytes: 7, countsHead: true },
  ],
  [timeout(), { ...plain, end: 'stall' }],
  [timeout({ ms: 50, forward: true }), { ...plain, forwards: true, afterMs: 50 }],
  [timeout({ ms: 50, side: 'server' }), { ...plain, side: 'server', afterMs: 50 }],
  [stall(), { ...plain, end: 'stall' }],
  [stall({ afterBytes: 9 }), { ...plain, afterBytes: 9, end: 'stall' }],
  [halfClose({ afterBytes: 9 }), { ...plain, afterBytes: 9, end: 'halfClose' }],
  [stallAfterEvents({ count: 2 }), { ...plain, afterBytes: 0, afterEvents: 2, end: 'stall' }],
  [closeAfterEvents({ count: 2 }), { ...plain, afterBytes: 0, afterEvents: 2 }],
  [
    closeAfterEvents({ count: 0, end: 'reset', partialBytes: 4 }),
    { ...plain, afterBytes: 4, afterEvents: 0, end: 'reset' },
  ],
]

const http2Cuts: readonly [fault: Fault, part: CutPart, http2: Fault['http2']][] = [
  [http2Reset(7), { ...plain, end: 'reset', http2: { kind: 'reset', code: 7 } }, 'wanted'],
  [
    http2Reset('CANCEL', { afterBytes: 3, side: 'server' }),
    { ...plain, side: 'server', afterBytes: 3, end: 'reset', http2: { kind: 'reset', code: 8 } },
    'wanted',
  ],
  [http2Reset(13), { ...plain, end: 'reset', http2: { kind: 'reset', code: 13 } }, 'needed'],
  [
    http2GoAway({ lastStream: 'before', forward: true }),
    { ...plain, forwards: true, http2: { kind: 'goAway', code: 0, last: 'before' } },
    'wanted',
  ],
  [
    http2GoAway({ code: 13, lastStream: 0, afterBytes: 2 }),
    { ...plain, afterBytes: 2, http2: { kind: 'goAway', code: 13, last: 0 } },
    'needed',
  ],
  [http2Withhold({ frame: 'DATA' }), { ...plain, afterBytes: 0, end: 'stall' }, 'wanted'],
  [http2Withhold({ frame: 'HEADERS' }), { ...plain, forwards: true, end: 'stall' }, 'wanted'],
]

test.each(http2Cuts)('$text is one cut of HTTP/2', (fault, part, http2) => {
  expect(fault.parts).toEqual([part])
  expect(fault.http2).toBe(http2)
})

test.each(cuts)('$text is one cut', (fault, part) => {
  expect(fault.parts).toEqual([part])
})
