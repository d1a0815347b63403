import type { Fault } from '../fault.ts'
import { invalidFault, wholeNumber, show } from './check.ts'

const isReply = wholeNumber(1, 255)

/**
 * The proxy answers a SOCKS5 request with a reply that refuses it (RFC 1928 section 6), and closes the connection. The
 * server is not contacted. SOCKS4 has but one reply for that (0x5B), and CONNECT is answered 502.
 *
 * @param code - From 1 to 255: 1 general failure, 2 not allowed, 3 network unreachable, 4 host unreachable, 5 refused,
 *   6 TTL expired, 7 command not supported, 8 address type not supported; others mean nothing.
 * @throws {@link MitmError} `MITM_INVALID_FAULT`.
 */
export function socksReply(code: number): Fault {
  const expected = isReply(code)
  if (expected) throw invalidFault('socksReply', `code is ${show(code)}, expected ${expected}`)
  return {
    name: 'socksReply',
    text: `socksReply ${code}`,
    parts: [{ stage: 'tunnel', reply: { kind: 'socks', code } }],
  }
}
