/** Waits for room in a stream. */
import type { Writable } from 'node:stream'

/** Resolves when a stream takes more, or will never again; undefined when it need not be waited for. */
export function whenWritable(writer: Writable): Promise<void> | undefined {
  if (!writer.writableNeedDrain || writer.destroyed || writer.writableEnded) return undefined
  return new Promise((resolve) => {
    afterRoom(writer, resolve)
  })
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
