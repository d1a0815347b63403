import type { Fault } from '../fault.ts'
import { refuseOptions } from './check.ts'

const BAD_REQUEST = 'HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n'

/**
 * The client's TLS hello is answered by HTTP that is not encrypted, as by a server that listens for `http:` on this port; then
 * the connection is closed.
 */
export function tlsPlaintext(...none: readonly never[]): Fault {
  refuseOptions('tlsPlaintext', none)
  return {
    name: 'tlsPlaintext',
    text: 'tlsPlaintext',
    parts: [{ stage: 'tls', failure: { kind: 'octets', octets: Buffer.from(BAD_REQUEST) } }],
  }
}
