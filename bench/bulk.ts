/** Large bodies through a proxy, by the client. */
import type { TLSSocket } from 'node:tls'

import { BULK_HOST } from './messages.ts'

const CHUNK = Buffer.alloc(65_536, 'x')

/** Reads one response of known length; resolves with its body's size, and its body if that is short. */
function readResponse(socket: TLSSocket): Promise<{ size: number; text: string }> {
  return new Promise((resolve, reject) => {
    let head = ''
    let size = 0
    let expected = -1
    let text = ''
    const done = (error?: Error): void => {
      socket.off('data', onData).off('error', done).off('close', onClose)
      if (error) reject(error)
      else resolve({ size, text })
    }
    const onClose = (): void => done(new Error(`The connection ended after ${size} of ${expected} octets`))
    const onData = (chunk: Buffer): void => {
      let body = chunk
      if (expected < 0) {
        head += chunk.toString('latin1')
        const end = head.indexOf('\r\n\r\n')
        if (end === -1) return
        expected = Number(/\r\ncontent-length: (\d+)/i.exec(head)?.[1])
        body = Buffer.from(head.slice(end + 4), 'latin1')
      }
      size += body.length
      if (expected < 100) text += body.toString('latin1')
      if (size >= expected) done()
    }
    socket.on('data', onData).on('error', done).on('close', onClose)
  })
}

/** Downloads `size` octets, and checks that so many came. */
export async function download(socket: TLSSocket, size: number): Promise<void> {
  const response = readResponse(socket)
  socket.write(`GET /${size} HTTP/1.1\r\nHost: ${BULK_HOST}\r\n\r\n`)
  const got = await response
  if (got.size !== size) throw new Error(`Got ${got.size} octets of ${size}`)
}

/** Uploads `size` octets, and checks that so many arrived. */
export async function upload(socket: TLSSocket, size: number): Promise<void> {
  const response = readResponse(socket)
  socket.write(`POST / HTTP/1.1\r\nHost: ${BULK_HOST}\r\nContent-Length: ${size}\r\n\r\n`)
  let left = size
  const writeMore = (): void => {
    while (left > 0) {
      const chunk = left < CHUNK.length ? CHUNK.subarray(0, left) : CHUNK
      left -= chunk.length
      if (!socket.write(chunk)) break
    }
    if (left > 0) socket.once('drain', writeMore)
  }
  writeMore()
  const { text } = await response
  if (text !== String(size)) throw new Error(`${text} octets of ${size} arrived`)
}
