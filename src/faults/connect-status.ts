import { STATUS_CODES } from 'node:http'

import type { Fault } from '../fault.ts'
import { invalidFault, wholeNumber } from './check.ts'

const isStatus = wholeNumber(300, 599)

/**
 * The proxy answers CONNECT with a status that refuses it, and closes the connection. The server is not contacted. A SOCKS
 * client gets a general failure (reply 1).
 *
 * @param status - From 300 to 599. With 407 a challenge is sent too, for which browsers ask the user.
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 */
export function connectStatus(status: number): Fault {
  const expected = isStatus(status)
  if (expected) throw invalidFault('connectStatus', `status is ${JSON.stringify(status)}, expected ${expected}`)
  const statusText = STATUS_CODES[status] ?? ''
  return {
    name: 'connectStatus',
    text: `connectStatus ${status}`,
    parts: [{ stage: 'tunnel', reply: { kind: 'status', status, statusText } }],
  }
}
