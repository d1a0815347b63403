/** The fault matrix: streams of server-sent events, as an EventSource of Chromium sees them. */
import type { FaultCase } from './fault-case.ts'

/**
 * One row. The stream has the events `one`, `two` and `three` with the ids 1, 2 and 3, and then stays open. What is seen are
 * events, and in which state the source is after an error. A fault acts once.
 */
export interface EventCase extends Pick<FaultCase, 'code' | 'fault' | 'what'> {
  readonly seen: readonly string[]
  /** Whether nothing more comes. Else the stream goes on to `three`, or to where the source has connected anew. */
  readonly hangs?: boolean
}

/** The source connects anew. */
export const TRIES_AGAIN = 'tries again'
/** The source does not: its `readyState` is `CLOSED`. */
export const GIVES_UP = 'gives up'

/** What the server says to a source that has connected anew. */
export function resumed(lastEventId: string | undefined): string {
  return `\`Last-Event-ID: ${lastEventId ?? ''}\``
}

export const EVENT_CASES: readonly EventCase[] = [
  {
    code: 'closeAfterEvents({ count: 2 })',
    fault: (faults) => faults.closeAfterEvents({ count: 2 }),
    what: 'the connection is closed (FIN) behind so many events',
    seen: ['one', 'two', TRIES_AGAIN, resumed('2')],
  },
  {
    code: "closeAfterEvents({ count: 2, end: 'reset' })",
    fault: (faults) => faults.closeAfterEvents({ count: 2, end: 'reset' }),
    what: 'the same by a reset (RST)',
    seen: ['one', 'two', TRIES_AGAIN, resumed('2')],
  },
  {
    code: 'closeAfterEvents({ count: 1, partialBytes: 10 })',
    fault: (faults) => faults.closeAfterEvents({ count: 1, partialBytes: 10 }),
    what: 'in the middle of an event, which is then discarded',
    seen: ['one', TRIES_AGAIN, resumed('1')],
  },
  {
    code: 'stallAfterEvents({ count: 2 })',
    fault: (faults) => faults.stallAfterEvents({ count: 2 }),
    what: 'nothing more comes, and the connection stays open',
    seen: ['one', 'two'],
    hangs: true,
  },
  {
    code: 'resetPeer()',
    fault: (faults) => faults.resetPeer(),
    what: 'a reset before the response; the source tries again after its default of 3 s',
    seen: [TRIES_AGAIN],
    hangs: true,
  },
  {
    code: 'emptyResponse()',
    fault: (faults) => faults.emptyResponse(),
    what: 'the connection is closed before the response',
    seen: [TRIES_AGAIN],
    hangs: true,
  },
  {
    code: 'status(503)',
    fault: (faults) => faults.status(503),
    what: 'any status but 200, also 204',
    seen: [GIVES_UP],
  },
  {
    code: 'status(204)',
    fault: (faults) => faults.status(204),
    what: 'how a server says that there is no more',
    seen: [GIVES_UP],
  },
  {
    code: 'wrongContentType()',
    fault: (faults) => faults.wrongContentType(),
    what: 'not `text/event-stream`',
    seen: [GIVES_UP],
  },
  {
    code: 'malformedEvent({ index: 1 })',
    fault: (faults) => faults.malformedEvent({ index: 1 }),
    what: 'the data are the beginning of some JSON',
    seen: ['one', '{"malformed":', 'three'],
  },
  {
    code: "malformedEvent({ index: 1, flaw: 'utf8' })",
    fault: (faults) => faults.malformedEvent({ index: 1, flaw: 'utf8' }),
    what: 'the data are no UTF-8',
    seen: ['one', '\uFFFD\uFFFD\uFFFD', 'three'],
  },
  {
    code: "malformedEvent({ index: 1, flaw: 'field' })",
    fault: (faults) => faults.malformedEvent({ index: 1, flaw: 'field' }),
    what: 'its fields have unknown names: it is passed over',
    seen: ['one', 'three'],
  },
  {
    code: 'duplicateEvent({ index: 1 })',
    fault: (faults) => faults.duplicateEvent({ index: 1 }),
    what: 'an event comes twice',
    seen: ['one', 'two', 'two', 'three'],
  },
]
