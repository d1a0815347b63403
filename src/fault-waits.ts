/** Waits that faults make, which end when the fault is removed: then everything goes on as if it had not been. */
import { setTimeout as sleep } from 'node:timers/promises'

import type { Connection } from './connection.ts'
import type { Fault, FaultFeed } from './fault.ts'
import { readChunk } from './internal/read-chunk.ts'

/** Octets of a client that are held while it is stalled; with more it is not read from. */
const MAX_HELD_OCTETS = 1024 * 1024

/** A fault that acts on a connection. */
export interface ActingFault {
  readonly connection: Connection
  readonly feed: FaultFeed
  readonly fault: Fault
}

/**
 * Waits. Never rejects.
 *
 * @param ms - Milliseconds, of which the rest is spared when the fault is removed.
 * @returns Whether the time has passed; false when the fault was removed, or the mitm is done with the connection.
 */
export async function waitFor(ms: number, acting: ActingFault): Promise<boolean> {
  const stop = stopSignal(acting)
  try {
    await sleep(ms, undefined, { signal: stop.signal })
    return true
  } catch {
    return false
  } finally {
    stop.unsubscribe()
  }
}

/**
 * Leaves the client without an answer: until it goes, nothing has come for `idleTimeoutMs`, or the fault is removed.
 * What it sends meanwhile is kept for whoever reads next. Never rejects.
 *
 * @returns Whether the connection goes on; else why it ended has been noted.
 */
export async function holdOpen(acting: ActingFault): Promise<boolean> {
  const { connection } = acting
  const { reader } = connection.client
  if (!reader) return false
  const timeoutMs = connection.flow.settings.idleTimeoutMs
  const stop = stopSignal(acting)
  const held: Buffer[] = []
  let heldOctets = 0
  try {
    while (!stop.signal.aborted) {
      const said =
        heldOctets < MAX_HELD_OCTETS
          ? await readChunk(reader, { timeoutMs, signal: stop.signal })
          : await sleep(timeoutMs, 'timeout' as const, { signal: stop.signal })
      if (typeof said === 'string') {
        connection.end(said === 'end' ? 'client-closed' : 'idle-timeout')
        return false
      }
      held.push(said)
      heldOctets += said.length
    }
  } catch {
    if (!stop.signal.aborted) {
      connection.end('client-reset')
      return false
    }
  } finally {
    stop.unsubscribe()
  }
  if (held.length > 0 && !reader.readableEnded && !reader.destroyed) reader.unshift(Buffer.concat(held))
  return !connection.signal.aborted
}

/** Aborts when the fault is removed, or the mitm is done with the connection. */
function stopSignal({ connection, feed, fault }: ActingFault): { readonly signal: AbortSignal; unsubscribe(): void } {
  const removed = new AbortController()
  const look = (): void => {
    if (!feed.faults.some((injected) => injected.fault === fault)) removed.abort()
  }
  const unsubscribe = feed.subscribe(look)
  look()
  return { signal: AbortSignal.any([removed.signal, connection.signal]), unsubscribe }
}
