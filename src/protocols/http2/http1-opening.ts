/**
 * CONNECT of HTTP/2 as HTTP/1.1 has it: octets by CONNECT (RFC 9113 section 8.5), a WebSocket or something else by an upgrade
 * (RFC 8441 section 4 says how they belong together). Does no I/O.
 */
import { randomBytes } from 'node:crypto'

import type { Field } from '../../exchange.ts'
import { acceptKey } from '../websocket/handshake.ts'
import { http2Fields } from './bridge-fields.ts'
import type { BridgedRequestHead, BridgedResponseHead } from './bridge-server.ts'

/** What of a response to it opens a tunnel, and what does not. */
export type Opened =
  /** Octets follow. */
  | { readonly kind: 'tunnel'; readonly head: BridgedResponseHead }
  /** It is a response like any other. */
  | { readonly kind: 'response' }
  | { readonly kind: 'malformed'; readonly reason: string }

/** A request that asks for a tunnel, as it is sent. */
export interface Http1Opening {
  readonly method: string
  readonly target: string
  readonly fields: readonly Field[]
  /** What comes of a final response, or of one with 101. */
  opened(status: number, fields: readonly Field[]): Opened
}

const NAMES_OF_HANDSHAKE: ReadonlySet<string> = new Set(['sec-websocket-key', 'sec-websocket-accept'])

/**
 * How a tunnel is asked for; undefined for other requests.
 *
 * @param fields - Of the request, as HTTP/1 has them.
 */
export function openingOf(head: BridgedRequestHead, fields: readonly Field[]): Http1Opening | undefined {
  if (head.method !== 'CONNECT') return undefined
  return head.protocol === undefined ? byConnect(head, fields) : byUpgrade(head, head.protocol, fields)
}

function byConnect({ authority }: BridgedRequestHead, fields: readonly Field[]): Http1Opening {
  return {
    method: 'CONNECT',
    target: authority,
    fields,
    opened: (status, answered) =>
      status >= 200 && status < 300 ? { kind: 'tunnel', head: { status, fields: http2Fields(answered) } } : answer,
  }
}

function byUpgrade({ path }: BridgedRequestHead, protocol: string, fields: readonly Field[]): Http1Opening {
  const isWebSocket = protocol.toLowerCase() === 'websocket'
  const key = randomBytes(16).toString('base64')
  const own: readonly Field[] = [
    ['connection', 'Upgrade'],
    ['upgrade', protocol],
    ...(isWebSocket ? ([['sec-websocket-key', key]] as const) : []),
  ]
  return {
    method: 'GET',
    target: path,
    fields: [...fields.filter(([name]) => !NAMES_OF_HANDSHAKE.has(name)), ...own],
    opened(status, answered) {
      if (status >= 200 && status < 300) return { kind: 'malformed', reason: `its status is ${status} in place of 101` }
      if (status !== 101) return answer
      const accept = answered.find(([name]) => name.toLowerCase() === 'sec-websocket-accept')?.[1].trim()
      if (isWebSocket && accept !== acceptKey(key)) {
        return { kind: 'malformed', reason: 'its Sec-WebSocket-Accept is not that of the request' }
      }
      const kept = http2Fields(answered).filter(([name]) => !NAMES_OF_HANDSHAKE.has(name))
      return { kind: 'tunnel', head: { status: 200, fields: kept } }
    },
  }
}

const answer: Opened = { kind: 'response' }
