/** The fault matrix: WebSockets, as pages and workers of Chromium see them, and the clients of Node. */
import type { FaultCase } from './fault-case.ts'

/**
 * One row. The socket echoes, and the client sends `one`, `two` and `three` when it is open. What is seen, in order: `open`,
 * messages, `error` (of `ws` with its code), and `close` with its code, and `clean` where it was; `nothing` when there was
 * nothing; and so it remains for now, where no `close` is the last.
 */
export interface SocketFaultCase extends Pick<FaultCase, 'code' | 'fault' | 'what'> {
  readonly chromium: string
  /** Where versions of Chromium differ, or one does: it calls a close unclean that comes while it has not sent all that it was given. */
  readonly orChromium?: string
  /** @defaultValue as `chromium` */
  readonly undici?: string
  /** @defaultValue as `undici` */
  readonly ws?: string
  /** For so many milliseconds nothing happens, and then something does. */
  readonly quietMs?: number
}

/** For so many milliseconds nothing happens when nothing more will. */
export const QUIET_MS = 700

const NEVER_OPEN = 'error, close 1006'
const BROKEN = 'open, one, error, close 1006'

function refused(how: string, what: string, ws: string): SocketFaultCase {
  const given: unknown = /^\d/.test(how) ? Number(how) : how.slice(1, -1)
  return {
    code: `webSocketHandshake(${how})`,
    // A boundary: the types of the arguments are those of the table.
    fault: (faults) => faults.webSocketHandshake(given as 403),
    what,
    chromium: NEVER_OPEN,
    ws: `error ${ws}, close 1006`,
  }
}

/** At once: what came shortly before such a frame may get lost in Chromium, where both come in one piece. */
function illegal(kind: string, what: string, ws: string): SocketFaultCase {
  return {
    code: `webSocketIllegalFrame('${kind}')`,
    // A boundary, as above.
    fault: (faults) => faults.webSocketIllegalFrame(kind as 'mask'),
    what,
    chromium: 'open, error, close 1006',
    ws: `open, error ${ws}, close 1006`,
  }
}

