/** Waits for room in a stream. */

/** What octets are written to: a stream of Node, or something that does as those do. */
export interface OctetWriter {
  /** Whether it has enough: it tells of room by `drain`. */
  readonly writableNeedDrain: boolean
  readonly writableEnded: boolean
  readonly destroyed: boolean
  /** @returns Whether it takes more at once. */
  write(octets: Uint8Array): boolean
  on(event: 'drain' | 'close', listener: () => void): unknown
  off(event: 'drain' | 'close', listener: () => void): unknown
}

/** Resolves when a stream takes more, or will never again; undefined when it need not be waited for. */
export function whenWritable(writer: OctetWriter): Promise<void> | undefined {
  if (!writer.writableNeedDrain || writer.destroyed || writer.writableEnded) return undefined
  return new Promise((resolve) => {
    afterRoom(writer, resolve)
  })
}

/** Calls `done` when a stream takes more, or will never again: at once when it need not be waited for. */
export function afterRoom(writer: OctetWriter, done: () => void): void {
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
