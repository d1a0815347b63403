/** A response that streams: by the server, and by the client that tells how late each of its chunks is. */
import { once } from 'node:events'
import { connect } from 'node:http2'
import type { Writable } from 'node:stream'
import { setTimeout } from 'node:timers/promises'
import type { TLSSocket } from 'node:tls'

import { BULK_HOST, HTTP2_HOST } from './messages.ts'

/** Long enough that no chunk meets the one before on its way. */
const GAP_MS = 4
const PATH = '/chunks/'
export const CHUNKS_TYPE = 'text/event-stream'

/** How late what a server streams is, in milliseconds. */
export interface Lateness {
  /** From the request to the first octet of the body. */
  readonly first: number
  /** From the server's write to the client's read, of each chunk behind the first. */
  readonly next: readonly number[]
}

/** A client that has one connection. */
export interface ChunkClient {
  /** Asks for so many events, and tells how late they are. */
  read(count: number): Promise<Lateness>
  close(): void
}

/** Milliseconds of the clock that all processes of this machine share. */
function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

/** How many chunks a path asks for; undefined for others. */
export function chunksOf(path: string): number | undefined {
  return path.startsWith(PATH) ? Number(path.slice(PATH.length)) : undefined
}

/** Sends so many events, each of which says when it was sent, as the body of a response that has begun. */
export async function sendChunks(response: Writable, count: number): Promise<void> {
  for (let at = 0; at < count; at++) {
    // One after the other: that is what a stream is.
    if (at > 0) await setTimeout(GAP_MS)
    response.write(`data: ${nowMs()}\n\n`)
  }
  response.end()
}

/** Finds events in what a client reads. */
class Stopwatch {
  readonly #startedMs = nowMs()
  #text = ''
  #first: number | undefined
  readonly #next: number[] = []

  /** Takes what has come; tells whether it has come to `end`. */
  take(octets: Buffer, end?: string): boolean {
    const readMs = nowMs()
    this.#text += octets.toString('latin1')
    for (const [, sent] of this.#text.matchAll(/data: ([\d.]+)\n\n/g)) {
      if (this.#first === undefined) this.#first = readMs - this.#startedMs
      else this.#next.push(readMs - Number(sent))
    }
    const isOver = end !== undefined && this.#text.endsWith(end)
    this.#text = this.#text.slice(this.#text.lastIndexOf('\n\n') + 1)
    return isOver
  }

  /** What it comes to. @throws when it is not so many */
  lateness(count: number): Lateness {
    const got = (this.#first === undefined ? 0 : 1) + this.#next.length
    if (this.#first === undefined || got !== count) throw new Error(`Got ${got} chunks of ${count}`)
    return { first: this.#first, next: this.#next }
  }
}

/** Speaks HTTP/1.1 on a connection. */
export function http1Client(socket: TLSSocket): ChunkClient {
  const read = async (count: number): Promise<Lateness> => {
    const watch = new Stopwatch()
    socket.write(`GET ${PATH}${count} HTTP/1.1\r\nHost: ${BULK_HOST}\r\n\r\n`)
    await new Promise<void>((resolve, reject) => {
      const done = (error?: Error): void => {
        socket.off('data', onData).off('error', done).off('close', onClose)
        if (error) reject(error)
        else resolve()
      }
      const onClose = (): void => done(new Error('The connection ended before the response'))
      const onData = (octets: Buffer): void => {
        if (watch.take(octets, '\r\n0\r\n\r\n')) done()
      }
      socket.on('data', onData).on('error', done).on('close', onClose)
    })
    return watch.lateness(count)
  }
  return { read, close: () => socket.destroy() }
}

/** Speaks HTTP/2 on a connection. */
export function http2Client(socket: TLSSocket): ChunkClient {
  const session = connect(`https://${HTTP2_HOST}`, { createConnection: () => socket })
  session.on('error', () => undefined)
  const read = async (count: number): Promise<Lateness> => {
    const watch = new Stopwatch()
    const stream = session.request({ ':path': `${PATH}${count}` })
    stream.on('data', (octets: Buffer) => watch.take(octets))
    await once(stream, 'end')
    return watch.lateness(count)
  }
  return { read, close: () => session.destroy() }
}
