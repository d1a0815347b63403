/** Octets that are no message of any protocol. */
import { createHash } from 'node:crypto'

/**
 * 64 octets that look random and are always the same. The first is in no TLS record, no HTTP message and no SOCKS reply.
 */
export function garbage(): Buffer {
  const octets = createHash('sha512').update('playwright-mitm').digest()
  octets.writeUInt8(0xff, 0)
  return octets
}
