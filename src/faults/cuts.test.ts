import { expect, test } from 'vitest'

import type { CutPart, Fault } from '../fault.ts'
import {
  closeAfterEvents,
  emptyResponse,
  halfClose,
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

test.each(cuts)('$text is one cut', (fault, part) => {
  expect(fault.parts).toEqual([part])
})
