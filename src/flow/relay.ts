/** Relays octets both ways through the middlewares: raw TCP, and the default of every protocol. */
import type { Connection, ConnectionEndReason, StreamEnd } from '../connection.ts'
import { errorText, MitmError } from '../errors.ts'
import type { Side } from '../errors.ts'
import { IdleTimer } from '../internal/idle-timer.ts'
import { isPromise } from '../internal/maybe-promise.ts'
import type { MaybePromise } from '../internal/maybe-promise.ts'
import { Pump, writeThrough } from '../internal/pump.ts'
import type { PumpHandlers } from '../internal/pump.ts'
import { RelayFaults } from '../relay-faults.ts'

/** What the octets of each side pass through before they are sent on. */
export type RelayTaps = { readonly [Name in Side]: (chunk: Buffer) => MaybePromise<Buffer> }

/**
 * Relays until both sides have ended, one was reset, or nothing has passed for too long. A half-close is passed on, and
 * the other direction goes on. When one side ends and the other is not managed by the mitm, the relay is over at once.
 *
 * @param first - Octets of the client that have passed `clientData` already.
 * @param taps - What octets pass through. @defaultValue the hooks `clientData` and `serverData`
 * @throws {@link MitmError} `MITM_IDLE_TIMEOUT`, or what a middleware failed with.
 */
export function relay(connection: Connection, first?: Buffer, taps: RelayTaps = hooksOf(connection)): Promise<void> {
  return new Promise((resolve, reject) => {
    const { client, server, protocol, destination } = connection
    const clientReader = client.reader
    const serverReader = server.reader
    if (!clientReader || !serverReader) {
      reject(
        new MitmError(
          'MITM_NOT_RUNNING',
          `Cannot relay ${connection}: both hosts must be connected, call open() first`,
        ),
      )
      return
    }
    const hasEnded = { client: false, server: false }
    let isOver = false
    const idle = connection.flow.watchIdle(finish)
    const pumps = {
      client: new Pump(clientReader, handlers('client'), protocol?.bufferSize),
      server: new Pump(serverReader, handlers('server'), protocol?.bufferSize),
    }
    let faults: RelayFaults | undefined
    const takeFaults = (isUnderWay: boolean): void => {
      const feed =
        destination && connection.flow.interceptConnection({ stage: 'relay', destination, isUnderWay })?.faults
      if (feed && faults) faults.add(feed)
      else if (feed) faults = new RelayFaults(connection, feed, { pumps, over: finish, isUnderWay })
      // One that cuts at once has ended it.
      if (isOver) faults?.close()
    }
    takeFaults(false)
    connection.flow.listen({ faultsAdded: () => takeFaults(true) })
    const onAbort = (): void => finish()
    connection.signal.addEventListener('abort', onAbort)
    if (first && first.length > 0) {
      if (faults) void faults.send('server', first)
      else writeThrough(server.writer, first, pumps.client)
    }
    pumps.client.start()
    pumps.server.start()
    if (connection.signal.aborted) onAbort()

    function finish(error?: unknown): void {
      isOver = true
      idle.stop()
      faults?.close()
      pumps.client.stop()
      pumps.server.stop()
      connection.signal.removeEventListener('abort', onAbort)
      if (error === undefined) resolve()
      else reject(error instanceof Error ? error : new Error(errorText(error)))
    }

    function handlers(side: Side): PumpHandlers {
      const otherSide = side === 'client' ? 'server' : 'client'
      const send = (octets: Buffer): MaybePromise<void> =>
        faults ? faults.send(otherSide, octets) : writeThrough(connection[otherSide].writer, octets, pumps[side])
      const passEnd = (end: StreamEnd): void => {
        if (isOver) return
        const done = connection.flow.passEnd(side, end)
        hasEnded[side] = true
        if (done || (hasEnded.client && hasEnded.server)) finish()
      }
      return {
        data: (chunk) => {
          idle.touch()
          const out = taps[side](chunk)
          return isPromise(out) ? out.then(send) : send(out)
        },
        end: (end) => {
          if (!faults) passEnd(end)
          // What a fault holds will not come to an end by itself.
          else if (side === 'client' && faults.isStopped) {
            connection.flow.passEnd(side, end)
            finish()
          } else void faults.settled(otherSide).then(() => passEnd(end))
        },
        lost: (error) => {
          connection.flow.passEnd(side, { kind: 'error', error })
          finish()
        },
        failed: finish,
      }
    }
  })
}

function hooksOf(connection: Connection): RelayTaps {
  return { client: (chunk) => connection.clientData(chunk), server: (chunk) => connection.serverData(chunk) }
}

/**
 * Does to the other side what happened to this one: a FIN as a FIN, a reset as a reset.
 *
 * @param hasReset - Tells whether this side turned out to have been reset.
 * @returns Whether the relay is over by that.
 */
export function passEndOn(connection: Connection, side: Side, end: StreamEnd, hasReset: () => boolean): boolean {
  const otherSide = side === 'client' ? 'server' : 'client'
  const other = connection[otherSide]
  if (end.kind === 'error') {
    connection.end(`${side}-reset` satisfies ConnectionEndReason)
    connection.reset(otherSide)
    return true
  }
  connection.end(`${side}-closed` satisfies ConnectionEndReason)
  if (!other.mitmManaged || !connection[side].mitmManaged) return true
  const { writer } = other
  // Not at once: Node 20 loses octets that a TLS socket has taken in when it is ended from within its own reading; and a
  // reset may show only when the socket is written to.
  setImmediate(() => {
    if (hasReset()) connection.reset(otherSide)
    else if (writer && !writer.destroyed && !writer.writableEnded) writer.end()
  })
  return end.kind === 'closed'
}

/** Watches for the time in which nothing passes: the protocol's `timeout`, or `idleTimeoutMs` where it keeps alive. */
export function watchIdle(connection: Connection, onIdle: (error: MitmError) => void): IdleTimer {
  const { protocol } = connection
  const idleMs = protocol && !protocol.keepAlive ? protocol.timeout : connection.flow.settings.idleTimeoutMs
  return new IdleTimer(idleMs, () => {
    connection.end('idle-timeout')
    onIdle(new MitmError('MITM_IDLE_TIMEOUT', `Closed ${connection}: no octet in either direction for ${idleMs} ms`))
  })
}
