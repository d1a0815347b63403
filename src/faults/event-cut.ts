/** What faults that cut streams of server-sent events have in common. */
import type { CutPart, Fault } from '../fault.ts'

/** Makes a fault that cuts a response behind so many events. */
export function eventCut(name: string, count: number, end: CutPart['end'], partialBytes = 0): Fault {
  const partial = partialBytes > 0 ? ` and ${partialBytes} ${partialBytes === 1 ? 'octet' : 'octets'} more` : ''
  return {
    name,
    text: `${name} after ${count} ${count === 1 ? 'event' : 'events'}${partial}${end === 'reset' ? ', by a reset' : ''}`,
    parts: [
      {
        stage: 'cut',
        side: 'client',
        afterBytes: partialBytes,
        afterEvents: count,
        countsHead: false,
        forwards: false,
        end,
        afterMs: 0,
      },
    ],
  }
}
