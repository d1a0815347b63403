/** Waits for room in a stream. */
import type { Writable } from 'node:stream'

/** Resolves when a stream takes more, or will never again; undefined when it need not be waited for. */
export function whenWritable(writer: Writable): Promise<void> | undefined {
  if (!writer.writableNeedDrain || writer.destroyed || writer.writableEnded) return undefined
  return new Promise((resolve) => {
    afterRoom(writer, resolve)
  })
}

/** Calls `done` when all that was written to a stream has left it, or never will: at once when that is so now. */
export function afterWritten(writer: Writable, done: () => void): void {
  if (writer.writableLength === 0 || writer.destroyed) {
    done()
    return
  }
  const settle = (): void => {
    writer.off('drain', look)
    writer.off('finish', settle)
    writer.off('close', settle)
    done()
  }
  // A stream that has enough drains; another one has to be asked for the last of its octets.
  const look = (): void => {
    if (writer.writableLength === 0) settle()
  }
  writer.on('drain', look)
  writer.on('finish', settle)
  writer.on('close', settle)
  if (!writer.writableNeedDrain && !writer.writableEnded) writer.write('', look)
}

/** Calls `done` when a stream takes more, or will never again: at once when it need not be waited for. */
export function afterRoom(writer: Writable, done: () => void): void {
  if (!writer.writableNeedDrain || writer.destroyed || writer.writableEnded) {
    done()
    return
  }
  const settle = (): void => {
    writer.off('drain', settle)
    writer.off('close', settle)
    done()
  }
  writer.on('drain', settle)
  writer.on('close', settle)
}