export const SOCKET_CASES: readonly SocketFaultCase[] = [
  refused('403', 'a status in place of 101', 'Unexpected server response: 403'),
  refused('200', '', 'Unexpected server response: 200'),
  refused("'badAccept'", '`Sec-WebSocket-Accept` does not fit the key', 'Invalid Sec-WebSocket-Accept header'),
  refused("'missingAccept'", 'it is not there', 'Invalid Sec-WebSocket-Accept header'),
  refused("'subprotocol'", 'one is chosen that was not asked for', 'Server sent a subprotocol but none was requested'),
  refused("'extension'", 'one is used that was not asked for', 'Server indicated an extension that was not requested'),
  refused("'upgrade'", '`Upgrade` names another protocol', 'Invalid Upgrade header'),
  refused("'close'", 'a FIN in place of the response', 'ECONNRESET'),
  refused("'reset'", 'a reset in place of the response', 'ECONNRESET'),
  {
    code: "webSocketHandshake('stall')",
    fault: (faults) => faults.webSocketHandshake('stall'),
    what: 'no response comes',
    chromium: 'nothing',
  },
  {
    code: 'webSocketClose(1000)',
    fault: (faults) => faults.webSocketClose(1000),
    what: 'a close frame, as of the server',
    chromium: 'open, close 1000 clean',
    orChromium: 'open, close 1000',
  },
  {
    code: 'webSocketClose(1011, { afterMessages: 1 })',
    fault: (faults) => faults.webSocketClose(1011, { afterMessages: 1 }),
    chromium: 'open, one, close 1011 clean',
  },
  {
    code: 'webSocketClose(4000)',
    fault: (faults) => faults.webSocketClose(4000),
    chromium: 'open, close 4000 clean',
    orChromium: 'open, close 4000',
  },
  {
    code: 'webSocketClose()',
    fault: (faults) => faults.webSocketClose(),
    what: 'an empty one',
    chromium: 'open, close 1005 clean',
    orChromium: 'open, close 1005',
  },
  {
    code: 'webSocketDrop({ afterMessages: 1 })',
    fault: (faults) => faults.webSocketDrop({ afterMessages: 1 }),
    what: 'a FIN without a close frame',
    chromium: 'open, one, close 1006',
    undici: BROKEN,
    ws: 'open, one, close 1006',
  },
  {
    code: 'webSocketDrop({ reset: true, afterMessages: 1 })',
    fault: (faults) => faults.webSocketDrop({ reset: true, afterMessages: 1 }),
    what: 'a reset',
    chromium: 'open, one, close 1006',
    undici: BROKEN,
    ws: 'open, one, close 1006',
  },
  {
    code: "webSocketDrop({ within: 'message', afterMessages: 1 })",
    fault: (faults) => faults.webSocketDrop({ within: 'message', afterMessages: 1 }),
    what: 'a FIN behind a first fragment',
    chromium: 'open, one, close 1006',
    undici: BROKEN,
    ws: 'open, one, close 1006',
  },
  {
    code: "webSocketDrop({ within: 'frame', afterMessages: 1 })",
    fault: (faults) => faults.webSocketDrop({ within: 'frame', afterMessages: 1 }),
    what: 'a FIN in the middle of a frame',
    chromium: BROKEN,
    // Where both are read at once, the message before is lost with the frame.
    orChromium: 'open, error, close 1006',
    undici: BROKEN,
    ws: 'open, one, close 1006',
  },
  illegal('mask', 'a frame of the server is masked', 'WS_ERR_UNEXPECTED_MASK'),
  illegal('rsv1', 'a reserved bit; no compression can be read', 'WS_ERR_UNEXPECTED_RSV_1'),
  illegal('rsv2', 'another one', 'WS_ERR_UNEXPECTED_RSV_2_3'),
  illegal('rsv3', 'another one', 'WS_ERR_UNEXPECTED_RSV_2_3'),
  illegal('opcode3', 'a data frame of an unknown kind', 'WS_ERR_INVALID_OPCODE'),
  illegal('opcode11', 'a control frame of an unknown kind', 'WS_ERR_INVALID_OPCODE'),
  illegal('badUtf8', 'a text that is no UTF-8', 'WS_ERR_INVALID_UTF8'),
  illegal('longPing', 'a ping of 126 octets', 'WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH'),
  illegal('fragmentedPing', 'a ping in fragments', 'WS_ERR_EXPECTED_FIN'),
  illegal('strayContinuation', 'the rest of no message', 'WS_ERR_INVALID_OPCODE'),
  illegal('interleavedText', 'a message within another', 'WS_ERR_INVALID_OPCODE'),
  illegal('hugeLength', 'a length of 2^63', 'WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH'),
  illegal('close1005', 'a code that must not be sent', 'WS_ERR_INVALID_CLOSE_CODE'),
  illegal('close1006', '', 'WS_ERR_INVALID_CLOSE_CODE'),
  illegal('close1015', '', 'WS_ERR_INVALID_CLOSE_CODE'),
  {
    ...illegal('close2999', 'a code that nobody has defined', 'WS_ERR_INVALID_CLOSE_CODE'),
    orChromium: 'open, close 2999 clean',
    undici: 'open, error, close 1006',
  },
  illegal('closeOneByte', 'half a code', 'WS_ERR_INVALID_CONTROL_PAYLOAD_LENGTH'),
  illegal('closeBadUtf8', 'a reason that is no UTF-8', 'WS_ERR_INVALID_UTF8'),
  {
    code: 'webSocketStall({ afterMessages: 1 })',
    fault: (faults) => faults.webSocketStall({ afterMessages: 1 }),
    what: 'nothing more comes',
    chromium: 'open, one',
  },
  {
    code: 'webSocketStall({ close: 1001 })',
    fault: (faults) => faults.webSocketStall({ close: 1001 }),
    what: 'a close frame, and the connection stays open',
    chromium: 'open, close 1001 clean',
    undici: 'open',
    ws: 'open, close 1001 clean',
    quietMs: 4000,
  },
  {
    code: 'dropMessage({ count: 1 })',
    fault: (faults) => faults.dropMessage({ count: 1 }),
    what: 'a message does not come',
    chromium: 'open, two, three',
  },
  {
    code: 'delayMessage({ ms: 50 })',
    fault: (faults) => faults.delayMessage({ ms: 50 }),
    what: 'messages come late',
    chromium: 'open, one, two, three',
  },
  {
    code: 'duplicateMessage({ count: 1 })',
    fault: (faults) => faults.duplicateMessage({ count: 1 }),
    what: 'a message comes twice',
    chromium: 'open, one, one, two, three',
  },
  {
    code: 'reorderMessages({ count: 1 })',
    fault: (faults) => faults.reorderMessages({ count: 1 }),
    what: 'a message comes behind the next one',
    chromium: 'open, two, one, three',
  },
  {
    code: 'corruptMessage({ count: 1 })',
    fault: (faults) => faults.corruptMessage({ count: 1 }),
    what: 'half of a message comes',
    chromium: 'open, o, two, three',
  },
  {
    code: "injectMessage({ data: 'more', afterMessages: 1 })",
    fault: (faults) => faults.injectMessage({ data: 'more', afterMessages: 1 }),
    what: 'a message comes that nobody has sent',
    chromium: 'open, one, more, two, three',
  },
]

/** What a client of Node is to see. */
export function expectedOfSocket(
  { chromium, undici = chromium, ws = undici }: SocketFaultCase,
  client: 'undici' | 'ws',
): string {
  return client === 'undici' ? undici : ws
}
