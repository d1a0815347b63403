/** Faults of WebSockets, and what a page gets of each. */
import type { Fault } from 'playwright-mitm'
import type { faults as allFaults } from 'playwright-mitm'

/** A fault of a WebSocket that echoes, to which a page sends `one`, `two` and `three` at once. */
export interface SocketFaultCase {
  /** As users write it, behind `faults.`. */
  readonly code: string
  fault(faults: typeof allFaults): Fault
  /** What happens, in order: `open`, messages, `error`, and `close` with its code and whether it was clean. */
  readonly chromium: string
}

const one = (code: string, fault: (faults: typeof allFaults) => Fault, chromium: string): SocketFaultCase => ({
  code,
  fault,
  chromium,
})

const NEVER_OPEN = 'error, close 1006'
const BROKEN = 'open, one, error, close 1006'

export const SOCKET_CASES: readonly SocketFaultCase[] = [
  one('webSocketHandshake(403)', (faults) => faults.webSocketHandshake(403), NEVER_OPEN),
  one("webSocketHandshake('badAccept')", (faults) => faults.webSocketHandshake('badAccept'), NEVER_OPEN),
  one("webSocketHandshake('subprotocol')", (faults) => faults.webSocketHandshake('subprotocol'), NEVER_OPEN),
  one("webSocketHandshake('extension')", (faults) => faults.webSocketHandshake('extension'), NEVER_OPEN),
  one("webSocketHandshake('close')", (faults) => faults.webSocketHandshake('close'), NEVER_OPEN),
  one("webSocketHandshake('reset')", (faults) => faults.webSocketHandshake('reset'), NEVER_OPEN),
  one("webSocketHandshake('stall')", (faults) => faults.webSocketHandshake('stall'), 'nothing'),
  one(
    'webSocketClose(1011, { afterMessages: 1 })',
    (faults) => faults.webSocketClose(1011, { afterMessages: 1 }),
    'open, one, close 1011 clean',
  ),
  one('webSocketClose()', (faults) => faults.webSocketClose(), 'open, close 1005 clean'),
  one(
    'webSocketDrop({ afterMessages: 1 })',
    (faults) => faults.webSocketDrop({ afterMessages: 1 }),
    'open, one, close 1006',
  ),
  one(
    'webSocketDrop({ reset: true, afterMessages: 1 })',
    (faults) => faults.webSocketDrop({ reset: true, afterMessages: 1 }),
    'open, one, close 1006',
  ),
  one(
    "webSocketDrop({ within: 'frame', afterMessages: 1 })",
    (faults) => faults.webSocketDrop({ within: 'frame', afterMessages: 1 }),
    BROKEN,
  ),
  one(
    "webSocketIllegalFrame('mask', { afterMessages: 1 })",
    (faults) => faults.webSocketIllegalFrame('mask', { afterMessages: 1 }),
    BROKEN,
  ),
  one(
    "webSocketIllegalFrame('longPing', { afterMessages: 1 })",
    (faults) => faults.webSocketIllegalFrame('longPing', { afterMessages: 1 }),
    BROKEN,
  ),
  one(
    "webSocketIllegalFrame('strayContinuation', { afterMessages: 1 })",
    (faults) => faults.webSocketIllegalFrame('strayContinuation', { afterMessages: 1 }),
    BROKEN,
  ),
  one('webSocketStall({ afterMessages: 1 })', (faults) => faults.webSocketStall({ afterMessages: 1 }), 'open, one'),
  one('dropMessage({ count: 1 })', (faults) => faults.dropMessage({ count: 1 }), 'open, two, three'),
  one(
    'duplicateMessage({ count: 1 })',
    (faults) => faults.duplicateMessage({ count: 1 }),
    'open, one, one, two, three',
  ),
  one('reorderMessages({ count: 1 })', (faults) => faults.reorderMessages({ count: 1 }), 'open, two, one, three'),
  one('corruptMessage({ count: 1 })', (faults) => faults.corruptMessage({ count: 1 }), 'open, o, two, three'),
  one(
    "injectMessage({ data: 'more', afterMessages: 1 })",
    (faults) => faults.injectMessage({ data: 'more', afterMessages: 1 }),
    'open, one, more, two, three',
  ),
  one('delayMessage({ ms: 50 })', (faults) => faults.delayMessage({ ms: 50 }), 'open, one, two, three'),
]
