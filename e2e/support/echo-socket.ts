/** A WebSocket server that echoes, as far as these tests need one: short frames, nothing fragmented (RFC 6455). */
import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Origin } from './origin.ts'

const ACCEPT_SUFFIX = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const CLOSE = 8

/** Lets `origin` take WebSockets, and send back what comes, in the frames in which it comes. */
export function echoSockets(origin: Origin): void {
  origin.server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const key = request.headers['sec-websocket-key'] ?? ''
    const accept = createHash('sha1')
      .update(key + ACCEPT_SUFFIX)
      .digest('base64')
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    )
    let octets = head
    socket.on('error', () => undefined)
    socket.on('data', (chunk: Buffer) => {
      octets = echoFrames(Buffer.concat([octets, chunk]), socket)
    })
  })
}

/** Echoes the whole frames, and returns what is left. */
function echoFrames(octets: Buffer, socket: Duplex): Buffer {
  let rest = octets
  for (;;) {
    const [first, second] = rest
    if (first === undefined || second === undefined) return rest
    const length = second & 0x7f
    const end = 6 + length
    if (rest.length < end) return rest
    const mask = rest.subarray(2, 6)
    const payload = rest.subarray(6, end).map((octet, index) => octet ^ (mask[index % 4] ?? 0))
    socket.write(Buffer.concat([Buffer.from([first, length]), payload]))
    if ((first & 0x0f) === CLOSE) socket.end()
    rest = rest.subarray(end)
  }
}
