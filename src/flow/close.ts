/** Closing a socket so that the other side gets what was written. */
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import type { Writable } from 'node:stream'

/** How long the other side may take to close after us. */
const LINGER_MS = 1000

/**
 * Ends a stream, lets what was written go out, and closes its socket when the other side has closed too, or after a
 * second. What still comes in is thrown away: a socket closed with octets unread sends a reset instead of its data.
 *
 * @param stream - The writer over `raw`, or `raw`.
 * @param raw - The socket at the bottom.
 * @param flushMs - Milliseconds for what was written to go out.
 */
export async function closeGracefully(stream: Writable | undefined, raw: Socket, flushMs: number): Promise<void> {
  if (raw.destroyed) return
  const top = stream ?? raw
  if (top.destroyed) {
    raw.destroy()
    return
  }
  if (!top.writableEnded) top.end()
  if (top instanceof Duplex) top.resume()
  await eventWithin(raw, top, flushMs)
  raw.destroy()
}

function eventWithin(raw: Socket, top: Writable, flushMs: number): Promise<void> {
  return new Promise((resolve) => {
    let timer = setTimeout(done, top.writableFinished ? LINGER_MS : flushMs)
    const onFinish = (): void => {
      clearTimeout(timer)
      timer = setTimeout(done, LINGER_MS)
    }
    function done(): void {
      clearTimeout(timer)
      top.off('finish', onFinish)
      raw.off('close', done)
      resolve()
    }
    top.once('finish', onFinish)
    raw.once('close', done)
  })
}
