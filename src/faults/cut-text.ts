/** What faults that cut a message say of themselves. */
import type { Side } from '../errors.ts'

/** `resetPeer after 10 octets of the body, towards the server`. */
export function cutText(
  name: string,
  {
    afterBytes,
    of,
    forward,
    side,
  }: { afterBytes: number | undefined; of: 'body' | 'message'; forward: boolean; side: Side },
): string {
  const message = side === 'client' ? 'response' : 'request'
  const place =
    afterBytes === undefined
      ? `in place of the ${message}`
      : `after ${afterBytes} ${afterBytes === 1 ? 'octet' : 'octets'} of the ${of === 'body' ? `${message}'s body` : message}`
  return `${name} ${place}${forward ? ', which the server has sent' : ''}`
}
