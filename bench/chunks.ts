/** A response that streams: by the server, and by the client that tells how late each of its chunks is. */
import type { ServerResponse } from 'node:http'
import { setTimeout } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'

import { BULK_HOST } from './messages.ts'

/** Long enough that no chunk meets the one before on its way. */
const GAP_MS = 4
const PATH = '/chunks/'

/** How late what a server streams is, in milliseconds. */
export interface Lateness {
  /** From the request to the first octet of the body. */
  readonly first: number
  /** From the server's write to the client's read, of each chunk behind the first. */
  readonly next: readonly number[]
}

/** Milliseconds of the clock that all processes of this machine share. */
function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

/** How many chunks a URL asks for; undefined for others. */
export function chunksOf(url: string): number | undefined {
  return url.startsWith(PATH) ? Number(url.slice(PATH.length)) : undefined
}

/** Sends events, each of which says when it was sent. */
export async function sendChunks(response: ServerResponse, count: number): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  for (let at = 0; at < count; at++) {
    // One after the other: that is what a stream is.
    if (at > 0) await setTimeout(GAP_MS)
    response.write(`data: ${nowMs()}\n\n`)
  }
  response.end('data: end\n\n')
}

/** Asks for events, and tells how late they are. */
export function readChunks(socket: TLSSocket, count: number): Promise<Lateness> {
  return new Promise((resolve, reject) => {
    let text = ''
    let first = Number.NaN
    const next: number[] = []
    const startedMs = nowMs()
    const done = (error?: Error): void => {
      socket.off('data', onData).off('error', done).off('close', onClose)
      if (error) reject(error)
      else resolve({ first, next })
    }
    const onClose = (): void => done(new Error(`The connection ended after ${next.length} of ${count} chunks`))
    const onData = (chunk: Buffer): void => {
      const readMs = nowMs()
      text += chunk.toString('latin1')
      for (const [, sent] of text.matchAll(/data: ([\d.]+)\n\n/g)) {
        if (Number.isNaN(first)) first = readMs - startedMs
        else next.push(readMs - Number(sent))
      }
      if (text.endsWith('\r\n0\r\n\r\n')) {
        done(next.length === count - 1 ? undefined : new Error(`Got ${next.length + 1} chunks of ${count}`))
      }
      text = text.slice(text.lastIndexOf('\n\n') + 1)
    }
    socket.on('data', onData).on('error', done).on('close', onClose)
    socket.write(`GET ${PATH}${count} HTTP/1.1\r\nHost: ${BULK_HOST}\r\n\r\n`)
  })
}
