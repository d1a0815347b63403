/** Ends of sockets: what one was, and how to make one so that the other side gets what was written and sees the same. */
import { readSync } from 'node:fs'
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import type { Writable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'

import { systemCode } from '../errors.ts'

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

/** Takes the errors of a socket whose end is told by other events. */
export function ignore(): void {
  // Nothing to do: `socket.errored` keeps it.
}

/** The sockets below others: a connection in TLS to a proxy is used as if it were a socket of the system. */
const below = new WeakMap<Socket, Socket>()

/** Notes that a socket is laid over another one, which is that of the system. @returns the upper one */
export function layOver(socket: Socket, raw: Socket): Socket {
  below.set(socket, raw)
  return socket
}

/** How long octets are ahead of a reset that follows them. */
const RESET_DELAY_MS = 5

/**
 * Resets a connection, after what was written has gone out. Octets and a reset that arrive together look like a clean
 * end to programs on libuv, Node's among them; so the reset is a moment late.
 *
 * @param stream - The writer over `raw`, or `raw`.
 * @param raw - The socket at the bottom: only that can send a reset.
 */
export async function resetSoon(stream: Writable | undefined, raw: Socket): Promise<void> {
  const bottom = below.get(raw) ?? raw
  const writers = [stream ?? raw, raw, bottom]
  const deadline = performance.now() + LINGER_MS
  if (bottom.bytesWritten > 0) {
    do await delay(RESET_DELAY_MS)
    while (
      writers.some(({ writableLength }) => writableLength > 0) &&
      !bottom.destroyed &&
      performance.now() < deadline
    )
  }
  if (!bottom.destroyed) bottom.resetAndDestroy()
}

/**
 * The reset that an end was really, if it was one. libuv takes octets and a reset that it finds together for octets and
 * an end; the error is still with the system then, and reading once more brings it out.
 *
 * @param raw - A socket that has ended.
 */
export function hiddenReset(raw: Socket): Error | undefined {
  if (raw.errored) return raw.errored
  // A boundary: the handle is not in Node's types. Without a descriptor (Windows) the end is taken for what it seems.
  const { _handle: handle } = (below.get(raw) ?? raw) as { readonly _handle?: { readonly fd?: number } | null }
  const fd = handle?.fd
  if (fd === undefined || fd < 0) return undefined
  try {
    readSync(fd, Buffer.alloc(1))
  } catch (error) {
    if (systemCode(error) === 'ECONNRESET' && error instanceof Error) return error
  }
  return undefined
}
